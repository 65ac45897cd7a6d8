"""Preparation of a corpus on disk: inspect every recording once, write the rows as Arrow files, and reuse them."""
