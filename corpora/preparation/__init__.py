"""Preparing a corpus on disk: inspect every recording once, write Arrow rows, reuse them."""
