"""From recordings and transcripts to tensors: the decoder of media files and the processor."""

from typing import Any

from .media import load_audio

__all__ = ["EmoFusionProcessor", "load_audio"]


def __getattr__(name: str) -> Any:
    # The processor imports torch and transformers; the decoder, which corpora use alone, does not.
    if name == "EmoFusionProcessor":
        from .processing_emofusion import EmoFusionProcessor

        return EmoFusionProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
