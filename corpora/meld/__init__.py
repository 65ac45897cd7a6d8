"""MELD: its tables and clips on disk, and its official splits."""
