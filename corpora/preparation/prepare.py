"""A corpus on disk, looked through once and memory-mapped ever after: see `prepared_folder.py` for what is made of it."""

import hashlib
import inspect
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import datasets
from filelock import FileLock, Timeout

from ...processing import media
from .. import corpus_module
from ..transcripts.transcribe import carry_transcripts
from . import inspection
from .prepared_folder import FACTS, FORMAT, Prepared, open_prepared, write_prepared

# Modules that may change without making a preparation out of date.
READS_NO_CORPUS = {
    *("spoken", "speakers", "espeak", "face", "folds"),
    *("counts", "survey", "charts", "page", "transcribe", "recogniser", "word_errors", "words"),
}

logger = logging.getLogger(__name__)


def prepare(
    name: str,
    root: str | Path | None,
    out: str | Path | None = None,
    *,
    decode: bool = False,
    embed_audio: bool = False,
    max_seconds: float | None = 60.0,
    **options,
) -> Prepared:
    """Prepare a corpus, unless that was done and neither its files nor the options have changed since.

    Processes that prepare the same corpus wait for the first; whatever interrupts one, nothing is left that looks finished.

    Args:
        name: "iemocap", "meld" or "folder".
        root: Folder of the corpus, or one that was prepared of it.
        out: Where the prepared folder will be; None is a place in the cache of `datasets`.
        decode: Whether all recordings are decoded, see `inspection.inspect`.
        embed_audio: Whether rows carry their recordings: the folder then needs no other and can be moved or pushed.
        max_seconds: Recordings and films are cut here; None never cuts.
        options: Those of the corpus's `scan`.

    Raises:
        FileExistsError: If `out` holds anything else.
        FileNotFoundError: If there is no folder `root`.
        OSError: If `out` cannot be written.
        ValueError: If `root` is not the corpus, an option is none, nothing can be used, or `out` is inside `root`.
    """
    if max_seconds is not None and not (isinstance(max_seconds, int | float) and max_seconds > 0):
        raise ValueError(f"max_seconds must be positive, or None to cut nothing, not {max_seconds!r}.")
    corpus = corpus_module(name)
    options = _defaults(corpus.scan) | options
    wanted = {"format": FORMAT, "corpus": name, "options": {**options, "max_seconds": max_seconds}}
    wanted = json.loads(json.dumps(wanted, default=list))
    if root is not None and (Path(root) / FACTS).is_file():
        if out is not None or embed_audio:
            raise ValueError(f"{root} is prepared already: to prepare the corpus in another way, give its own folder.")
        return _open_root(Path(root), wanted)
    scan = corpus.scan(root, **options)
    defaults = _defaults(corpus.load)
    unusual = {option: value for option, value in wanted["options"].items() if value != defaults[option]}
    about = corpus.about(**options) | {"part": corpus.PART, "options": unusual}
    wanted |= {"root": str(scan.root), "embedded": embed_audio, "code": _digest_code()}
    folder = _place(wanted) if out is None else Path(out).absolute()
    _check_place(folder, scan.root)
    with _alone(folder):
        wanted["fingerprint"] = _digest_files(scan.sources)
        if not _is_current(folder, wanted, decode):
            rows = inspection.inspect(
                scan.rows,
                scan.problems,
                decode=decode,
                embed_audio=embed_audio,
                max_seconds=max_seconds,
                known=getattr(corpus, "KNOWN", None),
            )
            with _replaced(folder) as draft:
                write_prepared(draft, scan, rows, wanted | {"decoded": decode}, about)
                carry_transcripts(folder, draft)
        return open_prepared(folder)


def _open_root(folder: Path, wanted: Mapping) -> Prepared:
    """A prepared folder that was given in place of the corpus, if it is what is wanted."""
    prepared = open_prepared(folder)
    if prepared.facts["corpus"] != wanted["corpus"]:
        raise ValueError(
            f"{folder} was prepared of the corpus {prepared.facts['corpus']!r}, not {wanted['corpus']!r}."
        )
    for option, value in prepared.facts["options"].items():
        if wanted["options"].get(option) != value:
            raise ValueError(
                f"{folder} was prepared with {option}={value!r}, not {wanted['options'].get(option)!r}: give that option, or the "
                "folder of the corpus itself."
            )
    return prepared


def _defaults(function: Callable) -> dict:
    """What its options are where they are not given."""
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.name != "root"}


def _place(wanted: Mapping) -> Path:
    """Where in the cache a preparation belongs."""
    key = {name: wanted[name] for name in ("corpus", "options", "root", "embedded")}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return Path(datasets.config.HF_DATASETS_CACHE) / "emofusion" / f"{wanted['corpus']}-{digest[:12]}"


def _check_place(folder: Path, root: Path) -> None:
    """Refuse to write into the corpus or over something else."""
    if folder.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{folder} is inside the corpus {root}, of which nothing is changed: give another folder.")
    if folder.exists() and not (folder / FACTS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} holds something else than a prepared corpus: give another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)


def _is_current(folder: Path, wanted: Mapping, decode: bool) -> bool:
    """Whether a folder holds what is wanted; one whose recordings were decoded is as good as one where they were not."""
    try:
        facts = json.loads((folder / FACTS).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return all(facts.get(name) == value for name, value in wanted.items()) and (facts["decoded"] or not decode)


def _digest_code() -> str:
    """What changes with the code that reads corpora."""
    files = [file for file in Path(__file__).parent.parent.rglob("*.py") if file.stem not in READS_NO_CORPUS]
    files.append(Path(media.__file__))
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:12]


def _digest_files(sources: Iterable[Path]) -> str:
    """What changes with the names, sizes and times of files; their contents are not read."""
    digest = hashlib.sha256()
    for source in sources:
        for path, size, time in _walk(str(source)):
            digest.update(f"{path}\0{size}\0{time}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _walk(path: str) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of change (ns) of a file or of all visible ones below a folder; zeros where it cannot be seen."""
    try:
        if not os.path.isdir(path):
            state = os.stat(path)
            yield path, state.st_size, state.st_mtime_ns
            return
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        yield path, 0, 0
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        else:
            try:
                state = entry.stat()
            except OSError:
                yield entry.path, 0, 0
            else:
                yield entry.path, state.st_size, state.st_mtime_ns


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other process prepare the same folder meanwhile."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        logger.warning("Another process prepares %s; this one waits for it.", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` at the end; after an error nothing has changed.

    The caller holds the lock of `folder`.
    """
    for leftover in folder.parent.glob(f".{folder.name}-draft-*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-draft-", dir=folder.parent) as workshop:
        draft = Path(workshop, "new")
        draft.mkdir()
        try:
            yield draft
        except OSError as error:
            if error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(workshop):
                raise
            reason = os.strerror(error.errno) if error.errno else error
            raise OSError(f"{folder} was not written: {reason}. Make room there, or give another folder.") from error
        if folder.exists():
            os.replace(folder, Path(workshop, "old"))
        os.replace(draft, folder)
