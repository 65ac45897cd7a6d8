"""Checks of the rows of a run before anything is built: rows that would fail late or cannot be learned from (ours)."""

import warnings
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow
from datasets import Dataset
from transformers import PreTrainedConfig

from ..configuration.modalities import MODALITIES
from ..configuration.plain_text import join_words
from ..corpora.dialogues import CONTEXT
from ..corpora.schema import SPLITS
from ..processing.processor_checks import modalities_of

ROWS_AT_A_TIME = 10_000


def check_modalities(corpus: Mapping[str, Dataset], config: PreTrainedConfig) -> None:
    """Check that the rows have the modalities of the model; warn of rows without one.

    Args:
        corpus: The splits of the run.
        config: The configuration of the model.

    Raises:
        ValueError: If no row of a split has one of the model's modalities, or a row has none of them.
    """
    for split, rows in corpus.items():
        present = {name: find_present(rows, name) for name in modalities_of(config)}
        missing = {name: len(rows) - int(found.sum()) for name, found in present.items()}
        for name, number in missing.items():
            if number == len(rows):
                raise ValueError(
                    f"The model reads {MODALITIES[name].word}, but no utterance of the {split} split has "
                    f"{MODALITIES[name].contents} (the column {name!r} is empty); add them, or choose a model without "
                    f"{MODALITIES[name].word}."
                )
        empty = np.flatnonzero(~np.logical_or.reduce(list(present.values())))
        if len(empty):
            words = " and no ".join(MODALITIES[name].contents for name in present)
            raise ValueError(
                f"{len(empty)} of {len(rows)} utterances of the {split} split have no {words}, such as "
                f"{rows[int(empty[0])]['id']!r}; add them, or take these utterances out."
            )
        for name, number in missing.items():
            if number:
                warnings.warn(
                    f"{number} of {len(rows)} utterances of the {split} split have no {MODALITIES[name].contents}; the model "
                    "learns and is measured without them there.",
                    stacklevel=2,
                )


def check_context(corpus: Mapping[str, Dataset]) -> None:
    """Check that there are earlier turns in the column `context`; warn of corpora without any.

    Args:
        corpus: The splits of the run.

    Raises:
        ValueError: If no utterance of the train split has one.
    """
    found = {
        split: np.array([len(turns) > 0 for turns in rows[CONTEXT][:]], dtype=bool) for split, rows in corpus.items()
    }
    _check_earlier("context_turns", corpus, found)


def check_dialogues(corpus: Mapping[str, Dataset]) -> None:
    """Check that there are dialogues of several utterances, for a model with `context_layers`; warn of corpora without any.

    Args:
        corpus: The splits of the run.

    Raises:
        ValueError: If the train split has none.
    """
    found = {}
    for split, rows in corpus.items():
        places = list(zip(rows["dialogue"][:], rows["turn"][:], strict=True))
        sizes = Counter(dialogue for dialogue, turn in places if dialogue is not None and turn is not None)
        found[split] = np.array([turn is not None and sizes[dialogue] > 1 for dialogue, turn in places], dtype=bool)
    _check_earlier("context_layers", corpus, found)


def _check_earlier(option: str, corpus: Mapping[str, Dataset], found: Mapping[str, np.ndarray]) -> None:
    """Check that some rows of the train split are among those found, and warn of corpora in splits without any."""
    if not found["train"].any():
        raise ValueError(
            f"{option} is given, but no utterance of the train split follows another in a dialogue; leave it out, or add the "
            "columns 'dialogue' and 'turn'."
        )
    lacking = {}
    for split, rows in corpus.items():
        names = np.array(rows["corpus"][:], dtype=object)
        for name in dict.fromkeys(names.tolist()):
            if not found[split][names == name].any():
                lacking.setdefault(name, []).append(split if split in SPLITS else "test")
    for name, splits in lacking.items():
        warnings.warn(
            f"{option} is given, but no utterance of the {join_words(splits)} split{'s' * (len(splits) > 1)}"
            f"{'' if name is None else f' of {name}'} follows another in a dialogue; the model learns and is measured without "
            "earlier ones there.",
            stacklevel=4,
        )


def find_present(rows: Dataset, modality: str) -> np.ndarray:
    """Return whether each row has a modality, `(rows,)`. Of a file, only its path or the presence of bytes is looked at.

    Args:
        rows: Rows of the corpus schema.
        modality: The modality. A transcript that is empty counts, unless all are.
    """
    if modality not in rows.column_names:
        return np.zeros(len(rows), dtype=bool)
    tables = rows.select_columns([modality]).with_format("arrow").iter(ROWS_AT_A_TIME)
    found = [_is_present(chunk) for table in tables for chunk in table.column(modality).iterchunks()]
    present = np.concatenate([np.zeros(0, dtype=bool), *found])
    if modality == "text" and not any((text or "").strip() for text in rows[modality][:]):
        return np.zeros(len(rows), dtype=bool)
    return present


def _is_present(column: pyarrow.Array) -> np.ndarray:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    if not pyarrow.types.is_struct(column.type):
        return valid
    sources = [column.field(name) for name in ("path", "bytes") if column.type.get_field_index(name) >= 0]
    return valid & np.logical_or.reduce([source.is_valid().to_numpy(zero_copy_only=False) for source in sources])
