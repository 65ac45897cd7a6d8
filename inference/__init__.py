"""What a finished model is used for: batch scoring, timelines, serving, export, explanations."""
