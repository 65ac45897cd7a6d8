"""The registered corpora, and the functions that find one by its name."""

from pathlib import Path
from typing import TYPE_CHECKING

from .acted.corpus import ACTED_CORPORA
from .cmu_mosei.corpus import CMU_MOSEI
from .corpus import Corpus, DiskCorpus
from .demo.corpus import SPOKEN
from .dialogues import TURN
from .folder.corpus import FOLDER
from .iemocap.corpus import IEMOCAP
from .meld.corpus import MELD
from .msp_podcast.corpus import MSP_PODCAST
from .records import Prepared

if TYPE_CHECKING:
    from datasets import DatasetDict

# To add a corpus, write a subclass of `Corpus` or `DiskCorpus` and list its instance here.
#: Name -> corpus.
CORPORA: dict[str, Corpus] = {
    corpus.name: corpus for corpus in (SPOKEN, IEMOCAP, MELD, MSP_PODCAST, CMU_MOSEI, *ACTED_CORPORA, FOLDER)
}


def get_corpus(name: str) -> Corpus:
    """Return a corpus.

    Args:
        name: Its name in `CORPORA`.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in CORPORA:
        raise ValueError(f"There is no corpus {name!r}; choose one of {', '.join(CORPORA)}.")
    return CORPORA[name]


def load_corpus(name: str, root: str | Path | None = None, **options) -> "DatasetDict":
    """Load a corpus by name.

    Args:
        name: One of `CORPORA`.
        root: Folder of the corpus; the meaning of None depends on the corpus.
        **options: Options of the corpus, see its `options`.

    Returns:
        Splits "train", "validation" and "test" with rows as `schema.features` describes them, audio not yet decoded.

    Raises:
        ValueError: If there is no such corpus, or it has no such option.
    """
    corpus = get_corpus(name)
    return corpus.load(root, corpus.parse(**options))


def load_turns(name: str, root: str | Path | None = None, **options) -> list[dict]:
    """Return all turns of a corpus, with the keys `dialogues.TURN`, those that give no row included.

    Args:
        name: As in `load_corpus`.
        root: As in `load_corpus`.
        **options: As in `load_corpus`.

    Raises:
        ValueError: As in `load_corpus`, or if the prepared folder of an older version does not list such turns.
    """
    from .preparation.prepare import prepare
    from .preparation.prepared_folder import read_turns

    corpus, unused = get_corpus(name), []
    if isinstance(corpus, DiskCorpus):
        prepared = prepare(corpus, root, corpus.parse(**options))
        splits, unused = prepared.splits, read_turns(prepared.folder)
    else:
        splits = corpus.load(root, corpus.parse(**options))
    return [row for rows in splits.values() for row in rows.select_columns(list(TURN)).to_list()] + unused


def describe_corpus(name: str, **options) -> dict:
    """Return the metadata of a corpus for cards and reports: `name`, `title`, `protocol` and so on.

    Args:
        name: One of `CORPORA`.
        **options: The options that it is loaded with.

    Raises:
        ValueError: If there is no such corpus, or it has no such option.
    """
    corpus = get_corpus(name)
    return {"name": name, **corpus.describe(corpus.parse(**options))}


def list_folds(name: str, **options) -> list[dict]:
    """Return the folds of a corpus, each as the options that select it; one without options if its splits are fixed.

    Args:
        name: One of `CORPORA`.
        **options: The options that it is loaded with; `fold` is ignored.

    Raises:
        ValueError: If there is no such corpus, or an option is invalid.
    """
    corpus = get_corpus(name)
    return corpus.folds(corpus.parse(**{option: value for option, value in options.items() if option != "fold"}))


def export_folds(name: str, root: str | Path | None = None, **options) -> dict[str, dict[str, list[str]]]:
    """Return all folds of a corpus as `{fold: {split: ids}}`, the form that `folds.write_folds` writes.

    Args:
        name: One of `CORPORA`.
        root: As in `load_corpus`.
        **options: As in `load_corpus`.
    """
    folds = {}
    for number, choice in enumerate(list_folds(name, **options), start=1):
        corpus = load_corpus(name, root, **{**options, **choice})
        folds[str(number)] = {split: rows["id"][:] for split, rows in corpus.items()}
    return folds


def prepare_corpus(
    name: str,
    root: str | Path | None,
    out: str | Path | None = None,
    *,
    decode: bool = False,
    embed_audio: bool = False,
    **options,
) -> Prepared:
    """Prepare a corpus on disk, unless it is prepared and neither its files nor the options have changed since.

    Args:
        name: A corpus on disk, such as "iemocap" or "folder".
        root: Folder of the corpus, or a folder that was prepared from it.
        out: The prepared folder; None chooses one in the cache of `datasets`.
        decode: Whether all recordings are decoded, see `preparation.inspection.inspect`.
        embed_audio: Whether rows contain their recordings: the folder can then be moved or pushed on its own.
        **options: Options of the corpus; those that select splits are validated and otherwise ignored.

    Returns:
        The prepared corpus.

    Raises:
        FileExistsError: If `out` contains anything but a prepared corpus.
        FileNotFoundError: If there is no folder `root`.
        OSError: If `out` cannot be written.
        ValueError: If `name` is not a corpus on disk, `root` is not that corpus, an option is invalid, no row is usable,
            or `out` is inside `root`.
    """
    from .preparation.prepare import prepare

    corpus = get_corpus(name)
    if not isinstance(corpus, DiskCorpus):
        raise ValueError(f"The corpus {name!r} needs no preparation: load it.")
    return prepare(corpus, root, corpus.parse(**options), out, decode=decode, embed_audio=embed_audio)
