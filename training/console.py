"""What a person who looks on a run sees: a screen when it starts, a line now and then, and a screen when it ends."""

import math
import re
import time
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils import logging

from .arguments import EmotionTrainingArguments
from .trainer import EmotionTrainer

WARM_UP = 2  # steps that are slower than others
TIMED = 20  # steps by which the time is judged
SCORES = {"eval_wa": "WA", "eval_ua": "UA", "eval_wf1": "WF1"}


def show_run(trainer: EmotionTrainer) -> None:
    """Let a trainer, which has facts, tell of its run on the console, in the place of transformers' own lines.

    Args:
        trainer: it; only the first process tells anything.
    """
    logging.disable_progress_bar()  # of files that are written; those of downloads are over
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(Bar)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Console(trainer.facts))


class Bar(ProgressCallback):
    """The bar alone; `Console` says what is in the log."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Say nothing."""


class Console(TrainerCallback):
    """Says what is going to be done, how long it will take once that can be measured, and what is in the log.

    Args:
        facts: of the run, from `collect_facts`.
    """

    def __init__(self, facts: Mapping):
        self.facts = facts
        self._skip = WARM_UP
        self._since = None  # when the last step ended, if nothing but a step comes next
        self._seconds = []

    def on_train_begin(self, args, state, control, **kwargs):
        """The screen."""
        if state.is_world_process_zero:
            say(format_start(self.facts, args, state.max_steps, state.num_train_epochs, state.global_step))

    def on_step_end(self, args, state, control, **kwargs):
        """The time that the rest will take, once."""
        now, remaining = time.perf_counter(), state.max_steps - state.global_step
        if self._skip:
            self._skip -= 1
        elif self._since is not None and len(self._seconds) < TIMED:
            self._seconds.append(now - self._since)
            if len(self._seconds) == TIMED and remaining and state.is_world_process_zero:
                seconds = sum(self._seconds) / TIMED * remaining
                rest = "" if args.eval_strategy == "no" else "; measuring on the validation part comes on top"
                say(f"about {format_seconds(seconds)} for the other {remaining:,} steps, judged by {TIMED}{rest}")
        self._since = now

    def on_evaluate(self, args, state, control, **kwargs):
        """Time in which was measured is not that of a step."""
        self._since = None

    def on_save(self, args, state, control, **kwargs):
        """Nor that in which was saved."""
        self._since = None

    def on_log(self, args, state, control, logs=None, **kwargs):
        """A line."""
        if state.is_world_process_zero and logs and (line := format_log(logs, state.global_step, state.max_steps)):
            say(line)


def say(text: str) -> None:
    """Print, above the bar if there is one."""
    tqdm.write(text)


def format_start(
    facts: Mapping, training_args: EmotionTrainingArguments, max_steps: int, epochs: float, done: int = 0
) -> str:
    """What is going to be done, as one screen of 80 columns.

    Args:
        facts: of the run, from `collect_facts`.
        training_args: how it is trained.
        max_steps: of the optimizer.
        epochs: that they are, rounded up.
        done: steps that were made before the run was interrupted.
    """
    args, parameters, selection = training_args, facts["parameters"], facts["corpus"]["selection"]
    named = [f"{name} ({kind})" for kind, name in facts["base_models"].items() if name]
    total, trained = parameters["total"], parameters["trainable"]
    recordings = args.train_batch_size  # of one process
    parts = [f"{args.max_batch_seconds:g} s of sound" if args.max_batch_seconds else str(recordings)]
    parts += [f"{args.world_size} processes"] if args.world_size > 1 else []
    parts += [f"{args.gradient_accumulation_steps} accumulated"] if args.gradient_accumulation_steps > 1 else []
    size = math.prod((recordings, args.world_size, args.gradient_accumulation_steps))
    factors = " x ".join(parts)
    batch = f"{factors} in a step" if args.max_batch_seconds else f"{size} utterances in a step"
    batch += f" ({factors})" if len(parts) > 1 and not args.max_batch_seconds else ""
    resumed = f"; goes on behind step {done}" if done else ""
    lines = {
        "model": f"{facts['model_class']} on {', '.join(facts['modalities'])}",
        "from": ", ".join(named) or "random weights",
        "parameters": f"{total:,}: {trained:,} trained, {total - trained:,} frozen",
        "batch": f"{batch}, on {args.device.type}",
        "steps": f"{max_steps:,} in {epochs:g} epoch{'s' * (epochs != 1)}{resumed}; seed {args.seed}",
        "keeps": re.sub(r" (was|were) kept;.*", "", selection[0].lower() + selection[1:]),
        "into": args.output_dir,
    }
    lines |= {"trackers": ", ".join(args.report_to)} if args.report_to else {}
    title = f"{facts['system']} on {facts['corpus'].get('title', facts['corpus']['name'])}"
    head, tail = ("model", "from", "parameters"), ("batch", "steps", "keeps", "into", "trackers")
    blocks = [[f"{name:<11} {lines[name]}" for name in names if name in lines] for names in (head, tail)]
    return "\n".join(["", title, "", *blocks[0], "", *_format_data(facts), "", *blocks[1], ""])


def format_log(logs: Mapping[str, float], step: int, max_steps: int) -> str:
    """An entry of Trainer's log as a line; empty if it says nothing new.

    Args:
        logs: the entry.
        step: at which it was made.
        max_steps: that there are.
    """
    epoch = f"epoch {logs.get('epoch', 0):.2f}"
    if "loss" in logs:
        losses = {name.removeprefix("loss_"): value for name, value in logs.items() if name.startswith("loss_")}
        cells = [f"step {step}/{max_steps}", epoch, f"loss {logs['loss']:.4g}"]
        if len(losses) > 1:
            cells[-1] += f" ({', '.join(f'{name} {value:.4g}' for name, value in losses.items())})"
        cells += [f"lr {logs['learning_rate']:.3g}"] if "learning_rate" in logs else []
        cells += [f"padding {logs['padding']:.0%}"] if "padding" in logs else []
        return "  ".join(cells)
    if "eval_loss" in logs:
        scores = [f"{name} {100 * logs[key]:.1f}" for key, name in SCORES.items() if key in logs]
        took = f"in {format_seconds(logs['eval_runtime'])}" if "eval_runtime" in logs else ""
        return "  ".join([f"{epoch}  validation: loss {logs['eval_loss']:.4g}", *scores, took]).rstrip()
    return ""


def format_end(results: Mapping, folder: str) -> str:
    """What came of a run, as one screen.

    Args:
        results: as in `results.json`.
        folder: of the model.
    """
    test = results["metrics"]["test"]
    recalls = zip(results["labels"], test["recall"], strict=True)
    lines = [f"Measured on the test part of {results['corpus']['title']}."]
    if results["intervals"]:
        low, high = results["intervals"]["ua"]
        lines.append(f"UA lies between {100 * low:.1f} and {100 * high:.1f} (95 %, by speaker).")
    lines.append(
        "Recall: " + ", ".join(f"{label} {100 * recall:.1f}" for label, recall in recalls if recall is not None)
    )
    lines += [
        f"{folder} has the model, its page (README.md), results.json and",
        f"{', '.join(results['pictures'])}. Try it, and publish it, with",
        f"  {predict_command(results, folder)}",
        f"  {push_command(folder)}",
    ]
    return f"\n{format_table({results['system']: summarise(results, folder)})}\n\n" + "\n".join(lines)


def format_seconds(seconds: float) -> str:
    """A time as people say it: `8.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def format_table(systems: Mapping[str, Mapping]) -> str:
    """A table of systems for the console: test WA, UA, WF1 in percent, parameters, seconds of training.

    Args:
        systems: per name, a mapping with `wa`, `ua`, `wf1` (fractions), `parameters` and `seconds`.
    """
    width = max(len("system"), *map(len, systems))
    lines = [f"{'system':<{width}}      WA      UA     WF1   parameters   training"]
    for name, row in systems.items():
        scores = "".join(f"{100 * row[score]:8.1f}" for score in ("wa", "ua", "wf1"))
        lines.append(f"{name:<{width}}{scores}{row['parameters']:13,}{row['seconds']:9.0f} s")
    return "\n".join(lines)


def predict_command(results: Mapping, folder: str | Path) -> str:
    """The command that tries a trained model on a recording.

    Args:
        results: of its run.
        folder: where it lies.
    """
    arguments = {"audio": "RECORDING", "text": "--text TRANSCRIPT", "video": "--video FILM"}
    given = " ".join(arguments[modality] for modality in results["modalities"])
    return f"python scripts/predict.py {folder} {given}"


def summarise(results: Mapping, folder: str | Path) -> dict:
    """One row of a table of systems, from a run's results."""
    test = results["metrics"]["test"]
    return {
        **{score: test[score] for score in ("wa", "ua", "wf1")},
        "parameters": results["parameters"]["total"],
        "seconds": results["seconds"],
        "folder": str(folder),
    }


def push_command(folder: str) -> str:
    """The command that publishes a model."""
    return f"python scripts/push_to_hub.py {folder} OWNER/NAME"


def _format_data(facts: Mapping) -> list[str]:
    """Utterances, speakers, minutes and classes of each split."""
    data = facts["data"]
    rows = {"": list(data), "utterances": [f"{part['utterances']:,}" for part in data.values()]}
    rows["speakers"] = [f"{part['speakers']:,}" for part in data.values()]
    if all(part["seconds"] is not None for part in data.values()):
        rows["minutes"] = [f"{part['seconds'] / 60:,.1f}" for part in data.values()]
    for label in facts["labels"]:
        rows[label] = [f"{part['classes'][label]:,}" for part in data.values()]
    return [f"{name:<11}" + "".join(f"{cell:>12}" for cell in cells) for name, cells in rows.items()]
