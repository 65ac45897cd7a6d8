"""Progress of a training: bars with names, on terminals only, and lines of the log."""

import sys
from collections.abc import Mapping

from tqdm import tqdm
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import has_length

from ..configuration.plain_text import format_seconds

MOST_LINES = 50  # about as many steps of a run are printed; `training_log.json` has all that are logged
# Scores of a validation that are printed: in percent, and as they are.
PERCENT = {"eval_wa": "WA", "eval_ua": "UA", "eval_wf1": "WF1", "eval_accuracy": "accuracy", "eval_eer": "EER"}
PLAIN = {"eval_ccc": "CCC", "eval_pearson": "r", "eval_rmse": "RMSE", "eval_min_dcf": "minDCF"}


def replace_progress(trainer: Trainer) -> "Bar | None":
    """Replace Trainer's progress output with ours; return the bars, None if `disable_tqdm` is set.

    Trainer prints its log as Python dictionaries. Its output in a notebook, a table, is kept.
    """
    theirs = [
        callback
        for callback in trainer.callback_handler.callbacks
        if type(callback) in (ProgressCallback, PrinterCallback)
    ]
    if not theirs:
        return None
    for callback in theirs:
        trainer.remove_callback(callback)
    bar = Bar() if any(isinstance(callback, ProgressCallback) for callback in theirs) else None
    if bar is not None:
        trainer.add_callback(bar)
    trainer.add_callback(Log)
    return bar


class Bar(ProgressCallback):
    """Progress bars with names, without the log, which `Log` prints.

    Attributes:
        split: Name of the split that is being predicted.
    """

    split = "validation"

    def on_train_begin(self, args, state, control, **kwargs):
        """Open the bar of the steps."""
        if state.is_world_process_zero:
            self.training_bar = tqdm(
                total=state.max_steps, desc="Training", unit="step", dynamic_ncols=True, disable=None
            )
        self.current_step = 0

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        """Open the bar of a split, or move it on."""
        if state.is_world_process_zero and has_length(eval_dataloader) and self.prediction_bar is None:
            self.prediction_bar = tqdm(
                total=len(eval_dataloader),
                desc=f"Predicting the {self.split} split",
                unit="batch",
                leave=False,
                dynamic_ncols=True,
                disable=None,
            )
        super().on_prediction_step(args, state, control, eval_dataloader=eval_dataloader, **kwargs)

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Print nothing."""


class Log(TrainerCallback):
    """Prints lines of the log: every validation, and at most about `MOST_LINES` steps."""

    def __init__(self):
        self._last = None  # last printed step

    def on_train_begin(self, args, state, control, **kwargs):
        """Forget the steps of another training."""
        self._last = None

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Print a line."""
        if not state.is_world_process_zero or not logs:
            return
        if "loss" in logs:
            due = self._last is None or state.global_step - self._last >= state.max_steps / MOST_LINES
            if not due and state.global_step < state.max_steps:
                return
            self._last = state.global_step
        if line := format_log(logs, state.global_step, state.max_steps):
            say(line)


def say(text: str) -> None:
    """Print text, above the progress bar if there is one."""
    if sys.stdout is not None:  # it is closed
        tqdm.write(text)


def format_log(logs: Mapping[str, float], step: int, max_steps: int) -> str:
    """Return an entry of Trainer's log as a line; empty if it has neither loss nor scores.

    Args:
        logs: The entry.
        step: The current step.
        max_steps: Number of steps of the run.
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
        scores = [f"{name} {100 * logs[key]:z.1f}" for key, name in PERCENT.items() if key in logs]
        scores += [f"{name} {logs[key]:z.3f}" for key, name in PLAIN.items() if key in logs]
        duration = f"in {format_seconds(logs['eval_runtime'])}" if "eval_runtime" in logs else ""
        return "  ".join([f"{epoch}  validation: loss {logs['eval_loss']:.4g}", *scores, duration]).rstrip()
    return ""
