"""Transcripts for utterances that have none: whatever recogniser of speech the user names writes them."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from transformers import Pipeline, pipeline

from .media import load_audio


class Transcriber:
    """A recogniser of speech that hears one recording at a time, because company changes what some models hear.

    Args:
        source: A pipeline for automatic speech recognition; or the name on the Hub or the folder of a model for one, which
            is loaded with the first recording, from safetensors and without code of its own.

    Raises:
        TypeError: `source` is something else.
    """

    def __init__(self, source: Pipeline | str | os.PathLike):
        if not isinstance(source, (Pipeline, str, os.PathLike)):
            raise TypeError(
                "transcriber must be a pipeline for automatic-speech-recognition, or the name or folder of a model for "
                f"one, not {type(source).__name__}."
            )
        self.source = source

    def __call__(self, audio: Mapping[str, Any], device: torch.device, place: str = "", **options) -> str:
        """What is said.

        Args:
            audio: `{"array": ..., "sampling_rate": ...}`, one channel; it is resampled to what the recogniser wants.
            device: Where a model is loaded to.
            place: What an error begins with.
            **options: Of the recogniser's pipeline.

        Raises:
            RuntimeError: The recogniser cannot be loaded, or fails.
        """
        try:
            if not isinstance(self.source, Pipeline):
                self.source = _load(os.fspath(self.source), device)
            extractor = self.source.feature_extractor
            waveform = load_audio(audio, extractor.sampling_rate)
            # Whisper hears half a minute, and goes on by its own time stamps.
            if len(waveform) > getattr(extractor, "n_samples", len(waveform)):
                options = {"return_timestamps": True} | options
            return self.source({"raw": waveform, "sampling_rate": extractor.sampling_rate}, **options)["text"].strip()
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RuntimeError(f"{place}The transcriber fails: {reason}") from error


def _load(model: str, device: torch.device) -> Pipeline:
    return pipeline(
        "automatic-speech-recognition",
        model=model,
        device=device,
        dtype=torch.float32 if device.type == "cpu" else "auto",
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
