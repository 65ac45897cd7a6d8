"""MSP-Podcast: its release on disk, the votes of its raters, and its partitions."""
