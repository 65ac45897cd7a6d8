"""Corpora on disk: folders with metadata, IEMOCAP, MELD, alignments, and their options."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from testing_acted import make_acted, write_votes
from testing_cmu_mosei import make_cmu_mosei
from testing_folder import SPHINX, TEXTGRID, add_everything, make_folder, make_rows, write_metadata
from testing_iemocap import PHONES, SYLLABLES, WORDS, build_iemocap
from testing_meld import make_reencoded
from testing_msp_podcast import make_msp_podcast

from .judging import Ended, run_command
from .spoil_bytes import spoil_bytes
from .spoil_folder import spoil_file, spoil_folder
from .spoil_text import spoil_lines
from .spoil_trees import spoil_tree
from .target import Spoiled, Target
from .watching import make_device

KINDS = ("csv", "jsonl", "parquet")
OPTIONS = {
    "folder": {
        "labels": ["glad", "sad"], "validation_share": 0.2, "test_share": 0.2, "seed": 1, "speaker_folds": 3, "fold": 2,
    },
    "iemocap": {"classes": 4, "alignment_offset": 0.0, "fold": 1},
    "meld": {"labels": "emotion"},
}  # fmt: skip


def build_folder(folder: Path) -> list[dict]:
    """Write a folder of recordings, with a video and alignments, and return its rows."""
    rows = make_rows()
    make_folder(folder / "mine", rows)
    add_everything(folder / "mine", rows)
    write_metadata(folder / "mine", rows)
    return [{"root": str(folder / "mine"), "rows": rows}]


def build_acted(folder: Path) -> tuple[str, str]:
    """Write an acted corpus with the raters' votes, and return its name and root."""
    root = make_acted(folder / "acted", "crema_d")
    write_votes(
        root, [("100001", (6, 2, 0, 0, 2, 0), "1001_IEO_ANG_XX"), ("100002", (0, 0, 1, 0, 1, 0), "1002_DFA_SAD_XX")]
    )
    return "crema_d", str(root)


def spoil_metadata(random: Random, valid: list[dict], into: Path) -> Spoiled:
    """Write metadata with a spoiled row, or a spoiled file of metadata, in one of the three formats."""
    root = Path(shutil.copytree(valid[0]["root"], into / "mine"))
    (root / "metadata.csv").unlink()
    kind, rows = random.choice(KINDS), valid[0]["rows"]
    what = "nothing"
    if random.random() < 0.6:
        what, rows, _ = spoil_tree(random, rows)
        rows = [row if isinstance(row, dict) else {"file_name": row} for row in rows]
    rows = rows or [{"file_name": None}]
    try:
        write_metadata(root, rows, kind)
    except (TypeError, ValueError, OverflowError, ArithmeticError, UnicodeError) as error:
        what = f"{what} (left as it was, because {type(error).__name__})"  # a table cannot hold the value
        write_metadata(root, valid[0]["rows"], kind)
    except Exception:  # of pyarrow
        write_metadata(root, valid[0]["rows"], kind)
    path = root / f"metadata.{kind}"
    if what == "nothing" or random.random() < 0.1:
        data = path.read_bytes()
        spoiled = spoil_bytes(random, data) if kind == "parquet" else spoil_lines(random, data.decode())
        what = f"{what}; {spoiled[0]}"
        path.write_bytes(spoiled[1])
    return Spoiled(f"{kind}: {what}", ("folder", str(root)))


def spoil_corpus(name: str, *files: str) -> Callable[[Random, list[dict], Path], Spoiled]:
    """Return how to spoil a file of a corpus."""

    def spoil(random: Random, valid: Any, into: Path) -> Spoiled:
        spoiled = spoil_folder(random, Path(valid[1]), into, files)
        return Spoiled(spoiled.what, (name, str(spoiled.value)))

    return spoil


def load(corpus: list | tuple) -> dict:
    """Prepare and load a corpus, and return the ids and labels of its rows; reading every row."""
    from emofusion.corpora import load_corpus, prepare_corpus

    (name, root), out = corpus if isinstance(corpus[0], str) else ("folder", corpus[0]["root"]), Path("prepared")
    shutil.rmtree(out, ignore_errors=True)
    prepare_corpus(name, root, out, decode=True)
    splits = {split: list(rows) for split, rows in load_corpus(name, str(out)).items()}
    for row in (row for rows in splits.values() for row in rows):
        check_row(row)
    return {split: sorted([row["id"], row["label"]] for row in rows) for split, rows in splits.items()}


def check_row(row: dict) -> None:
    """Check what every consumer of a row relies on."""
    times = [row["start"], row["end"], *(row[name] for name in ("valence", "arousal") if name in row)]
    assert all(time is None or np.isfinite(time) for time in times), times
    for level, segments in (row.get("alignment") or {}).items():
        times = [*(segments or {}).get("start", []), *(segments or {}).get("end", [])]
        assert all(np.isfinite(time) and time >= 0 for time in times), (level, times)


def check_corpus(answer: dict, intact: dict | None, spoiled: Spoiled) -> str | None:
    """Accept any corpus with unique ids that has rows."""
    ids = [name for rows in answer.values() for name, _ in rows]
    if len(set(ids)) < len(ids):
        return "an id occurs twice"
    return None if ids else "no rows"


def build_alignments(folder: Path) -> dict[str, str]:
    """Return a text of each kind of alignment, by suffix."""
    long = TEXTGRID.replace('"IntervalTier" "words"', 'item [1]:\n class = "IntervalTier"\n name = "words"')
    return {"TextGrid": TEXTGRID, "long.TextGrid": long, "wdseg": WORDS, "phseg": PHONES, "syseg": SYLLABLES} | {
        f"mine{suffix}": text for suffix, text in SPHINX.items()
    }


def spoil_alignment(random: Random, valid: dict[str, str], into: Path) -> Spoiled:
    suffix = random.choice(list(valid))
    if random.random() < 0.3:
        what, data = spoil_bytes(random, valid[suffix].encode())
    else:
        what, data = spoil_lines(random, valid[suffix])
    path = into / f"a.{suffix}"
    path.write_bytes(data)
    return Spoiled(f"{suffix}: {what}", {suffix: str(path)})


def align(files: dict[str, str]) -> dict:
    """Return the segments of files; texts are written first."""
    from emofusion.corpora.alignment import read_sphinx
    from emofusion.corpora.textgrid import read_textgrid

    found = {}
    for suffix, path in files.items():
        if "\n" in path:
            Path(f"a.{suffix}").write_text(path, encoding="utf-8")
            path = f"a.{suffix}"
        read = read_textgrid(path) if suffix.endswith("TextGrid") else {"": read_sphinx(path)}
        for segments in filter(None, read.values()):
            times = np.array([segments["start"], segments["end"]])
            assert len(segments["symbol"]) == times.shape[1]
            assert np.isfinite(times).all()
            assert (times >= 0).all()
            assert (times[0] <= times[1]).all()
        found[suffix] = read
    return found


def build_options(folder: Path) -> dict[str, Any]:
    """Return options of every corpus, and the roots of small ones."""
    root = make_folder(folder / "mine")
    folds = {str(fold): {"test": [f"audio/s{fold}_sad.wav"]} for fold in range(2)}
    (folder / "folds.json").write_text(json.dumps(folds))
    return {"roots": {"folder": str(root)}, "options": OPTIONS}


def spoil_options(random: Random, valid: dict, into: Path) -> Spoiled:
    name = random.choice(["folder", "folder", *OPTIONS])
    what, options, _ = spoil_tree(random, valid["options"][name])
    return Spoiled(f"{name}: {what}", {"roots": valid["roots"], "options": {name: options}})


def use_options(given: dict) -> dict:
    """Return the splits that options give, or their description where there is no corpus to load."""
    from emofusion.corpora import load_corpus
    from emofusion.corpora.registry import describe_corpus, list_folds

    found = {}
    for name, options in given["options"].items():
        found[name] = [bool(describe_corpus(name, **options)), len(list_folds(name, **options))]
        if root := given["roots"].get(name):
            found[name].append({split: len(rows) for split, rows in load_corpus(name, root, **options).items()})
    return found


def build_prepared(folder: Path) -> tuple[str, str]:
    """Return a prepared folder of recordings."""
    from emofusion.corpora import prepare_corpus

    prepare_corpus("folder", make_folder(folder / "mine"), folder / "prepared")
    return "folder", str(folder / "prepared")


def load_prepared(corpus: tuple[str, str]) -> dict:
    """Return the ids and labels of a prepared corpus."""
    from emofusion.corpora import load_corpus

    splits = {split: list(rows) for split, rows in load_corpus(*corpus).items()}
    return {split: sorted([row["id"], row["label"]] for row in rows) for split, rows in splits.items()}


def build_folds(folder: Path) -> dict[str, str]:
    """Return a folder of recordings and a file of folds for it."""
    root = make_folder(folder / "mine")
    ids = [row["file_name"] for row in make_rows()]
    folds = {str(number + 1): {"train": ids[4:], "validation": ids[2:4], "test": ids[:2]} for number in range(2)}
    (folder / "folds.json").write_text(json.dumps(folds))
    return {"root": str(root), "file": str(folder / "folds.json")}


def spoil_folds(random: Random, valid: dict[str, str], into: Path) -> Spoiled:
    shutil.copyfile(valid["file"], into / "folds.json")
    what, _ = spoil_file(random, into / "folds.json")
    return Spoiled(what, valid | {"file": str(into / "folds.json")})


def load_fold(given: dict[str, str]) -> dict:
    """Return the ids and labels of the splits of the second fold."""
    from emofusion.corpora import load_corpus

    splits = load_corpus("folder", given["root"], fold_file=given["file"], fold=2)
    return {split: sorted([row["id"], row["label"]] for row in rows) for split, rows in splits.items()}


def build_prepare(folder: Path) -> list[str]:
    return ["prepare", "folder", str(make_folder(folder / "mine")), "--out", "prepared", "--folds", "folds.json"]


def spoil_place(random: Random, valid: list[str], into: Path) -> Spoiled:
    """Let a command write to a place where it must not, and watch over that."""
    option = random.choice(("--out", "--folds"))
    place = into / "place"
    ways = {
        "a fifo": lambda: os.mkfifo(place),
        "a file of somebody else's": lambda: place.write_text("precious"),
        "a folder of somebody else's": lambda: (place.mkdir(), (place / "precious").write_text("precious")),
        "a link to nothing": lambda: place.symlink_to("nothing"),
        "a link to itself": lambda: place.symlink_to("place"),
        "a link to a file": lambda: ((into / "kept").write_text("precious"), place.symlink_to("kept")),
        "a full device": lambda: make_device(place, "full"),
        "a link to a device": lambda: (make_device(into / "kept", "zero"), place.symlink_to("kept")),
        "/proc/x": lambda: None,
        "no folder": lambda: None,
    }
    name = random.choice(list(ways))
    ways[name]()
    path = {"no folder": str(into / "no" / "place" / "here"), "/proc/x": name}.get(name, str(place))
    argv = list(valid)
    argv[argv.index(option) + 1] = path
    return Spoiled(f"{option} is {name}", argv)


def prepare(argv: list[str]) -> Ended:
    """Run the command, and see that no device, fifo, folder or linked file of somebody else's is gone.

    A plain file, and a link itself, may be replaced: that is what the options are for.
    """
    places = [Path(argv[argv.index(option) + 1]) for option in ("--out", "--folds")]
    places += [place.with_name("kept") for place in places]
    before = [_state(place) for place in places]
    ended = run_command(argv)
    for place, state in zip(places, before, strict=True):
        assert _state(place) == state or state is None, f"{place} was replaced"
    return ended


def _state(path: Path) -> Any:
    """Return what must stay of a path: the kind of a device or fifo, and the content of a file that was not named."""
    if path.is_dir():
        return [(path / "precious").is_file()]
    if path.name == "kept" and path.is_file():
        return path.read_text()
    is_replaceable = path.is_symlink() or path.is_file() or not path.exists()
    return None if is_replaceable else stat.S_IFMT(path.stat().st_mode)


TARGETS = [
    Target("corpus-metadata", "corpora", build_folder, spoil_metadata, load, check_corpus, 5),
    Target(
        "corpus-files", "corpora", lambda folder: ("folder", build_folder(folder)[0]["root"]),
        spoil_corpus("folder", "audio/*", "*.mp4", "day.*", "metadata.csv"), load, check_corpus, 2,
    ),
    Target(
        "corpus-iemocap", "corpora", lambda folder: ("iemocap", str(build_iemocap(folder))),
        spoil_corpus(
            "iemocap", "Session*/dialog/EmoEvaluation/*.txt", "Session*/dialog/transcriptions/*.txt",
            "Session*/sentences/wav/*/*.wav", "Session*/sentences/ForcedAlignment/*/*", "Session1/dialog/avi/*/*.avi",
        ),
        load, check_corpus, 2,
    ),
    Target(
        "corpus-meld", "corpora", lambda folder: ("meld", str(make_reencoded(folder / "MELD"))),
        spoil_corpus("meld", "*.csv", "*.csv", "audio/*/*"), load, check_corpus, 2,
    ),
    Target(
        "corpus-acted", "corpora", build_acted, spoil_corpus("crema_d", "AudioWAV/*", "processedResults/*"), load,
        check_corpus, 2,
    ),
    Target(
        "corpus-msp-podcast", "corpora", lambda folder: ("msp_podcast", str(make_msp_podcast(folder / "MSP"))),
        spoil_corpus("msp_podcast", "Labels/*", "Labels/*", "Transcripts/*", "ForceAligned/*", "Audios/*"),
        load, check_corpus, 2,
    ),
    Target(
        "corpus-cmu-mosei", "corpora", lambda folder: ("cmu_mosei", str(make_cmu_mosei(folder / "MOSEI"))),
        spoil_corpus("cmu_mosei", "*.py", "Raw/Labels/*", "Raw/Transcript/*/*/*", "Raw/Audio/*/*/*"),
        load, check_corpus, 2,
    ),
    Target("corpus-alignments", "corpora", build_alignments, spoil_alignment, align, weight=3),
    Target("corpus-options", "corpora", build_options, spoil_options, use_options, weight=3),
    Target(
        "corpus-prepared", "corpora", build_prepared, spoil_corpus("folder", "*", "*/*", "**/*"), load_prepared,
        check_corpus, 2,
    ),
    Target("corpus-folds", "corpora", build_folds, spoil_folds, load_fold, check_corpus, 1.5),
    Target("corpus-places", "corpora", build_prepare, spoil_place, prepare, weight=1),
]  # fmt: skip
