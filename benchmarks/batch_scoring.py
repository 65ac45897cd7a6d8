"""A table of scores (`emofusion predict --out`) against a naive loop over the same model, and against the model's own rate.

Model, recordings and ways to measure are those of the section `scoring`. The table includes what belongs to it: the journal, the search for
recordings and the hash of the model.
"""

import itertools
import tempfile
from pathlib import Path

from ..configuration.plain_text import show_dtype
from .measuring import table
from .scoring import BATCH, CLIPS, PARTS, Ways, draw_lengths, loop_over, save_model, time_ways, write_recordings
from .subprocess_run import run_in_subprocess

TABLE = "predict --out"


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    seconds = draw_lengths(2 * BATCH if quick else CLIPS)
    if quick:
        seconds = [min(length, 1.0) for length in seconds]
    rows, _ = run_in_subprocess(measure_table, seconds=seconds, parts=1 if quick else PARTS, small=quick)
    note = (
        "Rates: recordings per second, of all parts in wall time. h/h: hours of audio in an hour. Processor: seconds per recording. "
        "Naive loop: decode, process and run each batch in order of arrival, in float32 as `from_pretrained` gives it, and in the dtype of the "
        "command. Model alone: ready batches of the loop in that dtype."
    )
    return [
        table(f"{len(seconds)} recordings, {min(seconds):g} to {max(seconds):g} s, batches of {BATCH}", rows, note)
    ]


def measure_table(seconds: list[float], parts: int, small: bool) -> list[dict]:
    """Return a row for each way to score recordings of these lengths."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_recordings(Path(folder), seconds)
        ways, dtype = build_ways(Path(folder), small)
        rows = time_ways(ways, paths, parts)
    rates = {row["what"]: row["per s"] for row in rows}
    mean = sum(seconds) / len(seconds)
    return [
        row
        | {"h/h": row["per s"] * mean}
        | {"to float32 loop": row["per s"] / rates["naive loop, float32"]}
        | {"to loop": row["per s"] / rates[f"naive loop, {dtype}"]}
        | {"to model": row["per s"] / rates[f"model alone, {dtype}"]}
        for row in rows
    ]


def build_ways(folder: Path, small: bool) -> tuple[Ways, str]:
    """Return the ways, and the dtype of the command."""
    from transformers import Wav2Vec2FeatureExtractor, pipeline

    from .. import EmoFusionProcessor, UnimodalForSequenceClassification
    from ..inference.scoring_options import ScoringOptions
    from ..inference.table_run import score_to_table

    extractor, model, numbers = Wav2Vec2FeatureExtractor(), str(folder / "model"), itertools.count()
    save_model(folder / "model", small)
    chosen = UnimodalForSequenceClassification.from_pretrained(model, dtype="auto")
    recognise = pipeline("emotion-recognition", model=chosen, processor=EmoFusionProcessor(extractor))
    dtype = show_dtype(recognise.model.dtype)

    def score(paths: list[str]) -> None:
        out = folder / f"{next(numbers)}.csv"
        score_to_table(lambda device: recognise, model, paths, out, ScoringOptions(batch_size=BATCH), show=False)

    plain = UnimodalForSequenceClassification.from_pretrained(model, dtype="float32").eval()
    ways = loop_over(plain, extractor, ", float32")
    if dtype != "float32":
        ways |= loop_over(recognise.model, extractor, f", {dtype}")
    return ways | {TABLE: (list, score)}, dtype
