"""IEMOCAP: its release on disk, its dialogues and its folds."""
