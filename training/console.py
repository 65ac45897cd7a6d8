"""Console output of a training: a screen at the start, the remaining time, and a screen at the end."""

import math
import re
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

from transformers import TrainerCallback
from transformers.utils import logging

from ..configuration.plain_text import format_seconds, show_name
from ..evaluation.results import RunResults
from ..evaluation.sample_size import explain_uncertainty
from ..evaluation.task import Task, task_of_results
from .arguments import EmotionTrainingArguments
from .corpus_console import format_corpora, format_maps
from .progress import say
from .trainer import EmotionTrainer

WARM_UP = 2  # first steps, which are slower than others
TIMED = 20  # steps that the remaining time is estimated from
SHOWN_INTERVALS = ("ua", "ccc")  # scores whose intervals are printed


def show_run(trainer: EmotionTrainer) -> None:
    """Let a trainer print the plan of its run before its log; only the main process prints."""
    logging.disable_progress_bar()  # of files that are written; downloads are over
    trainer.add_callback(Console(trainer.run_metadata.results))


class Console(TrainerCallback):
    """Prints the plan of a run, and its estimated duration.

    Args:
        results: The results of the run, as far as they are known before it begins.
    """

    def __init__(self, results: RunResults):
        self.results = results
        self._skip = WARM_UP
        self._since = None  # end of the last step, if the next step follows immediately
        self._seconds = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Print the start screen."""
        if state.is_world_process_zero:
            say(format_start(self.results, args, state.max_steps, state.num_train_epochs, state.global_step))

    def on_step_end(self, args, state, control, **kwargs):
        """Print the estimated remaining time, once."""
        now, remaining = time.perf_counter(), state.max_steps - state.global_step
        if self._skip:
            self._skip -= 1
        elif self._since is not None and len(self._seconds) < TIMED:
            self._seconds.append(now - self._since)
            if len(self._seconds) == TIMED and remaining and state.is_world_process_zero:
                seconds = sum(self._seconds) / TIMED * remaining
                rest = "" if args.eval_strategy == "no" else ", plus validation"
                say(f"about {format_seconds(seconds)} for the remaining {remaining:,} steps{rest}")
        self._since = now

    def on_evaluate(self, args, state, control, **kwargs):
        """Do not count the time of the validation."""
        self._since = None

    def on_save(self, args, state, control, **kwargs):
        """Do not count the time of saving."""
        self._since = None


def format_start(
    results: RunResults, args: EmotionTrainingArguments, max_steps: int, epochs: float, done: int = 0
) -> str:
    """Return the plan of a run as one screen of 80 columns.

    Args:
        results: The results of the run, as far as they are known before it begins.
        args: The training arguments.
        max_steps: Number of optimizer steps.
        epochs: Number of epochs, rounded up.
        done: Steps that were made before the run was interrupted.
    """
    pretrained = [f"{name} ({kind})" for kind, name in results.base_models.items() if name]
    total, trainable = results.parameters.total, results.parameters.trainable
    resumed = f"; resumes after step {done}" if done else ""
    lines = {
        "model": f"{results.model_class} on {', '.join(results.modalities)}",
        "pretrained": ", ".join(pretrained) or "none (random weights)",
        "parameters": f"{total:,}: {trainable:,} trained, {total - trainable:,} frozen",
        "batch": f"{_format_batch(args)}, on {args.device.type}",
        "steps": f"{max_steps:,} in {epochs:g} epoch{'s' * (epochs != 1)}{resumed}; seed {args.seed}",
    }
    if results.corpus.selection:
        selection = results.corpus.selection
        lines["keeps"] = re.sub(r" (was|were) kept;.*", "", selection[0].lower() + selection[1:])
    lines |= {"output": args.output_dir}
    lines |= {"trackers": ", ".join(args.report_to)} if args.report_to else {}
    corpus = results.corpus.title or results.corpus.name
    title = f"{results.system} on {corpus}" if corpus else results.system
    blocks = [
        [f"{name:<11} {lines[name]}" for name in names if name in lines]
        for names in (("model", "pretrained", "parameters"), ("batch", "steps", "keeps", "output", "trackers"))
    ]
    return "\n".join(
        ["", title, "", *blocks[0], "", *_format_data(results), "", *format_maps(results), *blocks[1], ""]
    )


def format_scores(results: RunResults, folder: str | Path) -> str:
    """Return the scores of a run on the test split.

    Args:
        results: The results.
        folder: The folder of the model.
    """
    task, lines = task_of_results(results), [f"Test split of {results.corpus.title}."]
    for name in SHOWN_INTERVALS:
        if edges := getattr(results.intervals, name, None):
            low, high = (task.format_cell(name, edge) for edge in edges)
            lines.append(f"95 % interval of {task.summary[name]}, by speaker: {low} to {high}.")
    lines.append(task.describe_details(results))
    lines += textwrap.wrap(explain_uncertainty(results), 80)
    lines += format_corpora(results, task)
    return f"{format_table({results.system: summarise(results, folder)}, task)}\n\n" + "\n".join(lines)


def describe_folder(results: RunResults, folder: str | Path) -> str:
    """Return a sentence about the contents of the folder of a run."""
    files = ["its card (README.md)", "results.json", *results.pictures]
    return f"{folder} holds the model, {', '.join(files[:-1])} and {files[-1]}."


def format_table(systems: Mapping[str, Mapping], task: Task) -> str:
    """Return a table of systems for the console: test scores, parameters, seconds of training.

    Args:
        systems: By name, a mapping from `summarise`.
        task: The task of all systems.
    """
    width = max(len("system"), *map(len, systems))
    columns = {score: max(8, len(heading) + 2) for score, heading in task.summary.items()}
    headings = "".join(f"{task.summary[score]:>{size}}" for score, size in columns.items())
    lines = [f"{'system':<{width}}{headings}   parameters   training"]
    for name, row in systems.items():
        cells = {score: task.format_cell(score, row[score]) if score in row else "" for score in columns}
        scores = "".join(f"{cells[score]:>{size}}" for score, size in columns.items())
        lines.append(f"{name:<{width}}{scores}{row['parameters']:13,}{row['seconds']:9.0f} s")
    return "\n".join(lines)


def summarise(results: RunResults, folder: str | Path) -> dict:
    """Return the row of a run in a table of systems.

    Args:
        results: The results of the run.
        folder: The folder of the model.
    """
    task = task_of_results(results)
    values = task.values(results.metrics["test"])
    return {
        **{score: values[score] for score in task.summary if score in values},
        "parameters": results.parameters.total,
        "seconds": results.seconds,
        "folder": str(folder),
    }


def predict_command(results: RunResults, folder: str | Path) -> str:
    """Return the command that runs a trained model on a recording.

    Args:
        results: The results of the run.
        folder: The folder of the model.
    """
    arguments = {"audio": "RECORDING", "text": "--text TRANSCRIPT", "video": "--video VIDEO"}
    given = " ".join(arguments[modality] for modality in results.modalities)
    return f"emofusion predict {folder} {given}"


def push_command(folder: str | Path) -> str:
    """Return the command that publishes a model."""
    return f"emofusion push {folder} OWNER/NAME"


def _format_batch(args: EmotionTrainingArguments) -> str:
    """Return the size of a step: utterances or seconds per process, times processes, times accumulated batches."""
    by_seconds, size = args.max_batch_seconds, args.train_batch_size
    factors = [f"{by_seconds:g} s of sound" if by_seconds else str(size)]
    factors += [f"{args.world_size} processes"] if args.world_size > 1 else []
    factors += [f"{args.gradient_accumulation_steps} accumulated"] if args.gradient_accumulation_steps > 1 else []
    product = " x ".join(factors)
    if by_seconds:
        return f"{product} per step"
    total = math.prod((size, args.world_size, args.gradient_accumulation_steps))
    return f"{total} utterances per step" + (f" ({product})" if len(factors) > 1 else "")


def _format_data(results: RunResults) -> list[str]:
    """Return utterances, speakers, minutes, classes and known dimensions of each split, as far as they are known."""
    data = results.data
    rows = [("", list(data)), ("utterances", [f"{counts.utterances:,}" for counts in data.values()])]
    if all(counts.speakers is not None for counts in data.values()):
        rows.append(("speakers", [f"{counts.speakers:,}" for counts in data.values()]))
    if all(counts.seconds is not None for counts in data.values()):
        rows.append(("minutes", [f"{counts.seconds / 60:,.1f}" for counts in data.values()]))
    for counted in ("classes", "dimensions"):
        numbers = [getattr(counts, counted) for counts in data.values()]
        for name in numbers[0] if numbers and all(numbers) else ():
            rows.append((show_name(name), [f"{count[name]:,}" for count in numbers]))
    return [f"{name:<11}" + "".join(f"{cell:>12}" for cell in cells) for name, cells in rows]
