"""Transcripts by a speech recogniser, and their word error rates."""
