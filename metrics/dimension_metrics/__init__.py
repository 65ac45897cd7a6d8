"""The `evaluate` module of valence, arousal and dominance."""
