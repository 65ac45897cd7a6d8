"""The spoken demonstration corpus, which is synthesised when it is loaded for the first time."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import Corpus
from ..folds import split_by_speaker
from ..options import check_types
from ..protocols import check_speaker_folds, describe_speaker_fold, list_speaker_folds
from .spoken import BLOCK, LABELS, OCTANTS, VIDEO_BLOCK

if TYPE_CHECKING:
    from datasets import DatasetDict

VERSION = 1  # increase it when the same options give another corpus


@dataclass(frozen=True, kw_only=True)
class SpokenOptions:
    """Options of the spoken demonstration corpus."""

    utterances: int = field(
        default=1040, metadata={"help": "Size, a multiple of 104 (208 with video), divided evenly among 13 sessions."}
    )
    seed: int = field(
        default=0, metadata={"help": "Seed for sentences and manners of speaking; the same seed gives the same bits."}
    )
    video: bool = field(
        default=False, metadata={"help": "Draw a face for every utterance; the emotions are then eight octants."}
    )
    speaker_folds: int | None = field(
        default=None,
        metadata={"help": "Number of folds by speaker, which replace the splits; splits then share sentences."},
    )
    fold: int = field(default=1, metadata={"help": "Number of the test fold, from 1."})

    def __post_init__(self):
        check_types(self)
        check_speaker_folds(self.speaker_folds)
        block = VIDEO_BLOCK if self.video else BLOCK
        if self.utterances < block or self.utterances % block:
            raise ValueError(
                f"utterances must be a positive multiple of {block} to be balanced, not {self.utterances!r}."
            )


class Spoken(Corpus):
    """The spoken demonstration corpus.

    Its `root` is a folder with one subfolder per set of options; None means a folder in the cache of `datasets`.
    """

    name = "spoken"
    options = SpokenOptions

    def load(self, root: str | Path | None, options: SpokenOptions) -> "DatasetDict":
        """Load the corpus, see `Corpus.load`; generate it first if needed (some seconds, a minute with video).

        Raises:
            ImportError: If `espeakng_loader` is not installed.
            ValueError: If there is no such fold.
        """
        import datasets

        from .spoken_folder import make_spoken, read_spoken

        made_with = {"version": VERSION, "utterances": options.utterances, "seed": options.seed}
        made_with |= {"video": True} if options.video else {}
        root = Path(datasets.config.HF_DATASETS_CACHE) / "emofusion" if root is None else Path(root)
        folder = root / f"spoken-{hashlib.sha256(json.dumps(made_with).encode()).hexdigest()[:12]}"
        if not folder.exists():
            make_spoken(folder, **made_with)
        corpus = read_spoken(folder, OCTANTS.values() if options.video else LABELS)
        return (
            corpus if options.speaker_folds is None else split_by_speaker(corpus, options.speaker_folds, options.fold)
        )

    def describe(self, options: SpokenOptions) -> dict:
        """Return the metadata, see `Corpus.describe`."""
        protocol = "Train, validation and test share neither a speaker nor a sentence frame."
        if options.speaker_folds:
            protocol = describe_speaker_fold(options.speaker_folds, options.fold)
        return {
            "title": "the spoken demonstration corpus" + (" with faces" if options.video else ""),
            "demonstration": True,
            "fold": options.fold if options.speaker_folds else None,
            "protocol": protocol,
            "speaker_independent": True,
            "language": ["en"],
            "dimension_scale": [1, 5],
        }

    def folds(self, options: SpokenOptions) -> list[dict]:
        """Return the folds by speaker, see `Corpus.folds`."""
        return list_speaker_folds(options.speaker_folds)


SPOKEN = Spoken()
