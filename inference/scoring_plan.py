"""What the pipeline gets of each recording: the whole of it, its windows, the turns of speakers, or channels."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..processing.earlier_utterances import without_speakers
from ..processing.input_errors import EXPECTED
from ..processing.media import audio_seconds
from ..processing.utterance_reader import MARGIN
from ..processing.video import video_seconds
from ..processing.windows import Span, plan_windows
from .recording import Recording
from .rttm import Turn, name_ids
from .scoring_options import ScoringOptions
from .speakers import Call, plan_calls


class Piece(NamedTuple):
    """What the pipeline gets of a recording at a time.

    Attributes:
        key: The key of the recording.
        recording: The recording.
        inputs: The input of the pipeline.
        parts: The numbers of its parts in the journal.
        total: The number of parts of the recording.
        spans: The window of each part; none if it is not divided here.
        call: The channel or the turns; None without speakers.
        is_cut: Whether the pipeline cuts it, and answers with rows.
    """

    key: str
    recording: Recording
    inputs: dict[str, Any] = {}
    parts: tuple[int, ...] = (0,)
    total: int = 1
    spans: tuple[Span, ...] = ()
    call: Call | None = None
    is_cut: bool = False


class Planner:
    """Planner of the pieces of recordings.

    Args:
        options: How recordings are scored.
        modalities: The modalities of the model.
        limit: The seconds that the model takes.
        reads_turns: Whether the model reads earlier turns.
        turns: The turns of the recordings by their ids; None without RTTM.

    Attributes:
        hears: Whether sound or pictures are used.
    """

    def __init__(
        self,
        options: ScoringOptions,
        modalities: Collection[str],
        limit: float,
        reads_turns: bool,
        turns: Mapping[str, Sequence[Turn]] | None = None,
    ):
        self.options, self.limit, self._reads_turns, self._turns = options, limit, reads_turns, turns
        self.hears = bool({"audio", "video"} & set(modalities)) or options.transcriber is not None
        self._modalities = modalities

    def plan(self, key: str, recording: Recording, finished: Collection[int] = ()) -> list[Piece]:
        """Return the pieces of a recording that are not finished.

        Args:
            key: Its key.
            recording: The recording.
            finished: The numbers of its finished parts.

        Raises:
            ValueError: If it cannot be scored; or another error of a file that cannot be read.
        """
        if recording.error is not None:
            raise ValueError(recording.error)
        inputs = self._inputs(recording)
        if recording.earlier:
            earlier = [self._inputs(turn) for turn in recording.earlier]
            inputs["context"] = earlier if recording.speaker is not None else without_speakers(earlier)
        if self.options.channels or self._turns is not None:
            calls = self._plan_speakers(recording, inputs)
            pieces = [
                Piece(key, recording, call.inputs, (number,), len(calls), call=call, is_cut=True)
                for number, call in enumerate(calls)
            ]
        elif self._leaves_cutting(recording):
            pieces = [Piece(key, recording, inputs, is_cut=True)]
        elif len(spans := self._plan_windows(recording)) < 2:
            pieces = [Piece(key, recording, inputs)]
        else:
            numbers = tuple(number for number in range(len(spans)) if number not in finished)
            waiting = tuple(spans[number] for number in numbers)
            inputs["segments"] = [{"start": span.start, "end": span.end} for span in waiting]
            pieces = [Piece(key, recording, inputs, numbers, len(spans), waiting, is_cut=True)]
        return [piece for piece in pieces if not {*piece.parts} <= {*finished}]

    def _inputs(self, recording: Recording) -> dict[str, Any]:
        """Return the input of the pipeline for a whole recording."""
        inputs = {"text": recording.text, "speaker": recording.speaker}
        for name in ("audio", "video"):
            if (path := getattr(recording, name)) is not None:
                inputs[name] = {"path": path, "start": recording.start, "end": recording.end}
        if "video" not in self._modalities and recording.video == recording.audio:
            inputs.pop("video", None)  # the user named a file for its sound
        return {name: value for name, value in inputs.items() if value is not None}

    def _plan_speakers(self, recording: Recording, inputs: dict[str, Any]) -> list[Call]:
        """Return the channels of a recording, or its turns."""
        if recording.audio is None or (recording.start or recording.end) is not None or recording.text is not None:
            raise ValueError(
                f"{recording.name} cannot be divided among speakers: channels and turns are those of a whole recording "
                "without a text."
            )
        turns, options = None, self.options
        if self._turns is not None:
            turns = next((self._turns[name] for name in name_ids(recording.audio) if name in self._turns), None)
            if turns is None:
                raise ValueError(f"{options.rttm} has no turns of {recording.name}.")
        calls = plan_calls(
            {name: {"path": recording.audio} if name == "audio" else value for name, value in inputs.items()},
            *(turns, options.channels, options.skip_overlap, options.window_seconds, options.hop_seconds),
        )
        if not calls:
            raise ValueError(f"{recording.name} has no turns that are long enough.")
        return calls

    def _sounds(self, recording: Recording) -> bool:
        """Return whether the model gets the sound or the pictures of a recording."""
        return self.hears and (recording.audio or recording.video) is not None

    def _leaves_cutting(self, recording: Recording) -> bool:
        """Return whether the pipeline finds the windows of a recording: where that needs the whole of it.

        Other windows are planned here, so that a run can be continued at any of them.
        """
        options = self.options
        is_needed = options.vad or options.word_times
        if self._reads_turns:
            is_needed |= options.window_seconds is not None or recording.text is None
        return is_needed and self._sounds(recording)

    def _plan_windows(self, recording: Recording) -> list[Span]:
        """Return the windows of a recording; none if it is scored as a whole."""
        longest = self.options.window_seconds
        if not self._sounds(recording) or (longest is None and recording.text is not None):
            return []
        start = recording.start or 0.0
        end = recording.end if recording.end is not None else _measure(recording)
        if end is None or end <= start or (longest is None and end - start <= self.limit + MARGIN):
            return []  # the pipeline names what is wrong
        spans = plan_windows(end - start, longest or self.limit, self.options.hop_seconds)
        if len(spans) > 1 and recording.text is not None:
            raise ValueError(
                f"{recording.name} has {len(spans)} windows, and its text has no times: leave the text out, or give one row "
                "for each utterance with start and end."
            )
        return [Span(start + span.start, start + span.end) for span in spans]


def _measure(recording: Recording) -> float | None:
    """Return the length of a recording in seconds; None if it is not stated."""
    measure = video_seconds if recording.audio is None else audio_seconds
    return measure(recording.audio or recording.video)


def measure_if_possible(recording: Recording) -> float | None:
    """Return the length of a recording in seconds; None without one, or if it cannot be read.

    Args:
        recording: The recording.
    """
    try:
        return _measure(recording) if recording.audio or recording.video else None
    except EXPECTED:  # what is used may be good where the rest is damaged
        return None
