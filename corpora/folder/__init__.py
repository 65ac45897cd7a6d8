"""A folder of your own recordings with a metadata file."""
