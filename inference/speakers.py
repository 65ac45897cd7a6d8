"""Speakers of a recording: their turns as segments for the pipeline, and calls with one speaker on each channel."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..processing.media import audio_channels, audio_seconds
from ..processing.media_files import SPAN_TOLERANCE
from ..processing.window_options import AUTO
from ..processing.windows import SHORTEST, plan_windows
from .rttm import Turn
from .timeline import join, subtract

logger = logging.getLogger(__name__)


def recognise_speakers(
    recognise: Callable[..., Any],
    inputs: Mapping[str, Any],
    turns: Sequence[Turn] | None = None,
    channels: bool | Sequence[str] = False,
    skip_overlap: bool = False,
    window_seconds: float | str | None = None,
    hop_seconds: float | None = None,
    **options,
) -> list[dict[str, Any]]:
    """Return the pipeline's rows of a recording with its speakers.

    Args:
        recognise: The pipeline.
        inputs: An utterance of the pipeline, whose `audio` is a file or its bytes.
        turns: The turns of the speakers, see `plan_turns`. With `channels`, those of each channel are recognised in it.
        channels: Whether each channel of the recording is a speaker of its own, `channel 1` and so on; or the names of
            these speakers. Otherwise channels are averaged.
        window_seconds: The length of windows, which never cross the end of a turn; None and `AUTO` mean the longest that the
            model takes.
        hop_seconds: The distance between windows.
        skip_overlap: See `plan_turns`.
        **options: Further options of the pipeline.

    Returns:
        Rows with `start`, `end`, `scores` and `speaker`, with `channel` if `channels` is given, sorted by start.

    Raises:
        ValueError: If a text is given, a turn begins after the recording, a turn states no channel that the recording
            has, or the recording has one channel, or not as many as names.
    """
    windows = {} if window_seconds is None else {"window_seconds": window_seconds}
    if channels and turns is None and not options.get("vad"):
        windows = {"window_seconds": window_seconds or AUTO, "hop_seconds": hop_seconds}
    within_turns = None if window_seconds == AUTO else window_seconds
    calls = plan_calls(inputs, turns, channels, skip_overlap, within_turns, hop_seconds)
    answers = recognise([call.inputs for call in calls], **options, **windows) if calls else []
    rows = [row for call, found in zip(calls, answers, strict=True) for row in map(call.name_row, found)]
    return sorted(rows, key=lambda row: (row["start"], row.get("channel", 0)))


class Call(NamedTuple):
    """What the pipeline gets of a recording with speakers: one of its channels, or their mean.

    Attributes:
        inputs: The utterance, with `segments` where turns are known.
        channel: The number of the channel; None for the mean of all.
        speaker: The speaker of the channel.
    """

    inputs: dict[str, Any]
    channel: int | None = None
    speaker: str | None = None

    def name_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row of the pipeline with its speaker and channel.

        Args:
            row: The row.
        """
        return dict(row) if self.channel is None else {"speaker": self.speaker, **row, "channel": self.channel}


def plan_calls(
    inputs: Mapping[str, Any],
    turns: Sequence[Turn] | None = None,
    channels: bool | Sequence[str] = False,
    skip_overlap: bool = False,
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
) -> list[Call]:
    """Return what the pipeline gets of a recording: its channels, or the whole of it; without turns there may be none.

    Args:
        inputs: See `recognise_speakers`.
        turns: See `recognise_speakers`.
        channels: See `recognise_speakers`.
        skip_overlap: See `plan_turns`.
        window_seconds: See `plan_turns`.
        hop_seconds: See `plan_turns`.

    Raises:
        ValueError: See `recognise_speakers`.
    """
    if inputs.get("text") is not None and (channels or turns is not None):
        raise ValueError(
            "The text is that of the whole recording and cannot be divided among speakers: leave it out, or give a "
            "transcriber instead."
        )
    calls = [Call(dict(inputs))]
    if channels:
        names = _name_channels(inputs["audio"], channels)
        calls = [
            Call({**inputs, "audio": select_channel(inputs["audio"], number)}, number, name)
            for number, name in enumerate(names, 1)
        ]
    if turns is None:
        return calls if channels else []
    if channels:
        _check_channels(turns, len(calls))
        turns = _tell_apart(turns)
    seconds, planned = audio_seconds(inputs["audio"]), (window_seconds, hop_seconds, skip_overlap)
    for call in calls:
        own = [turn for turn in turns if call.channel in (None, turn.channel)]
        call.inputs["segments"] = plan_turns(own, seconds, *planned)
    return [call for call in calls if call.inputs["segments"]]


def select_channel(audio: Any, channel: int) -> dict[str, Any]:
    """Return one channel of a recording, as a source of `load_audio`.

    Args:
        audio: A path, the bytes of a file, or a dict with one of them.
        channel: The number of the channel, 1 for the first.
    """
    source = audio if isinstance(audio, Mapping) else {"bytes" if isinstance(audio, bytes) else "path": audio}
    return {**source, "channel": channel}


def plan_turns(
    turns: Iterable[Turn],
    seconds: float | None,
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    skip_overlap: bool = False,
) -> list[dict[str, Any]]:
    """Return turns as segments for the pipeline, sorted by start.

    Turns of one speaker that overlap or follow each other are one. Where several speakers speak at once, each of them
    gets the same sound, in which all are heard; `skip_overlap` leaves these parts out. Parts shorter than `SHORTEST`
    are left out with a warning, and a turn that ends after the recording ends with it.

    Args:
        turns: The turns of one recording.
        seconds: The length of the recording; None if it is unknown.
        window_seconds: The length of windows within a turn; None for one segment for each turn.
        hop_seconds: The distance between windows.
        skip_overlap: Whether to leave out parts in which several speakers speak.

    Raises:
        ValueError: If a turn begins after the end of the recording, or `hop_seconds` is given alone.
    """
    if hop_seconds is not None and window_seconds is None:
        raise ValueError("hop_seconds is the distance of windows: give it with window_seconds.")
    spans = {}
    for turn in turns:
        spans.setdefault(turn.speaker, []).append(_cut_turn(turn, math.inf if seconds is None else seconds))
    spans = {speaker: join(own) for speaker, own in spans.items()}
    if skip_overlap:
        spans = {
            speaker: subtract(own, join([span for other in spans if other != speaker for span in spans[other]]))
            for speaker, own in spans.items()
        }
    parts = [(*span, speaker) for speaker, own in spans.items() for span in own]
    if short := sum(end - start < SHORTEST for start, end, _ in parts):
        logger.warning("%d turns are shorter than %g s, and are left out.", short, SHORTEST)
    segments = []
    for start, end, speaker in sorted(part for part in parts if part[1] - part[0] >= SHORTEST):
        windows = [(0.0, end - start)]
        if window_seconds is not None:
            windows = [window[:2] for window in plan_windows(end - start, window_seconds, hop_seconds)]
        segments += [
            {"start": round(start + first, 6), "end": round(min(start + last, end), 6), "speaker": speaker}
            for first, last in windows
        ]
    return segments


def _cut_turn(turn: Turn, seconds: float) -> tuple[float, float]:
    """Return the span of a turn within the recording."""
    if turn.start >= seconds:
        raise ValueError(
            f"A turn of {turn.speaker} begins at {turn.start:g} s, and the recording lasts {seconds:.3f} s: use the RTTM "
            "file of this recording."
        )
    if turn.end > seconds + SPAN_TOLERANCE:
        logger.warning(
            "A turn of %s ends at %g s, and the recording lasts %.3f s: it ends with it.",
            turn.speaker,
            turn.end,
            seconds,
        )
    return turn.start, min(turn.end, seconds)


def _name_channels(audio: Any, channels: bool | Sequence[str]) -> list[str]:
    """Return the name of the speaker of each channel."""
    count = audio_channels(audio)
    if count < 2:
        raise ValueError("The recording has one channel: `channels` is for recordings with a speaker on each channel.")
    names = [f"channel {number}" for number in range(1, count + 1)] if channels is True else list(channels)
    if len(names) != count or len({*names}) != count:
        raise ValueError(f"The recording has {count} channels: give {count} different names, not {', '.join(names)}.")
    return names


def _check_channels(turns: Iterable[Turn], count: int) -> None:
    """Raise a ValueError if a turn states no channel, or one that the recording does not have."""
    for turn in turns:
        if turn.channel is None or not 1 <= turn.channel <= count:
            stated = "none" if turn.channel is None else turn.channel
            raise ValueError(
                f"The turn of {turn.speaker} at {turn.start:g} s states the channel {stated}, and the recording has "
                f"channels 1 to {count}: correct the RTTM file, or average the channels."
            )


def _tell_apart(turns: Sequence[Turn]) -> list[Turn]:
    """Add the channel to names of speakers that several channels have: they are different people."""
    channels = {}
    for turn in turns:
        channels.setdefault(turn.speaker, set()).add(turn.channel)
    return [
        turn if len(channels[turn.speaker]) == 1 else turn._replace(speaker=f"{turn.speaker}, channel {turn.channel}")
        for turn in turns
    ]
