"""CMU-MOSEI: its raw release on disk, its annotations, and its standard folds."""
