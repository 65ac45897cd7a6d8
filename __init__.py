"""emofusion: fusion models of speech, text and face for emotion recognition, native to Hugging Face transformers.

Every public name is imported on first use, so `import emofusion` costs nothing and does not load torch.
"""

__version__ = "0.1.0.dev0"
