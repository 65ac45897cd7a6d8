"""What the page answers: a recording is checked, recognised, and shown; every failure is one sentence."""

import logging
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..configuration.plain_text import format_seconds, one_line
from ..processing.media import audio_seconds
from ..processing.utterance_reader import Limit
from .answers_html import show_answer, show_error, show_hint, show_picture, show_windows
from .envelope import measure_envelope
from .explanation import explain
from .explanation_picture import draw_explanation
from .shown_errors import hide_folders
from .timeline_picture import draw_timeline

logger = logging.getLogger(__name__)

MEGABYTE = 2**20  # bytes, as gradio counts
LONGEST_SENTENCE = 300  # characters
WINDOW = 10.0  # seconds of a window in a recording that the model does not take whole (ours)
BATCH = 60.0  # seconds of windows that the model takes at once (ours)
TRANSCRIBER = "The transcriber failed"  # its RuntimeErrors are sentences, others are not
GONE = "The recording was removed: choose it, or record it, again."

Answer = tuple[str, str]  # HTML of the answer and of a picture


@dataclass(frozen=True)
class Limits:
    """Limits of what the page takes.

    Attributes:
        seconds: Length of a recording.
        megabytes: Size of its file.
        characters: Length of a transcript.
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
        seconds: The length of the recording; 0 without one.
        transcribed: Whether a recogniser makes the transcript.
    """

    inputs: dict[str, Any]
    seconds: float
    transcribed: bool


def build_action(
    action: Callable[[Any, Visit], Answer], recognise: Any, limits: Limits
) -> Callable[[str | None, str], Answer]:
    """Return the function behind a button of the page.

    Args:
        action: `recognise_visit` or `explain_visit`.
        recognise: The pipeline `emotion-recognition`.
        limits: Limits of the page.

    Returns:
        A function of the path of a recording, None if there is none, and its transcript. It returns the
        answer and a picture as HTML, and never raises.
    """

    def answer(path: str | None, text: str = "") -> Answer:
        try:
            modalities = recognise.model.config.modalities
            if path is None and (not text.strip() or "text" not in modalities):
                return show_hint(_what_to_give(modalities)), ""
            return action(recognise, _check_visit(recognise, limits, path, text.strip()))
        except Exception as error:
            if isinstance(error, (OSError, ValueError)) or str(error).startswith(TRANSCRIBER):
                return show_error(hide_folders(one_line(error, LONGEST_SENTENCE))), ""
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
    rows, envelope = recognise(visit.inputs, **options), measure_envelope(visit.inputs["audio"])
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
        show_picture(picture, "What the answer depends on: contributions of the voice and of each word."),
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


def _check_visit(recognise: Any, limits: Limits, path: str | None, text: str) -> Visit:
    """Return what a visitor gave; raise a `ValueError` if it is too long or cannot be read."""
    if len(text) > limits.characters:
        raise ValueError(f"The transcript has {len(text)} characters: shorten it to {limits.characters}.")
    takes_text = "text" in recognise.model.config.modalities
    inputs: dict[str, Any] = {"text": text} if text and takes_text else {}
    if path is None:
        return Visit(inputs, 0.0, transcribed=False)
    transcribed = takes_text and not inputs and recognise.transcriber is not None
    return Visit(inputs | {"audio": path}, _check_recording(Path(path), limits), transcribed)


def _check_recording(path: Path, limits: Limits) -> float:
    """Return the length of a recording in seconds.

    Raises:
        ValueError: If the file is gone, cannot be read, or is too large or too long.
    """
    if not path.is_file():
        raise ValueError(GONE)
    size = path.stat().st_size
    if size > limits.megabytes * MEGABYTE:
        raise ValueError(f"The file has {size / MEGABYTE:.0f} MB: choose one of at most {limits.megabytes} MB.")
    seconds = audio_seconds(path)
    if seconds is None:
        raise ValueError(f"{path.name} does not say how long it is: save it as WAV, FLAC or MP3.")
    if seconds > limits.seconds:
        raise ValueError(
            f"The recording lasts {format_seconds(seconds)}: choose one of at most {format_seconds(limits.seconds)}."
        )
    return seconds


def _what_to_give(modalities: Collection[str]) -> str:
    if "audio" not in modalities:
        return "Write a transcript first."
    return "Record your voice, or choose a recording, first."
