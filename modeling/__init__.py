"""The fusion models."""

# Loading the Auto classes registers the variants (see the package's `__init__.py`), which imports the modules of this
# room. So this import must come first.
from transformers import AutoModel  # noqa: F401
