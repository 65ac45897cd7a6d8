"""Prepare a corpus on disk: inspect every row once, write the rows as Arrow files, and reuse them until something changes."""

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import datasets
from filelock import FileLock, Timeout

from ..atomic_write import check_absent, make_folder, workshop
from ..corpus import DiskCorpus
from ..records import Prepared, ScanOptions
from ..transcripts.files import carry_transcripts
from . import inspection, writing
from .digests import digest_code, digest_files
from .prepared_folder import open_prepared
from .writing import FORMAT, METADATA, write_prepared

logger = logging.getLogger(__name__)


def prepare(
    corpus: DiskCorpus,
    root: str | Path | None,
    options: ScanOptions,
    out: str | Path | None = None,
    *,
    decode: bool = False,
    embed_audio: bool = False,
) -> Prepared:
    """Prepare a corpus, unless it is prepared and neither its files, the options nor the code have changed since.

    Processes that prepare the same corpus wait for the first. An interrupted process leaves no folder that looks finished.

    Args:
        corpus: The corpus.
        root: Folder of the corpus, or a folder that was prepared from it.
        options: An instance of `corpus.scan_options`.
        out: The prepared folder; None chooses one in the cache of `datasets`.
        decode: Whether all recordings are decoded, see `inspection.inspect`.
        embed_audio: Whether rows contain their recordings: the folder can then be moved or pushed on its own.

    Raises:
        FileExistsError: If `out` contains anything but a prepared corpus.
        FileNotFoundError: If there is no folder `root`.
        OSError: If `out` cannot be written.
        ValueError: If `root` is not the corpus, no row is usable, or `out` is inside `root`.
    """
    defaults = {option.name: option.default for option in fields(corpus.scan_options)}
    values = json.loads(json.dumps({name: getattr(options, name) for name in defaults}, default=list))
    wanted = {"format": FORMAT, "corpus": corpus.name, "options": values}
    if root is not None and (Path(root) / METADATA).is_file():
        if out is not None or embed_audio:
            raise ValueError(f"{root} is prepared already: to prepare the corpus in another way, give its own folder.")
        return _open_root(Path(root), wanted)
    scan = corpus.scan(root, options)
    unusual = {name: value for name, value in values.items() if value != defaults[name]}
    description = corpus.describe(corpus.parse(**values)) | {"options": unusual}
    wanted |= {"root": str(scan.root), "embedded": embed_audio, "code": digest_code(code_entries(corpus))}
    folder = _default_folder(wanted) if out is None else Path(out).absolute()
    _check_folder(folder, scan.root)
    with _locked(folder):
        wanted["fingerprint"] = digest_files(scan.sources)
        prepared = _open_current(folder, wanted, decode)
        if prepared is None:
            rows = inspection.inspect(
                scan.rows,
                scan.problems,
                decode=decode,
                embed_audio=embed_audio,
                max_seconds=options.max_seconds,
                known=corpus.known_problems,
                turns=scan.turns,
            )
            with _replaced(folder) as draft:
                write_prepared(draft, scan, rows, wanted | {"decoded": decode}, description, corpus.count_by)
                carry_transcripts(folder, draft)
            prepared = open_prepared(folder)
        return prepared


def _open_root(folder: Path, wanted: Mapping) -> Prepared:
    """Open a prepared folder that was given as root; raise a `ValueError` if its corpus or options are others."""
    prepared = open_prepared(folder)
    if prepared.metadata["corpus"] != wanted["corpus"]:
        raise ValueError(
            f"{folder} was prepared from the corpus {prepared.metadata['corpus']!r}, not {wanted['corpus']!r}."
        )
    for option, value in prepared.metadata["options"].items():
        if wanted["options"].get(option) != value:
            raise ValueError(
                f"{folder} was prepared with {option}={value!r}, not {wanted['options'].get(option)!r}: give that option, "
                "or the folder of the corpus itself."
            )
    return prepared


def code_entries(corpus: DiskCorpus) -> list[Path]:
    """Return the files whose code, with all that they import, determines a prepared folder: scan, inspection, writer."""
    return [Path(inspect.getfile(entry)) for entry in (corpus.scan, inspection, writing)]


def _default_folder(wanted: Mapping) -> Path:
    """Return the folder of a preparation in the cache."""
    key = {name: wanted[name] for name in ("corpus", "options", "root", "embedded")}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return Path(datasets.config.HF_DATASETS_CACHE) / "emofusion" / f"{wanted['corpus']}-{digest[:12]}"


def _check_folder(folder: Path, root: Path) -> None:
    """Check that the folder is not inside the corpus, contains no other files, and can be written."""
    # Unlike Path.resolve, realpath does not fail for a link to itself, which is refused below.
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root)):
        raise ValueError(f"{folder} is inside the corpus {root}, which is never changed: give another folder.")
    if not folder.is_dir():
        check_absent(folder)
    elif not (folder / METADATA).is_file() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} contains something other than a prepared corpus: give another folder.")
    make_folder(folder.parent)


def _open_current(folder: Path, wanted: Mapping, decode: bool) -> Prepared | None:
    """Return a prepared folder, or None if it is damaged, missing or out of date.

    A decoded preparation is also valid if decoding is not requested.
    """
    try:
        prepared = open_prepared(folder)
    except (OSError, ValueError):
        return None
    found = prepared.metadata
    is_current = all(found.get(name) == value for name, value in wanted.items()) and (found["decoded"] or not decode)
    return prepared if is_current else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that no other process prepares it meanwhile."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        logger.warning("Another process is preparing %s; waiting for it.", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` at the end; after an error `folder` is unchanged.

    The caller holds the lock of `folder`.
    """
    with workshop(folder.parent, f".{folder.name}-draft-") as place:
        draft = place / "new"
        draft.mkdir()
        try:
            yield draft
        except OSError as error:
            if error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(place):
                raise
            reason = os.strerror(error.errno) if error.errno else error
            raise OSError(f"{folder} was not written: {reason}. Free disk space, or give another folder.") from error
        if folder.exists():
            os.replace(folder, place / "old")
        os.replace(draft, folder)
