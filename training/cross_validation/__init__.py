"""Cross-validation: every fold with every seed, and the results together."""
