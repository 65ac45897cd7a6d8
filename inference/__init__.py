"""Use of trained models: windows, timelines, batch scoring, serving, export, explanation."""
