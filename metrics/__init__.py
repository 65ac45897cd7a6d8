"""Metrics of emotion recognition, as `evaluate` modules."""

from typing import Any

__all__ = ["DimensionMetrics", "EmotionMetrics"]


def __getattr__(name: str) -> Any:
    # `evaluate` is slow to import, and most who import this package do not score anything.
    if name == "EmotionMetrics":
        from .emotion_metrics.emotion_metrics import EmotionMetrics

        return EmotionMetrics
    if name == "DimensionMetrics":
        from .dimension_metrics.dimension_metrics import DimensionMetrics

        return DimensionMetrics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
