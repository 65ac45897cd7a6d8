"""Transcription of utterances without text by a speech recogniser of the user's choice."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import Pipeline, pipeline

from ..configuration.folder_checks import check_folder
from ..configuration.plain_text import first_line
from .input_errors import TRANSCRIBER_FAILED
from .media import load_audio
from .word_times import Word, words_of_answer


class Transcriber:
    """A speech recogniser that runs on one recording at a time, because padding changes the result of some models.

    Args:
        source: A pipeline for automatic speech recognition; or the Hub id or folder of such a model, which is loaded
            with the first recording, from safetensors and without remote code.

    Raises:
        TypeError: If `source` has another type.
    """

    def __init__(self, source: Pipeline | str | os.PathLike):
        if not isinstance(source, (Pipeline, str, os.PathLike)):
            raise TypeError(
                "transcriber must be a pipeline for automatic-speech-recognition, or the Hub id or folder of a model for "
                f"it, not {type(source).__name__}."
            )
        self.source = source

    def __call__(self, audio: Mapping[str, Any], device: torch.device, **options) -> str:
        """Return the transcript of a recording.

        Args:
            audio: `{"array": ..., "sampling_rate": ...}`, one channel; it is resampled to the recogniser's sampling
                rate.
            device: The device for a model that is loaded here.
            **options: Options of the recogniser's pipeline.

        Raises:
            RuntimeError: If the recogniser cannot be loaded, or fails.
        """
        return self._recognise(audio, device, options, lambda answer: answer["text"].strip())

    def transcribe(self, row: Mapping[str, Any], device: torch.device, options: Mapping[str, Any]) -> str:
        """Return the transcript of an utterance.

        With `return_timestamps="word"` the text of a window is taken from the words of the part of the recording that it
        is in, unless the recogniser gives no times.

        Args:
            row: The utterance, from a reader.
            device: See `__call__`.
            options: See `__call__`.

        Raises:
            RuntimeError: If the recogniser cannot be loaded, or fails.
        """
        text = None
        if "part" in row and options.get("return_timestamps") == "word":
            part, start, end = row["part"]
            text = part.text(lambda audio: self._words(audio, device, options), start, end)
        return self(row["audio"], device, **options) if text is None else text

    def _words(self, audio: Mapping[str, Any], device: torch.device, options: Mapping[str, Any]) -> list[Word] | None:
        seconds = len(audio["array"]) / audio["sampling_rate"]
        return self._recognise(audio, device, options, lambda answer: words_of_answer(answer, seconds))

    def _recognise(
        self, audio: Mapping[str, Any], device: torch.device, options: Mapping[str, Any], read: Callable[[dict], Any]
    ) -> Any:
        """Return what `read` takes from the answer of the recogniser's pipeline."""
        try:
            if not isinstance(self.source, Pipeline):
                self.source = _load(os.fspath(self.source), device)
            extractor = self.source.feature_extractor
            waveform = load_audio(audio, extractor.sampling_rate)
            # Whisper needs time stamps to continue after its window of 30 s.
            if len(waveform) > getattr(extractor, "n_samples", len(waveform)):
                options = {"return_timestamps": True, **options}
            return read(self.source({"raw": waveform, "sampling_rate": extractor.sampling_rate}, **options))
        except Exception as error:
            raise RuntimeError(f"{TRANSCRIBER_FAILED}: {first_line(error)}") from error


def _load(model: str, device: torch.device) -> Pipeline:
    check_folder(model)
    return pipeline(
        "automatic-speech-recognition",
        model=model,
        device=device,
        dtype=torch.float32 if device.type == "cpu" else "auto",
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
