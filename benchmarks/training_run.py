"""Shares of a training run of the demonstration: the work of the model, and everything else.

The work of the model is forward (in evaluations too), backward, and the step of the optimizer with clipping and schedule.
Everything else loads, saves, logs, measures and draws, from the recipe to `results.json`, and should take at most 15 % of the
time of the speech and fusion models; the text model is too small for that.
"""

import functools
import gc
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import recipes
from .measuring import table
from .subprocess_run import run_in_subprocess

SYSTEMS = ("cross_attention", "speech", "text")
MODEL = ("forward", "forward, evaluation", "backward", "optimizer")
NOTE = (
    "Seconds of wall time, and of processor time of the main process, without imports. Else: all but forward, backward and "
    "optimizer. Batches: reading rows, decoding, tokens and padding, or waiting for the process that does it."
)


class Stopwatch:
    """Times parts of a run, each without the parts inside it."""

    def __init__(self):
        self.seconds = defaultdict(lambda: [0.0, 0.0])  # wall time and processor time by part
        self._open = []  # the parts that are being timed, and when the last one went on

    def time(self, owner: Any, name: str, part: str | Callable[..., str]) -> None:
        """Time all calls of an attribute of `owner` as a part, or as the part that a function of the arguments names."""
        call = getattr(owner, name)

        @functools.wraps(call)
        def timed(*args, **kwargs):
            self._open.append(part if isinstance(part, str) else part(*args, **kwargs))
            self._switch(-2)
            try:
                return call(*args, **kwargs)
            finally:
                self._switch(-1)
                self._open.pop()

        setattr(owner, name, timed)

    def _switch(self, place: int) -> None:
        """Add the time since the last switch to the open part at a place."""
        now = time.perf_counter(), time.process_time()
        if len(self._open) >= -place:
            for kind in range(2):
                self.seconds[self._open[place]][kind] += now[kind] - self._since[kind]
        self._since = now


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    if quick:
        short = {"max_steps": 2, "corpus_options": {"utterances": 104}, "max_train_samples": 16}
        return [_shares_table("text", measure_run("text", short))]
    return [_shares_table(system, run_in_subprocess(measure_run, system=system, options={})[0]) for system in SYSTEMS]


def measure_run(system: str, options: dict) -> dict[str, list[float]]:
    """Return the seconds of wall time and of processor time of each part of a run.

    Args:
        system: Name of a recipe of the demonstration.
        options: Options that replace those of the recipe.
    """
    from ..corpora import load_corpus
    from ..training import run
    from ..training.recipe import Recipe

    with tempfile.TemporaryDirectory() as folder:
        file = Path(recipes.__file__).with_name("spoken") / f"{system}.yaml"
        recipe = Recipe.read(file, output_dir=folder, disable_tqdm=True, **options)
        load_corpus(recipe.data.corpus, **recipe.data.corpus_options)  # which is made if it is missing
        gc.freeze()  # as the command does
        watch = Stopwatch()
        _time_parts(watch)
        watch.time(run, "train", "end")
        run.train(recipe)
    return watch.seconds


def _time_parts(watch: Stopwatch) -> None:
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer
    from accelerate.scheduler import AcceleratedScheduler
    from torch.utils.data import dataloader

    from ..modeling.modeling_emofusion import EmoFusionForSequenceClassification
    from ..training import lifecycle, run, trainer

    watch.time(
        EmoFusionForSequenceClassification,
        "forward",
        lambda model, *args, **kwargs: "forward" if model.training else "forward, evaluation",
    )
    for part, owner, names in (
        ("backward", Accelerator, ["backward"]),
        ("optimizer", Accelerator, ["clip_grad_norm_"]),
        ("optimizer", AcceleratedOptimizer, ["step", "zero_grad"]),
        ("optimizer", AcceleratedScheduler, ["step"]),
        ("rows, model and trainer", run, ["load_rows", "build_trainer"]),
        ("batches", dataloader.DataLoader, ["__iter__"]),
        ("batches", dataloader._BaseDataLoaderIter, ["__next__"]),
        ("evaluation", trainer.EmotionTrainer, ["evaluation_loop"]),
        ("loop", trainer.EmotionTrainer, ["train"]),
        ("saving", trainer.EmotionTrainer, ["_save_checkpoint", "_load_best_model", "save_bundle"]),
        ("saving: code", trainer, ["write_bundle"]),
        ("saving: card", trainer, ["write_card"]),
        ("saving: card", lifecycle, ["write_card"]),
        ("pictures", lifecycle, ["_draw"]),
    ):
        for name in names:
            watch.time(owner, name, part)


def _shares_table(system: str, seconds: dict[str, list[float]]) -> dict:
    total = [sum(values) for values in zip(*seconds.values(), strict=True)]
    other = [sum(values) for values in zip(*(seconds[part] for part in seconds if part not in MODEL), strict=True)]
    ordered = sorted(seconds.items(), key=lambda item: (item[0] not in MODEL, -item[1][0]))
    rows = [
        {"what": part, "s": values[0], "%": 100 * values[0] / total[0]}
        | {"processor s": values[1], "processor %": 100 * values[1] / total[1]}
        for part, values in [*ordered, ("else", other), ("run", total)]
    ]
    return table(f"A training run: {system}", rows, NOTE)
