"""The folders that a run writes to: checked at its start, and the output folder is that of one run at a time (ours)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datasets import config as datasets_config
from huggingface_hub import constants

from ..corpora.atomic_write import make_folder
from .arguments import EmotionTrainingArguments

_held: set[int] = set()  # descriptors of locked folders


@contextmanager
def claimed_folder(training_args: EmotionTrainingArguments, folder: str | Path | None = None) -> Iterator[None]:
    """Create, check and lock the output folder of a run, and check the other folders that it will write to.

    The lock ends with the context or with the process. If the run fails before it has written anything, the folders that
    were created are removed.

    Args:
        training_args: The training arguments.
        folder: The output folder, by default that of the arguments.

    Raises:
        OSError: If a folder cannot be written to.
        ValueError: If another run writes into the output folder.
    """
    folder = Path(training_args.output_dir if folder is None else folder)
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
