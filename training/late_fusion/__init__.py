"""Late fusion of trained classifiers."""
