"""The task of a run: chosen by its recipe, completed by its corpus, and the rows that it can use (ours)."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict

from ..configuration.dimensions import DEFAULT_SCALE, DIMENSIONS
from ..configuration.plain_text import join_words
from ..corpora.joining.selection import corpus_of
from ..corpora.registry import get_corpus
from ..evaluation.label_checks import read_dimensions
from ..evaluation.metadata import CorpusMetadata
from ..evaluation.task import Task, load_task
from .arguments import DataArguments


def as_task(task: Task | Sequence[str]) -> Task:
    """Return a task; names of classes stand for their classification."""
    return task if isinstance(task, Task) else load_task("classification", list(task))


def sketch_task(data: DataArguments, classes: int = 4) -> Task:
    """Return the task of a recipe without its corpus, with names of classes and a scale that are made up.

    Args:
        data: The data arguments. Without the argument `dimensions`, all are learned.
        classes: Number of classes.
    """
    names = [f"class {number}" for number in range(classes)]
    return _load_task(data.task, names, data.dimensions or list(DIMENSIONS), DEFAULT_SCALE)


def check_corpora(data: DataArguments) -> None:
    """Check, before anything is loaded, that the corpora of a run that learns dimensions have some that can be pooled.

    Args:
        data: The data arguments.

    Raises:
        ValueError: If a corpus has none where they are needed, or has some that mean something else.
    """
    scales = {} if data.task == "classification" else data.selection.scales
    if len(scales) < 2:  # the rows of a single corpus show more
        return
    rated = [name for name, scale in scales.items() if scale is not None]
    lacking = [name for name in scales if name not in rated]
    what = (
        f"The task is {data.task}, but {join_words(lacking)} {'has' if len(lacking) == 1 else 'have'} no dimensions (a folder has "
        "some only with the option dimension_scale)"
    )
    if not set(data.corpora) & set(rated) or set(data.test_corpora) & set(lacking):
        raise ValueError(f"{what}; leave {'it' if len(lacking) == 1 else 'them'} out.")
    if lacking and not data.dimensions:
        raise ValueError(f"{what}; give those of the other corpora as dimensions, such as dimensions: [valence].")
    for name in rated if "valence" in (data.dimensions or DIMENSIONS) else ():
        meaning = get_corpus(corpus_of(name)).own_valence
        if meaning and (others := [other for other in rated if corpus_of(other) != corpus_of(name)]):
            raise ValueError(
                f"The valence of {name} is {meaning}, that of {others[0]} is not; learn and test them in separate runs."
            )


def choose_task(data: DataArguments, corpus: Mapping[str, Dataset], metadata: CorpusMetadata) -> Task:
    """Return the task of a run.

    Args:
        data: The data arguments.
        corpus: The splits. Without the argument `dimensions`, those are learned that have values in every split and, in it,
            in every corpus.
        metadata: The metadata of the corpus, which has the scale of its dimensions.

    Raises:
        ValueError: If the corpus has no dimensions, or not those that are given.
    """
    labels, scale = corpus["train"].features["label"].names, metadata.dimension_scale
    if data.task == "classification":
        return _load_task(data.task, labels)
    # A corpus may lack a dimension that is given, if another has it.
    present = _list_dimensions(corpus, metadata, by_corpus=not data.dimensions)
    names = data.dimensions or [name for name in DIMENSIONS if all(name in found for found in present.values())]
    if empty := [place for place, found in present.items() if not found]:
        present = {empty[0]: present[empty[0]]}  # the reason why nothing is shared
    lacking = {place: [name for name in names or DIMENSIONS if name not in found] for place, found in present.items()}
    if missing := [f"{place} has a value of {join_words(lost, 'or')}" for place, lost in lacking.items() if lost]:
        advice = "choose other dimensions, or another corpus"
        if not data.dimensions and len(data.corpora) > 1:
            advice = "give those to learn as dimensions, such as dimensions: [valence], or leave a corpus out"
        raise ValueError(
            f"The task is {data.task}, but no utterance of {', and none of '.join(missing)} (column 'vad'); {advice}."
        )
    if scale is None:
        raise ValueError(
            f"The task is {data.task}, but the scale of the dimensions of {metadata.title or metadata.name} is unknown; state "
            "it as an option of the corpus."
        )
    return _load_task(data.task, labels, names, scale)


def _load_task(name: str, classes: Sequence[str], dimensions: Sequence[str] = (), scale: Sequence[float] = ()) -> Task:
    """Return a task by its name, classes, dimensions and scale."""
    if name == "classification":
        return load_task(name, classes)
    if name == "dimensions":
        return load_task(name, dimensions, scale=tuple(scale))
    return load_task(name, classes, dimensions=dimensions, scale=tuple(scale))


def leave_out_unlabelled(corpus: DatasetDict, task: Task) -> DatasetDict:
    """Return the splits without the rows that nothing can be learned from, with a warning that counts them.

    Of a task with dimensions, that are rows without a known dimension and, if it has classes too, without a class. Rows
    without a class are an error of a task that has classes alone.
    """
    if not task.dimension_names:
        return corpus
    kept = {}
    for split, rows in corpus.items():
        usable = np.isfinite(read_dimensions(rows, task.dimension_names)).any(axis=1)
        if task.classes:
            usable |= np.array([label is not None for label in rows["label"][:]], dtype=bool)
        kept[split] = rows if usable.all() else rows.select(np.flatnonzero(usable))
        if missing := len(rows) - len(kept[split]):
            what = join_words([*(["class"] if task.classes else []), *task.dimension_names], "or")
            warnings.warn(
                f"{missing} of {len(rows)} utterances of the {split} split have no {what}; they are left out.",
                stacklevel=2,
            )
    return DatasetDict(kept)


def draw_rows(rows: Dataset, size: int, seed: int, task: Task) -> Dataset:
    """Return `size` rows, drawn at random.

    Args:
        rows: The training split.
        size: Number of rows.
        seed: Seed of the draw.
        task: The task. If it has classes, their proportions are those of all rows; rows without a class are one more.

    Raises:
        ValueError: If there are fewer rows, or too few to keep the proportions.
    """
    if not 0 < size <= len(rows):
        raise ValueError(f"max_train_samples is {size}; the training split has {len(rows)} utterances.")
    if size == len(rows):
        return rows
    if task.stratify_by is None:
        return rows.train_test_split(train_size=size, seed=seed)["train"]
    number = rows.features[task.stratify_by].num_classes
    strata = [number if label is None else label for label in rows[task.stratify_by]]
    columns = {"stratum": strata, "place": range(len(rows))}
    places = Dataset.from_dict(columns).cast_column("stratum", ClassLabel(num_classes=number + 1))
    try:
        drawn = places.train_test_split(train_size=size, stratify_by_column="stratum", seed=seed)["train"]
    except ValueError as error:  # a class is too rare, or there are more classes than rows
        raise ValueError(
            f"max_train_samples is {size}, which is too few, or too close to all {len(rows)} utterances, to keep the "
            "proportions of the classes; give another number, or leave it out."
        ) from error
    return rows.select(drawn["place"])


def _list_dimensions(splits: Mapping[str, Dataset], metadata: CorpusMetadata, by_corpus: bool) -> dict[str, set[str]]:
    """Return the dimensions that have a value in some row of each split or, on request, of each corpus in each split.

    Keys are words for the part: "the test split of IEMOCAP", "meld in the train split".
    """
    found = {}
    for split, rows in splits.items():
        is_known, names = np.isfinite(read_dimensions(rows, DIMENSIONS)), np.array([None] * len(rows))
        if by_corpus and metadata.corpora and split not in metadata.tested:
            names = np.array(rows["corpus"][:])
        for name in dict.fromkeys(names.tolist()):
            whole = (
                f"the test split of {split}"
                if split in metadata.tested
                else f"the {split} split of {metadata.title or metadata.name}"
            )
            place = whole if name is None else f"{name} in the {split} split"
            known = is_known[names == name].any(axis=0)
            found[place] = {dimension for dimension, has_values in zip(DIMENSIONS, known, strict=True) if has_values}
    return found
