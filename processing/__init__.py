"""Decoders of media files, and the processor that turns recordings, transcripts and videos into tensors."""

from typing import Any

from .media import load_audio
from .video import load_video

__all__ = ["EmoFusionProcessor", "load_audio", "load_video"]


def __getattr__(name: str) -> Any:
    # Lazy, because the processor imports torch and transformers and the decoders do not.
    if name == "EmoFusionProcessor":
        from .processing_emofusion import EmoFusionProcessor

        return EmoFusionProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
