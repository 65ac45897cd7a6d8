"""What the page answers: a recording is checked, recognised, and shown; every failure is one sentence."""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..configuration.plain_text import format_seconds, join_words
from ..processing.input_errors import TRANSCRIBER_FAILED
from ..processing.media import audio_seconds
from ..processing.utterance_reader import Limit
from ..processing.video import video_seconds
from .answers_html import show_answer, show_error, show_hint, show_picture, show_windows
from .earlier_turns import read_turn
from .envelope import measure_envelope
from .explanation import explain
from .explanation_picture import draw_explanation
from .shown_errors import show_sentence
from .timeline_picture import draw_timeline

logger = logging.getLogger(__name__)

MEGABYTE = 2**20  # bytes, as gradio counts
WINDOW = 10.0  # seconds of a window in a recording that the model does not take whole (ours)
BATCH = 60.0  # seconds of windows that the model takes at once (ours)
GONE = "The recording was removed: choose it, or record it, again."

Answer = tuple[str, str]  # HTML of the answer and of a picture


@dataclass(frozen=True)
class Limits:
    """Limits of what the page takes.

    Attributes:
        seconds: Length of a recording or a video.
        megabytes: Size of its file.
        characters: Length of a transcript, and of the earlier turns.
        kept_seconds: Time after which a recording is removed, if the visitor has not left the page before.
        waiting: Visitors that may wait for an answer.
    """

    seconds: float = 600.0
    megabytes: int = 120  # ten minutes of stereo at 44.1 kHz
    characters: int = 2000
    kept_seconds: int = 600
    waiting: int = 16


@dataclass(frozen=True)
class Visit:
    """What a visitor gave, after a check.

    Attributes:
        inputs: The utterance for the pipeline.
        seconds: The length of the recording or the video; 0 without one.
        transcribed: Whether a recogniser makes the transcript.
    """

    inputs: dict[str, Any]
    seconds: float
    transcribed: bool


def build_action(action: Callable[[Any, Visit], Answer], recognise: Any, limits: Limits) -> Callable[..., Answer]:
    """Return the function behind a button of the page.

    Args:
        action: `recognise_visit` or `explain_visit`.
        recognise: The pipeline `emotion-recognition`.
        limits: Limits of the page.

    Returns:
        A function of the path of a recording, its transcript, the path of a video, earlier turns, a line each, and the
        speaker of the recording; "" or None where there is none. It returns the answer and a picture as HTML, and never
        raises.
    """

    def answer(
        path: str | None = None,
        text: str | None = "",
        video: str | None = None,
        turns: str | None = "",
        speaker: str | None = "",
    ) -> Answer:
        try:
            text, turns, speaker = ((value or "").strip() for value in (text, turns, speaker))
            visit = _check_visit(recognise, limits, path, text, video, turns, speaker)
            return (show_hint(_what_to_give(recognise)), "") if visit is None else action(recognise, visit)
        except Exception as error:
            # RuntimeErrors of the transcriber are sentences, others are not.
            if isinstance(error, (OSError, ValueError)) or str(error).startswith(TRANSCRIBER_FAILED):
                return show_error(show_sentence(error)), ""
            logger.exception("The page could not answer.")
            return show_error("The model failed on this recording; the log of the page has the reason."), ""

    return answer


def recognise_visit(recognise: Any, visit: Visit) -> Answer:
    """Return the answer for a recording; if the model does not take it whole, that for each window and a timeline.

    Args:
        recognise: The pipeline.
        visit: What the visitor gave.

    Raises:
        OSError: If the recording cannot be read.
        RuntimeError: If the recogniser fails.
        ValueError: If the recording cannot be used, or is to be cut and has a transcript.
    """
    window = longest_window(recognise)
    if visit.seconds <= window:
        return show_answer(recognise(visit.inputs, return_text=True), visit.transcribed), ""
    if "text" in visit.inputs:
        raise ValueError(
            f"The recording lasts {format_seconds(visit.seconds)}, and this model takes {window:g} s at a time: leave the "
            "transcript empty, because it cannot be divided, or choose a shorter recording."
        )
    options = {"window_seconds": min(WINDOW, window), "batch_seconds": BATCH, "return_text": True}
    rows = recognise(visit.inputs, **options)
    envelope = measure_envelope(visit.inputs["audio"]) if "audio" in visit.inputs else None
    timeline = _draw(partial(draw_timeline, rows=rows, waveform=envelope))
    return show_windows(rows), show_picture(timeline, "Emotion over time; the answer has the numbers.")


def explain_visit(recognise: Any, visit: Visit) -> Answer:
    """Return the answer for a recording, and the picture that explains it.

    Args:
        recognise: The pipeline.
        visit: What the visitor gave.

    Raises:
        OSError: If the recording cannot be read.
        RuntimeError: If the recogniser fails.
        ValueError: If the recording cannot be used, or is longer than the model takes.
    """
    window, inputs = longest_window(recognise), visit.inputs
    if visit.seconds > window:
        raise ValueError(
            f"The recording lasts {format_seconds(visit.seconds)}: only one of up to {window:g} s can be explained."
        )
    if visit.transcribed:
        inputs = inputs | {"text": recognise(inputs, return_text=True)["text"]}
    explanation = explain(recognise.model, recognise.processor, inputs)
    picture = _draw(partial(draw_explanation, explanation=explanation))
    answer = explanation.answer if isinstance(explanation.answer, dict) else {"scores": explanation.answer}
    return (
        show_answer(answer | {"text": inputs.get("text")}, visit.transcribed),
        show_picture(picture, "What the answer depends on: contributions of each input and of each word."),
    )


def longest_window(recognise: Any) -> float:
    """Return the seconds of a recording that a model takes whole."""
    return Limit.from_processor(recognise.processor).seconds


def _draw(draw: Callable[[Path], Any]) -> bytes:
    """Return the PNG that a function draws."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.png")
        draw(path)
        return path.read_bytes()


def reads_context(recognise: Any) -> bool:
    """Return whether a model reads earlier turns of a dialogue."""
    return bool(recognise.processor.earlier_turns or recognise.model.config.history)


def _check_visit(
    recognise: Any, limits: Limits, path: str | None, text: str, video: str | None, turns: str, speaker: str
) -> Visit | None:
    """Return what a visitor gave, None if nothing is there to recognise.

    Raises:
        ValueError: If it is too long or cannot be read.
    """
    modalities, seconds = recognise.model.config.modalities, [0.0]
    for name, given, it in (("transcript has", text, "it"), ("earlier turns have", turns, "them")):
        if len(given) > limits.characters:
            raise ValueError(f"The {name} {len(given)} characters: shorten {it} to {limits.characters}.")
    inputs: dict[str, Any] = {"text": text} if text and "text" in modalities else {}
    transcribed = "text" in modalities and not text and recognise.transcriber is not None
    if video is not None:
        inputs["video"], has_sound = video, _has_sound(Path(video))
        seconds.append(_check_recording(Path(video), limits, audio_seconds if has_sound else video_seconds))
        path = video if path is None and has_sound and hears(recognise) else path
    if path is not None:
        inputs["audio"] = path
        seconds.append(_check_recording(Path(path), limits, audio_seconds))
    if inputs and reads_context(recognise) and turns:
        named = speaker or None
        inputs |= {
            "context": [read_turn(turn, named) for turn in turns.splitlines() if turn.strip()],
            "speaker": named,
        }
    return Visit(inputs, max(seconds), transcribed and "audio" in inputs) if inputs else None


def hears(recognise: Any) -> bool:
    """Return whether a recording is of use: to the model, or to the recogniser that writes the transcript."""
    return "audio" in recognise.model.config.modalities or recognise.transcriber is not None


def _has_sound(path: Path) -> bool:
    try:
        return audio_seconds(path) is not None
    except (OSError, ValueError):  # a file that is no video either is refused as one
        return False


def _check_recording(path: Path, limits: Limits, measure: Callable[[Path], float | None]) -> float:
    """Return the length of a recording or a video in seconds.

    Args:
        path: The file.
        limits: Limits of the page.
        measure: `audio_seconds` or `video_seconds`.

    Raises:
        ValueError: If the file is gone, cannot be read, or is too large or too long.
    """
    if not path.is_file():
        raise ValueError(GONE)
    size = path.stat().st_size
    if size > limits.megabytes * MEGABYTE:
        raise ValueError(f"The file has {size / MEGABYTE:.0f} MB: choose one of at most {limits.megabytes} MB.")
    seconds = measure(path)
    if seconds is None:
        raise ValueError(f"{path.name} does not say how long it is: save it as WAV, FLAC, MP3 or MP4.")
    if seconds > limits.seconds:
        raise ValueError(
            f"The recording lasts {format_seconds(seconds)}: choose one of at most {format_seconds(limits.seconds)}."
        )
    return seconds


def _what_to_give(recognise: Any) -> str:
    kinds = ["a recording"] * hears(recognise) + ["a video"] * ("video" in recognise.model.config.modalities)
    if not kinds:
        return "Write a transcript first."
    record = "Record your voice, or choose" if hears(recognise) else "Choose"
    return f"{record} {join_words(kinds, 'or')}, first."
