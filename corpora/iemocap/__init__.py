"""IEMOCAP: its release on disk, its turns and its folds."""
