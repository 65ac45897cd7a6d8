"""Proof that the members of a late fusion were not trained on the utterances that it is fitted or tested on (ours)."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from datasets import DatasetDict
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ...configuration.plain_text import join_words
from ...corpora.folds import digest_ids, read_fold
from ...corpora.protocols import Fold
from ...evaluation.metadata import CorpusMetadata
from ...evaluation.results import FILE as RESULTS
from ...evaluation.results import RunResults
from ..lifecycle import SPLITS

OWN = {"train": "training", "validation": "validation"}  # splits of a member in words


def warn_of_unproven(members: Mapping[str, str], corpus: DatasetDict, metadata: CorpusMetadata) -> list[str]:
    """Return the members whose training utterances are unknown, with a warning; raise if one was trained on another split.

    A run of emofusion names its corpus, its fold and digests of its splits in `results.json`, and the ids in `splits.json`,
    which is never published. A published model is proven by the digests, if it has the same training and validation split.
    A model of another source names nothing. The validation split of a member selected its checkpoint, so it may not have
    utterances of the test split either.

    Args:
        members: Folder or Hub id of each member, by its name.
        corpus: The splits of the fusion.
        metadata: The metadata of its corpus.

    Raises:
        ValueError: If a member was trained on utterances of the validation or test split, or its checkpoint selected on
            utterances of the test split, or, trained on this corpus, it does not name its utterances.
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
    results, splits = _read_results(source), _read_splits(source)
    if results is None:
        return False
    place = f"The member {name} ({source})"
    if results.late_fusion is not None:
        raise ValueError(f"{place} was made from other models; name these models as members.")
    if splits is not None:
        own = {split: corpus[split]["id"][:] for split in splits}
        if results.corpus.corpora or metadata.corpora:
            splits, own = _name_ids(splits, results.corpus), _name_ids(own, metadata)
        _check_apart(place, results.corpus.fold, splits, own, metadata.fold)
        return True
    if not _list_corpora(results.corpus) & _list_corpora(metadata):
        return True
    if any(_digest_of(results, split) != digest_ids(corpus[split]["id"][:]) for split in ("train", "validation")):
        raise ValueError(
            f"{place} was trained on {_name_fold(results.corpus.fold)} of {metadata.name}, and nothing proves that it was "
            f"not trained on the validation and test split of {_name_fold(metadata.fold)}: it has no {SPLITS}; train it "
            "again."
        )
    return True


def _list_corpora(about: CorpusMetadata) -> set[str | None]:
    """Return the names of the corpora of a run."""
    return set(about.corpora or [about.name])


def _name_ids(splits: Fold, about: CorpusMetadata) -> Fold:
    """Return ids that begin with the name of the corpus, as those of a run with several corpora do."""
    if about.corpora:
        return splits
    return {split: [f"{about.name}/{name}" for name in ids] for split, ids in splits.items()}


def _check_apart(place: str, trained: int | None, member: Fold, fusion: Fold, fold: int | None) -> None:
    """Raise if the splits of a member and those of the fusion, fold `fold`, share utterances that they must not share."""
    for own, split in (("train", "test"), ("train", "validation"), ("validation", "test")):
        if shared := sorted(set(member[own]).intersection(fusion[split])):
            raise ValueError(
                f"{place} was trained on {_name_fold(trained)}: {len(shared):,} of its {OWN[own]} utterances are in the "
                f"{split} split of {_name_fold(fold)}, as {shared[0]!r}; give a member that was trained on the same fold."
            )


def _digest_of(results: RunResults, split: str) -> str | None:
    counts = results.data.get(split)
    return None if counts is None else counts.digest


def _name_fold(fold: int | None) -> str:
    return "other splits" if fold is None else f"fold {fold}"


def _read_results(source: str) -> RunResults | None:
    """Return the results of the run that trained a model, None if there are none.

    Raises:
        ValueError: If the Hub, which may have them, cannot be reached.
    """
    if Path(source).exists():
        folder = _run_folder(source)
        return RunResults.read(folder) if (folder / RESULTS).is_file() else None
    try:
        return RunResults.read(Path(hf_hub_download(source, RESULTS)).parent)
    except LocalEntryNotFoundError as error:  # an EntryNotFoundError too, but the Hub was not reached
        raise ValueError(
            f"{RESULTS} of the member {source} is not in the cache and the Hub cannot be reached, so nothing proves what the "
            "member was trained on; fit once with a connection, or download the model and name its folder."
        ) from error
    except EntryNotFoundError:
        return None


def _read_splits(source: str) -> Fold | None:
    """Return the ids of the splits of a model in a folder, None if it does not name them."""
    path = Path(_run_folder(source), SPLITS)
    return read_fold(path, 1) if path.is_file() else None


def _run_folder(source: str) -> Path:
    """Return the folder of the run that a folder belongs to: the folder, or that around a checkpoint."""
    folder = Path(source)
    return folder.parent if folder.name.startswith(f"{PREFIX_CHECKPOINT_DIR}-") else folder
