"""From recordings, transcripts and films to tensors: the decoders of media files and the processor."""

from typing import Any

from .media import load_audio
from .video import load_video

__all__ = ["EmoFusionProcessor", "load_audio", "load_video"]


def __getattr__(name: str) -> Any:
    # The processor imports torch and transformers; the decoders, which corpora may use alone, do not.
    if name == "EmoFusionProcessor":
        from .processing_emofusion import EmoFusionProcessor

        return EmoFusionProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
