"""Scoring of many recordings: the pipeline against a naive loop with the same model, and against the model's own rate.

The model is one of speech with random weights, of the size of wav2vec 2.0 base. Recordings are wav files of noise at 16 kHz,
as in IEMOCAP. They are scored in parts, each by all ways in turn, in batches of 8.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..configuration.modalities import SAMPLING_RATE, host_lengths
from ..configuration.plain_text import show_dtype
from .measuring import table, with_progress
from .subprocess_run import run_in_subprocess

BATCH = 8
CLIPS, PARTS = 120, 3  # of each set, and the parts that it is scored in
FIXED = 8.0  # seconds
MEDIAN, SPREAD, TAIL = 3.0, 0.8, 30.0  # seconds, of the logarithm, seconds
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
# Ways to score recordings: a function that prepares what is not measured, and one that is measured.
Ways = dict[str, tuple[Callable, Callable]]


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    sets = {f"{FIXED:g} s": [FIXED] * CLIPS, f"median {MEDIAN:g} s, up to {TAIL:g} s": draw_lengths(CLIPS)}
    if quick:
        sets = {"0.5 s": [0.5] * 2 * BATCH}
    tables = []
    for title, seconds in with_progress(sets.items(), "Scoring"):
        rows, _ = run_in_subprocess(measure_set, seconds=seconds, parts=1 if quick else PARTS, small=quick)
        tables.append(table(f"{len(seconds)} recordings of {title}, batches of {BATCH}", rows))
    tables[-1]["note"] = (
        'Rates: recordings per second, of all parts in wall time. Processor: seconds per recording. The model is in the dtype of dtype="auto". '
        "Naive loop: decode, process and run each batch in order of arrival. Model alone: ready batches of the loop. transformers: "
        "its pipeline `audio-classification` with the encoder in float32, given decoded waveforms."
    )
    return tables


def draw_lengths(count: int) -> list[float]:
    """Return lengths in seconds, log-normal, from 0.5 s to `TAIL`."""
    lengths = np.random.default_rng(0).lognormal(np.log(MEDIAN), SPREAD, count)
    return np.clip(lengths, 0.5, TAIL).round(2).tolist()


def measure_set(seconds: list[float], parts: int, small: bool) -> list[dict]:
    """Return a row for each way to score recordings of these lengths."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_recordings(Path(folder), seconds)
        ways, dtype = build_ways(Path(folder), small)
        rows = time_ways(ways, paths, parts)
    naive, own = (next(row for row in rows if row["what"] == name)["per s"] for name in ("naive loop", "model alone"))
    return [row | {"to loop": row["per s"] / naive, "to model": row["per s"] / own, "dtype": dtype} for row in rows]


def time_ways(ways: Ways, paths: list[str], parts: int) -> list[dict]:
    """Return a row for each way, with its rates; each part of the recordings is scored by all ways in turn."""
    spent = {name: [] for name in ways}
    for prepare, score in ways.values():
        score(prepare(paths[:2]))  # to load modules and fill caches
    size = -(-len(paths) // parts)
    for part in (paths[first : first + size] for first in range(0, len(paths), size)):
        for name, (prepare, score) in ways.items():
            ready = prepare(part)
            wall, processor = time.perf_counter(), time.process_time()
            score(ready)
            spent[name].append((time.perf_counter() - wall, time.process_time() - processor, len(part)))
    return [describe(name, times) for name, times in spent.items()]


def describe(name: str, times: list[tuple[float, float, int]]) -> dict:
    """Return the rates of a way, from wall and processor seconds and the number of recordings of each part."""
    rates = [count / wall for wall, _, count in times]
    clips = sum(count for *_, count in times)
    return {
        "what": name,
        "per s": clips / sum(wall for wall, *_ in times),
        "median": statistics.median(rates),
        "least": min(rates),
        "most": max(rates),
        "processor s": sum(processor for _, processor, _ in times) / clips,
    }


def write_recordings(folder: Path, seconds: list[float]) -> list[str]:
    """Write noise as wav files, and return their paths."""
    import soundfile

    generator, paths = np.random.default_rng(0), []
    for number, length in enumerate(seconds):
        paths.append(str(folder / f"{number}.wav"))
        soundfile.write(paths[-1], generator.normal(0, 0.1, round(length * SAMPLING_RATE)), SAMPLING_RATE)
    return paths


def build_ways(folder: Path, small: bool) -> tuple[Ways, str]:
    """Return the ways, and the dtype of our model."""
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline

    from .. import EmoFusionProcessor, UnimodalForSequenceClassification
    from ..processing import load_audio

    encoder = save_model(folder / "model", small)
    model = UnimodalForSequenceClassification.from_pretrained(folder / "model", dtype="auto").eval()
    extractor = Wav2Vec2FeatureExtractor()
    recognise = pipeline("emotion-recognition", model=model, processor=EmoFusionProcessor(extractor))
    stock_model = Wav2Vec2ForSequenceClassification(encoder).eval()
    stock = pipeline("audio-classification", model=stock_model, feature_extractor=extractor)

    def score_with_stock(paths: list[str]) -> None:
        rows = ({"raw": load_audio(path, SAMPLING_RATE), "sampling_rate": SAMPLING_RATE} for path in paths)
        list(stock(rows, batch_size=BATCH))

    ways = loop_over(model, extractor) | {
        "our pipeline": (list, lambda paths: recognise(paths, batch_size=BATCH)),
        "transformers": (list, score_with_stock),
    }
    return ways, show_dtype(model.dtype)


def save_model(folder: Path, small: bool) -> Any:
    """Save a model of speech with random weights in float32, and return the configuration of its encoder."""
    import torch
    from transformers import Wav2Vec2Config

    from .. import UnimodalConfig, UnimodalForSequenceClassification

    torch.manual_seed(0)
    encoder = Wav2Vec2Config(**SMALL if small else {}, num_labels=4)
    config = UnimodalConfig(modality="audio", audio_config=encoder.to_dict(), num_labels=4)
    UnimodalForSequenceClassification(config).save_pretrained(folder)
    return encoder


def loop_over(model: Any, extractor: Any, suffix: str = "") -> Ways:
    """Return a naive loop over a model, in batches in order of arrival, and the model alone on ready batches of the loop."""
    import torch

    from .. import EmoFusionProcessor
    from ..processing import load_audio

    processor = EmoFusionProcessor(extractor)

    def batch(paths: list[str]) -> dict:
        waveforms = [load_audio(path, SAMPLING_RATE) for path in paths]
        made = processor(audio=waveforms, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        return made | {"input_values": made["input_values"].to(model.dtype), "lengths": host_lengths(made)}

    def split(paths: list[str]) -> list[list[str]]:
        return [paths[first : first + BATCH] for first in range(0, len(paths), BATCH)]

    @torch.inference_mode()
    def run(batches: Iterable[dict]) -> None:
        for ready in batches:
            model(**ready).logits.softmax(-1).tolist()

    return {
        f"naive loop{suffix}": (list, lambda paths: run(map(batch, split(paths)))),
        f"model alone{suffix}": (lambda paths: list(map(batch, split(paths))), run),
    }
