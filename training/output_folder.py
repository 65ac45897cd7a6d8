"""The folders that a run writes to: checked at its start, and the output folder is that of one run at a time (ours)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datasets import config as datasets_config
from huggingface_hub import constants

from ..configuration.folder_checks import read_object
from ..corpora.atomic_write import make_folder
from ..evaluation.results import FILE as RESULTS
from .arguments import EmotionTrainingArguments
from .checkpoints import list_checkpoints

# What a folder can hold: its card and its results describe one of them.
SINGLE, CROSS_VALIDATION, TABLE, SEARCH = "a single run", "a cross-validation", "a table between corpora", "a search"
STUDY = "study.db"  # Optuna's storage, in the folder of a search

_held: set[int] = set()  # descriptors of locked folders


@contextmanager
def claimed_folder(
    training_args: EmotionTrainingArguments, folder: str | Path | None = None, kind: str = SINGLE
) -> Iterator[None]:
    """Create, check and lock the output folder of a run, and check the other folders that it will write to.

    The lock ends with the context or with the process. If the run fails before it has written anything, the folders that
    were created are removed.

    Args:
        training_args: The training arguments.
        folder: The output folder, by default that of the arguments.
        kind: What it will hold.

    Raises:
        OSError: If a folder cannot be written to.
        ValueError: If another run writes into the output folder, or it holds something else.
    """
    folder = Path(training_args.output_dir if folder is None else folder)
    check_kind(folder, kind)
    created = [place for place in (folder, *folder.absolute().parents) if not place.exists()]
    try:
        for name, other in _list_folders(training_args, folder).items():
            check_writable(name, other)
        if training_args.process_index:
            yield
        else:
            with _locked(folder):
                yield
    except BaseException:
        for place in created if training_args.should_save else ():
            with suppress(OSError):  # it is not empty, or gone
                place.rmdir()
        raise


def check_kind(folder: Path, kind: str) -> None:
    """Check that an output folder holds nothing of another kind, whose weights would lie under a card that is not theirs.

    Args:
        folder: The folder, which may not exist.
        kind: What will be written into it: `SINGLE`, `CROSS_VALIDATION`, `TABLE` or `SEARCH`.

    Raises:
        ValueError: If it does. Folds alone are no kind: members of a late fusion lie beside them.
    """
    try:
        results = read_object(folder / RESULTS)
    except (OSError, ValueError):  # none, or damaged and replaced by the next run
        results = {}
    is_pooled = any(results.get(name) is not None for name in ("cross_validation", "cross_corpus"))
    found = {
        SINGLE: (results and not is_pooled) or (folder / "config.json").is_file() or list_checkpoints(folder),
        CROSS_VALIDATION: results.get("cross_validation") is not None,
        TABLE: results.get("cross_corpus") is not None,
        SEARCH: (folder / STUDY).is_file(),
    }
    if other := next((name for name, is_there in found.items() if is_there and name != kind), None):
        raise ValueError(f"output_dir {folder} holds {other}: choose another --output_dir for {kind}.")


def check_writable(name: str, folder: str | Path) -> None:
    """Create a folder and check that it can be written to.

    Args:
        name: The setting that names it.
        folder: The folder.

    Raises:
        OSError: If it cannot.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise type(error)(f"{name}: {error}") from error


def find_cache_dir(training_args: EmotionTrainingArguments) -> Path:
    """Return the folder of the prefix caches."""
    if training_args.cache_dir is not None:
        return Path(training_args.cache_dir)
    return Path(datasets_config.HF_DATASETS_CACHE) / "emofusion" / "prefix"


def _list_folders(training_args: EmotionTrainingArguments, output_dir: Path) -> dict[str, Path]:
    """Return the folders that a run writes to, by the name of their setting."""
    folders = {"cache_dir": find_cache_dir(training_args)} if training_args.cache_prefix else {}
    if not training_args.should_save:
        return folders
    folders["output_dir"] = output_dir
    tensorboard = os.environ.get("TENSORBOARD_LOGGING_DIR")
    if "tensorboard" in training_args.report_to and tensorboard:
        folders["TENSORBOARD_LOGGING_DIR"] = Path(tensorboard).expanduser()
    if "trackio" in training_args.report_to:
        folders["TRACKIO_DIR"] = Path(os.environ.get("TRACKIO_DIR") or Path(constants.HF_HOME, "trackio"))
    return folders


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, where the system and the file system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"Another run is writing into output_dir {folder}; wait for its end, or give another folder."
            ) from error
        except OSError:  # some network file systems have no locks
            pass
        _held.add(descriptor)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _release_in_child() -> None:
    """Close the locks that a forked process inherited, such as one of a data loader, which may outlive the run."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
