"""Several corpora in one run: their labels in common classes, and their rows in common splits."""
