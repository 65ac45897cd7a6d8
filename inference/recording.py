"""One recording to score."""

from typing import Any, NamedTuple

MANIFESTS = (".csv", ".jsonl", ".parquet")


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
        dialogue: The dialogue that it is a turn of.
        turn: The number of the turn in it.
        manifest: The path of the manifest that names the dialogue, since others may have one of the same name.
        earlier: The turns before it that the model reads, oldest first.
    """

    name: str
    audio: str | None = None
    text: str | None = None
    video: str | None = None
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    error: str | None = None
    dialogue: str | None = None
    turn: int | None = None
    manifest: str | None = None
    earlier: tuple["Recording", ...] = ()

    @classmethod
    def from_json(cls, fields: list[Any]) -> "Recording":
        """Return the recording that `json` has written as a list.

        Args:
            fields: The list.
        """
        *own, earlier = fields
        return cls(*own, tuple(map(cls.from_json, earlier)))
