"""Transcription of utterances without text by a speech recogniser of the user's choice."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from transformers import Pipeline, pipeline

from ..configuration.folder_checks import check_folder
from ..configuration.plain_text import first_line
from .media import load_audio


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
        try:
            if not isinstance(self.source, Pipeline):
                self.source = _load(os.fspath(self.source), device)
            extractor = self.source.feature_extractor
            waveform = load_audio(audio, extractor.sampling_rate)
            # Whisper needs time stamps to continue after its window of 30 s.
            if len(waveform) > getattr(extractor, "n_samples", len(waveform)):
                options = {"return_timestamps": True} | options
            return self.source({"raw": waveform, "sampling_rate": extractor.sampling_rate}, **options)["text"].strip()
        except Exception as error:
            raise RuntimeError(f"The transcriber failed: {first_line(error)}") from error


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
