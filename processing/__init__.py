"""Decoders of media files, and the processor that turns recordings, transcripts and videos into tensors."""

from ..configuration.lazy_names import import_on_use
from .media import load_audio
from .video import load_video

__all__ = ["EmoFusionProcessor", "load_audio", "load_video"]

# The processor imports torch and transformers, and the decoders do not.
__getattr__ = import_on_use(__name__, {"EmoFusionProcessor": "processing_emofusion"})
