"""The fusion models."""

# Loading the Auto classes registers the variants with them (see the package's `__init__.py`), which imports the
# modules below; so it has to happen before one of them is under way.
from transformers import AutoModel  # noqa: F401
