"""Checkpoints of a run: find the last complete one, and refuse one that does not fit the model (ours)."""

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import TrainerCallback
from transformers.trainer import OPTIMIZER_NAME, TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import ADAPTER_SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from ..configuration.folder_checks import read_object
from ..configuration.plain_text import show_some
from ..modeling.modeling_checkpoint import count_weights, read_header
from .adapters.lora import saved_weights
from .arguments import EmotionTrainingArguments

WEIGHTS = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, ADAPTER_SAFE_WEIGHTS_NAME)
# Folders and files of weights and optimizer of FSDP and DeepSpeed.
SHARDED = ("pytorch_model_fsdp*", "global_step*")


class BestCheckpointFinder(TrainerCallback):
    """Looks for the best checkpoint of a resumed run in its own folder, then beside the checkpoint that it resumes from.

    The state names it by a path, which is that of another folder if the run was moved, and could be any.
    """

    def on_train_begin(self, args, state, control, **kwargs):
        """Replace the path by one in these folders; without a complete checkpoint there, the best is one of those to come."""
        if state.best_model_checkpoint is None:
            return
        resumed = Path(str(args.resume_from_checkpoint))
        folders = [Path(args.output_dir), *([resumed.parent] if resumed.is_dir() else [])]
        for best in (folder / Path(state.best_model_checkpoint).name for folder in folders):
            if not find_damage(best):
                state.best_model_checkpoint = str(best)
                return
        warnings.warn(
            f"The best checkpoint so far, {best}, is not there or not complete; the best of the remaining ones is kept.",
            stacklevel=2,
        )
        state.best_model_checkpoint = state.best_metric = state.best_global_step = None


def find_checkpoint(training_args: EmotionTrainingArguments) -> str | None:
    """Return the folder of the checkpoint that `resume_from_checkpoint` selects, None to start from the beginning.

    "true" selects the last complete checkpoint in `output_dir`. Incomplete ones, which a killed run may leave, are skipped
    with a warning; if all are incomplete, the run starts from the beginning. A checkpoint without the state of its
    optimizer, as `save_only_model` saves, is used with a warning.

    Raises:
        ValueError: If there is no checkpoint, or the named one is not complete.
    """
    choice = training_args.resume_from_checkpoint
    choice = {"true": True, "false": None}.get(str(choice).lower(), choice)
    if not choice:
        return None
    if choice is not True:
        if damage := find_damage(Path(choice)):
            raise ValueError(f"The checkpoint {choice} cannot be resumed from: {damage}.")
        return _warn_without_optimizer(choice)
    checkpoints = list_checkpoints(training_args.output_dir)
    if not checkpoints:
        raise ValueError(f"There is no checkpoint in {training_args.output_dir} to resume from.")
    for folder in reversed(checkpoints):
        if not (damage := find_damage(folder)):
            return _warn_without_optimizer(str(folder))
        warnings.warn(f"{folder} is skipped: {damage}.", stacklevel=2)
    return None


def list_checkpoints(output_dir: str | Path) -> list[Path]:
    """Return the folders of the checkpoints in a folder, ordered by step."""
    folders = [
        folder
        for folder in Path(output_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*")
        if folder.name.rpartition("-")[2].isdecimal() and folder.is_dir()
    ]
    return sorted(folders, key=lambda folder: int(folder.name.rpartition("-")[2]))


def find_damage(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, as part of a sentence; None if it is complete.

    Of the weights only the size is checked. Their file must be safetensors. Trainer reads the files of optimizer, schedule
    and random numbers with `weights_only`, which runs no code.
    """
    if not checkpoint.is_dir():
        return "there is no such folder"
    try:  # the state is written last
        read_object(checkpoint / TRAINER_STATE_NAME)
    except (OSError, ValueError):
        return f"it is incomplete ({TRAINER_STATE_NAME} is missing or truncated)"
    if not any((checkpoint / name).is_file() for name in WEIGHTS) and not _is_sharded(checkpoint):
        return f"it has no weights ({SAFE_WEIGHTS_NAME} or {ADAPTER_SAFE_WEIGHTS_NAME})"
    for file in sorted(checkpoint.iterdir()):
        if file.suffix in (".json", ".safetensors", ".pt", ".pth", ".bin") and not file.is_file():
            return f"its {file.name} is no file"
        if not _is_whole(file):
            return f"its {file.name} is truncated"
    return None


def check_weights(checkpoint: str | Path, model: nn.Module) -> None:
    """Check that a checkpoint has the weights of a model, each in its shape; Trainer would load what it finds.

    Args:
        checkpoint: The folder, without damage. Weights in several files, as of FSDP, are not checked.
        model: The model that is trained.

    Raises:
        ValueError: If weights are missing, unknown, or of another shape.
    """
    name = ADAPTER_SAFE_WEIGHTS_NAME if hasattr(model, "peft_config") else SAFE_WEIGHTS_NAME
    file = Path(checkpoint, name)
    if _is_sharded(Path(checkpoint)) or Path(checkpoint, SAFE_WEIGHTS_INDEX_NAME).is_file():
        return
    if not file.is_file():
        raise ValueError(f"The checkpoint {checkpoint} has no {name}; resume from one of this model.")
    found = {key: shape for key, (_, shape) in read_header(file).items()}
    weights = saved_weights(model)
    wrong = {
        "lacks": _without_shared(weights.keys() - found.keys(), weights, found),
        "has unknown": found.keys() - weights.keys(),
        "has in another shape": {
            key for key in weights.keys() & found.keys() if tuple(weights[key].shape) != found[key]
        },
    }
    problems = [f"{problem} {count_weights(keys)} ({show_some(keys)})" for problem, keys in wrong.items() if keys]
    if problems:
        raise ValueError(
            f"The weights in {file} do not fit the model: it {' and '.join(problems)}; resume with the recipe of the run that "
            "saved it."
        )


def _without_shared(missing: Iterable[str], weights: Mapping[str, torch.Tensor], found: Mapping) -> set[str]:
    """Return those of the missing weights that are not the same tensor as a saved one, which is saved once."""
    saved = {weights[key].data_ptr() for key in found if key in weights}
    return {key for key in missing if weights[key].data_ptr() not in saved}


def _warn_without_optimizer(checkpoint: str) -> str:
    folder = Path(checkpoint)
    if not any(folder.glob("optimizer*")) and not _is_sharded(folder):
        warnings.warn(
            f"{checkpoint} has no {OPTIMIZER_NAME}, so the optimizer and the schedule start anew: the run will not end as it "
            "would have without the interruption.",
            stacklevel=3,
        )
    return checkpoint


def _is_sharded(checkpoint: Path) -> bool:
    return any(True for pattern in SHARDED for _ in checkpoint.glob(pattern))


def _is_whole(file: Path) -> bool:
    """Return whether a file of weights is complete; of other kinds of files, whether it begins and ends as it must."""
    if file.suffix != ".safetensors":
        return file.suffix not in (".pt", ".pth") or zipfile.is_zipfile(file)
    try:
        read_header(file)
    except ValueError:
        return False
    return True
