"""Proof that the members of a late fusion were not trained on the utterances that it is fitted or tested on (ours)."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from datasets import DatasetDict
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ...configuration.plain_text import join_words
from ...corpora.folds import digest_ids, read_fold
from ...evaluation.metadata import CorpusMetadata
from ...evaluation.results import FILE as RESULTS
from ...evaluation.results import RunResults
from ..lifecycle import SPLITS


def warn_of_unproven(members: Mapping[str, str], corpus: DatasetDict, metadata: CorpusMetadata) -> list[str]:
    """Return the members whose training utterances are unknown, with a warning; raise if one was trained on another split.

    A run of emofusion names its corpus, its fold and a digest of its training split in `results.json`, and the ids in
    `splits.json`, which is never published. A published model is proven by the digest, if it was trained on the same
    training split. A model of another source names nothing.

    Args:
        members: Folder or Hub id of each member, by its name.
        corpus: The splits of the fusion.
        metadata: The metadata of its corpus.

    Raises:
        ValueError: If a member was trained on utterances of the validation or test split, or, trained on this corpus,
            does not name its training utterances.
    """
    unproven = [name for name, source in members.items() if not _prove(name, source, corpus, metadata)]
    if unproven:
        warnings.warn(
            f"It is unknown whether {join_words(unproven)} {'was' if len(unproven) == 1 else 'were'} trained on utterances of "
            "the validation or test split: there is no results.json.",
            stacklevel=2,
        )
    return unproven


def _prove(name: str, source: str, corpus: DatasetDict, metadata: CorpusMetadata) -> bool:
    """Return whether the training utterances of a member are known, and not those of another split."""
    results, ids = _read_results(source), _read_ids(source)
    if results is None:
        return False
    place = f"The member {name} ({source})"
    if results.late_fusion is not None:
        raise ValueError(f"{place} was made from other models; name these models as members.")
    if results.corpus.name != metadata.name:
        return True
    if ids is not None:
        _check_apart(place, results.corpus.fold, ids, corpus, metadata.fold)
        return True
    train = results.data.get("train")
    if train is None or train.digest != digest_ids(corpus["train"]["id"][:]):
        raise ValueError(
            f"{place} was trained on {_name_fold(results.corpus.fold)} of {metadata.name}, and nothing proves that it was "
            f"not trained on the validation and test split of {_name_fold(metadata.fold)}: it has no {SPLITS}; train it "
            "again."
        )
    return True


def _check_apart(place: str, trained: int | None, ids: set[str], corpus: DatasetDict, fold: int | None) -> None:
    for split in ("test", "validation"):
        if shared := sorted(ids.intersection(corpus[split]["id"][:])):
            raise ValueError(
                f"{place} was trained on {_name_fold(trained)}: {len(shared):,} of its training utterances are in the "
                f"{split} split of {_name_fold(fold)}, as {shared[0]!r}; give a member that was trained on the same fold."
            )


def _name_fold(fold: int | None) -> str:
    return "other splits" if fold is None else f"fold {fold}"


def _read_results(source: str) -> RunResults | None:
    """Return the results of the run that trained a model, None if there are none."""
    if Path(source).exists():
        folder = _run_folder(source)
        return RunResults.read(folder) if (folder / RESULTS).is_file() else None
    try:
        return RunResults.read(Path(hf_hub_download(source, RESULTS)).parent)
    except EntryNotFoundError:
        return None


def _read_ids(source: str) -> set[str] | None:
    """Return the ids of the training utterances of a model in a folder, None if it does not name them."""
    path = Path(_run_folder(source), SPLITS)
    return set(read_fold(path, 1)["train"]) if path.is_file() else None


def _run_folder(source: str) -> Path:
    """Return the folder of the run that a folder belongs to: the folder, or that around a checkpoint."""
    folder = Path(source)
    return folder.parent if folder.name.startswith(f"{PREFIX_CHECKPOINT_DIR}-") else folder
