"""The demonstration corpus, spoken by espeak-ng."""
