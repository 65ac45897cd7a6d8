"""The Space on which a model is tried: app, requirements and card, to be uploaded as they are."""
