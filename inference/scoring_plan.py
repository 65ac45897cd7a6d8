"""What the pipeline gets of each recording: the whole of it, its windows, the turns of speakers, or channels."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..configuration.plain_text import show_name, show_some
from ..processing.earlier_utterances import without_speakers
from ..processing.input_errors import EXPECTED
from ..processing.media import audio_seconds
from ..processing.utterance_reader import MARGIN
from ..processing.video import video_seconds
from ..processing.windows import Span, plan_windows
from .recording import Recording
from .recordings import make_key
from .rttm import Turn, find_id
from .scoring_options import ScoringOptions
from .speakers import Call, plan_calls
from .timeline import choose_windows

Windows = tuple[float | None, float | None]


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
        windows: The length and distance of windows, where the pipeline cuts it and answers with rows; None otherwise.
    """

    key: str
    recording: Recording
    inputs: dict[str, Any] = {}
    parts: tuple[int, ...] = (0,)
    total: int = 1
    spans: tuple[Span, ...] = ()
    call: Call | None = None
    windows: Windows | None = None

    @property
    def named(self) -> dict[str, Any]:
        """Speaker and channel of its rows, where a channel is scored by itself."""
        return {} if self.call is None else self.call.name_row({})


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
        self._of_pictures = choose_windows(limit, options.hop_seconds) if options.leaves_windows else (None, None)

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
        inputs, windows = self._inputs(recording), self._choose_windows(recording)
        if recording.earlier:
            earlier = [self._inputs(turn) for turn in recording.earlier]
            inputs["context"] = earlier if recording.speaker is not None else without_speakers(earlier)
        if self.options.channels or self._turns is not None:
            calls = self._plan_speakers(recording, inputs, windows)
            pieces = [
                Piece(key, recording, call.inputs, (number,), len(calls), call=call, windows=windows)
                for number, call in enumerate(calls)
            ]
        elif self._leaves_cutting(recording):
            pieces = [Piece(key, recording, inputs, windows=windows)]
        elif len(spans := self._plan_windows(recording, *windows)) < 2:
            pieces = [Piece(key, recording, inputs)]
        else:
            numbers = tuple(number for number in range(len(spans)) if number not in finished)
            waiting = tuple(spans[number] for number in numbers)
            inputs["segments"] = [{"start": span.start, "end": span.end} for span in waiting]
            pieces = [Piece(key, recording, inputs, numbers, len(spans), waiting, windows=windows)]
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

    def _choose_windows(self, recording: Recording) -> Windows:
        """Return the length and distance of the windows of a recording; None for the longest that the model takes."""
        options = self.options
        if not options.leaves_windows:
            return options.window_seconds, options.hop_seconds
        is_whole = recording.text is None and recording.start is None and recording.end is None
        return self._of_pictures if is_whole else (None, None)

    def _plan_speakers(self, recording: Recording, inputs: dict[str, Any], windows: Windows) -> list[Call]:
        """Return the channels of a recording, or its turns."""
        if recording.audio is None or (recording.start or recording.end) is not None:
            raise ValueError(
                f"{recording.name} cannot be divided among speakers: channels and turns are those of a whole recording."
            )
        turns, options = None, self.options
        if self._turns is not None:
            turns = self._turns.get(find_id(recording.audio, self._turns))
            if turns is None:
                audio_seconds(recording.audio)  # names what is wrong with a damaged file
                raise ValueError(f"{options.rttm} has no turns of {recording.name}.")
        calls = plan_calls(
            {name: {"path": recording.audio} if name == "audio" else value for name, value in inputs.items()},
            *(turns, options.channels, options.skip_overlap, *windows),
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

    def _plan_windows(self, recording: Recording, longest: float | None, hop: float | None) -> list[Span]:
        """Return the windows of a recording; none if it is scored as a whole."""
        if not self._sounds(recording) or (longest is None and recording.text is not None):
            return []
        start = recording.start or 0.0
        end = recording.end if recording.end is not None else _measure(recording)
        if end is None or end <= start or (longest is None and end - start <= self.limit + MARGIN):
            return []  # the pipeline names what is wrong
        spans = plan_windows(end - start, longest or self.limit, hop)
        if len(spans) > 1 and recording.text is not None:
            raise ValueError(
                f"{recording.name} has {len(spans)} windows, and its text has no times: leave the text out, or give one row "
                "for each utterance with start and end."
            )
        return [Span(start + span.start, start + span.end) for span in spans]


def refuse_shared_turns(
    recordings: Mapping[str, Recording], turns: Mapping[str, Sequence[Turn]]
) -> dict[str, Recording]:
    """Return recordings by key, with an error in each of those whose turns are also those of another one.

    Args:
        recordings: The recordings by key.
        turns: The turns by the ids of recordings.
    """
    users = {}
    for recording in recordings.values():
        if recording.audio is not None:
            users.setdefault(find_id(recording.audio, turns), {})[recording.audio] = recording.name
    users.pop(None, None)
    shared = {}
    for known, names in users.items():
        if len(names) > 1:
            sentence = (
                f"{show_some(names.values())} would all have the turns of {show_name(known)}: give their paths as ids."
            )
            shared |= dict.fromkeys(names, sentence)
    refused = [one._replace(error=shared.get(one.audio, one.error)) for one in recordings.values()]
    return {make_key(one): one for one in refused} if shared else dict(recordings)


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
