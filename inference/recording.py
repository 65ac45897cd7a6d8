"""One recording to score."""

from typing import NamedTuple


class Recording(NamedTuple):
    """A recording, or a span of one, that is scored.

    Attributes:
        name: Its name in the table, a path as the user gave it.
        audio: The absolute path of the recording.
        text: Its transcript.
        video: The absolute path of a video.
        speaker: Its speaker.
        start: The start of the span in seconds; None means that of the recording.
        end: The end of the span in seconds; None means that of the recording.
        error: A sentence if it cannot be scored.
    """

    name: str
    audio: str | None = None
    text: str | None = None
    video: str | None = None
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    error: str | None = None
