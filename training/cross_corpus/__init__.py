"""Cross-corpus tables: one run per training set and seed, each tested on all corpora."""
