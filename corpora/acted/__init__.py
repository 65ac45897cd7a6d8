"""Acted corpora whose file names carry speaker, sentence and emotion: one loader, and one description for each corpus."""
