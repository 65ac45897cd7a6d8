"""Options of the pipeline that cut recordings into windows or segments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .pipeline_options import WINDOWS
from .utterance_reader import UtteranceReader
from .windows import check_windows

AUTO = "auto"


@dataclass(frozen=True)
class WindowOptions:
    """How recordings are cut.

    Args:
        window_seconds: The length of a window, or of the longest segment; None and `AUTO` mean the limit of the model.
        hop_seconds: The distance between the starts of windows; None means `window_seconds`.
        segments: Segments of every recording that has none of its own.
        vad: Whether segments are found by a voice-activity detector.
    """

    window_seconds: float | str | None = None
    hop_seconds: float | None = None
    segments: Sequence[Mapping[str, Any]] | None = None
    vad: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "WindowOptions":
        """Return those of the options of a call that cut recordings, after a check.

        Args:
            options: Options of the pipeline.

        Raises:
            TypeError: If one has a wrong type.
            ValueError: If one is out of range, or two exclude each other.
        """
        windows = cls(**{name: options[name] for name in WINDOWS if options.get(name) is not None})
        if windows.window_seconds not in (None, AUTO):
            check_windows(windows.window_seconds, windows.hop_seconds)
        if not isinstance(windows.vad, bool):
            raise TypeError(f"vad must be True or False, not {windows.vad!r}.")
        if windows.vad and windows.segments is not None:
            raise ValueError("segments are given, and vad finds segments: choose one of them.")
        if windows.hop_seconds is not None and (windows.window_seconds is None or windows.cuts_segments):
            raise ValueError(
                "hop_seconds is the distance of windows: give it with window_seconds, without segments and vad."
            )
        return windows

    @property
    def cuts_segments(self) -> bool:
        """Whether recordings are cut into segments, not into windows."""
        return self.vad or self.segments is not None

    @property
    def are_given(self) -> bool:
        """Whether recordings are cut."""
        return self.window_seconds is not None or self.cuts_segments

    def longest(self, reader: UtteranceReader) -> float:
        """Return the length of the longest window.

        Raises:
            ValueError: If it is above the limit of the model.
        """
        limit = reader.limit
        if self.window_seconds in (None, AUTO):
            return limit.seconds
        if self.window_seconds > limit.seconds:
            raise ValueError(
                f"window_seconds is {self.window_seconds:g}, and {limit.reason.format(seconds=limit.seconds)}: choose at "
                f"most {limit.seconds:g}."
            )
        return self.window_seconds


def has_segments(inputs: Any) -> bool:
    """Return whether an utterance, or one of a list, has segments of its own."""
    items = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    return any(isinstance(item, Mapping) and item.get("segments") is not None for item in items)
