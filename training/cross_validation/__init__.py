"""Cross-validation: one run per fold and seed, and a summary of all."""
