"""Emotion of a recording from an exported folder, without torch: `python predict_onnx.py FOLDER recording.wav "transcript"`."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import soxr
from tokenizers import Tokenizer


def predict(folder: str, recording: str | None = None, text: str | None = None) -> dict[str, float]:
    """Return the probability of each class, and the value of each dimension, that the model has."""
    if not recording and text is None:
        sys.exit("Give a recording, a text or both.")
    folder, about = Path(folder), json.loads(Path(folder, "export.json").read_text("utf-8"))
    inputs = {name: np.full(one["shape"], one["missing"], one["type"]) for name, one in about["inputs"].items()}
    for part in about["preparation"]:
        prefix = "" if part["member"] is None else f"member_{int(part['member'])}"
        begin = f"{prefix}_" if prefix else ""
        if part["modality"] == "audio" and recording:
            try:
                waveform, rate = soundfile.read(recording, dtype="float32", always_2d=True)
            except (OSError, soundfile.LibsndfileError) as error:
                sys.exit(f"{recording} cannot be read: {error}")
            if not len(waveform) or not np.isfinite(waveform).all():
                sys.exit(f"{recording} has no samples, or some that are not finite.")
            waveform = soxr.resample(waveform.mean(axis=1), rate, about["sampling_rate"])
            if len(waveform) > part["max_seconds"] * about["sampling_rate"]:
                sys.exit(f"{recording} is longer than {part['max_seconds']:g} s: cut it into windows.")
            if part["normalise"]:
                waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
            inputs[f"{begin}input_values"] = waveform[None].astype(np.float32)
            inputs[f"{begin}audio_attention_mask"] = np.ones((1, len(waveform)), np.int64)
        if part["modality"] == "text" and text is not None:
            tokenizer = Tokenizer.from_file(str(folder / prefix / "tokenizer.json"))
            tokenizer.no_padding()
            tokenizer.enable_truncation(part["max_tokens"])
            inputs[f"{begin}input_ids"] = np.array([tokenizer.encode(text).ids])
            inputs[f"{begin}attention_mask"] = np.ones_like(inputs[f"{begin}input_ids"])
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    outputs = dict(zip(about["outputs"], session.run(about["outputs"], inputs), strict=True))
    scores = outputs["logits"][0]
    if about["labels"]:
        scores = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    names, values = about["labels"] or about["dimensions"], list(scores)
    if "dimensions" in outputs:
        names, values = names + about["dimensions"], values + list(outputs["dimensions"][0])
    return {name: float(value) for name, value in zip(names, values, strict=True)}


if __name__ == "__main__":
    for name, value in predict(*sys.argv[1:]).items():
        print(f"{name:<12} {value:.3f}")
