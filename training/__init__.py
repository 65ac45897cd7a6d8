"""Training: recipes, the life of a run, the trainer and its data."""
