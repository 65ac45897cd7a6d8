"""A folder of recordings for tests of the loader; all sentences are invented."""

import csv
import json
import os

import soundfile
from testing_meld import RATE, tone, write_video

TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"
0 0.5 <exists> 2
"IntervalTier" "words" 0 0.5 1 0.1 0.4 "day"
"IntervalTier" "phones" 0 0.5 2 0.1 0.2 "d" 0.2 0.4 "eɪ"
"""
SPHINX = {
    ".wdseg": "SFrm EFrm SegAScr Word\n0 9 -100 <s>\n10 39 -200 DAY(2)\n Total score: -300\n",
    ".phseg": "SFrm EFrm SegAScr Phone\n0 9 -100 SIL\n10 19 -100 D SIL EY b\n20 39 -100 EY D SIL e\n Total score: -300\n",
}


def make_rows(speakers=6):
    """Return two rows per speaker, one sad and one glad."""
    return [
        {
            "file_name": f"audio/{speaker}_{label}.wav",
            "text": f"A {label} day, {speaker}.",
            "label": label,
            "speaker": speaker,
        }
        for speaker in (f"s{number}" for number in range(speakers))
        for label in ("sad", "glad")
    ]


def write_metadata(folder, rows, kind="csv"):
    folder.mkdir(parents=True, exist_ok=True)
    path, columns = folder / f"metadata.{kind}", list(dict.fromkeys(column for row in rows for column in row))
    if kind == "csv":
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(
            pyarrow.Table.from_pylist([{column: row.get(column) for column in columns} for row in rows]), path
        )


def write_recordings(folder, rows):
    for number, row in enumerate(rows):
        path = folder / row["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(0.5, 200 + 50 * number), RATE)


def make_folder(root, rows=None, kind="csv"):
    """Write metadata and recordings of half a second, and return the root."""
    rows = make_rows() if rows is None else rows
    write_metadata(root, rows, kind)
    write_recordings(root, rows)
    return root


def add_everything(root, rows):
    """Add a video and an alignment to the first two rows: a TextGrid and Sphinx files."""
    write_video(root / "video.mp4", 0.5, 300)
    (root / "day.TextGrid").write_text(TEXTGRID, encoding="utf-8")
    for suffix, content in SPHINX.items():
        (root / f"day{suffix}").write_text(content, encoding="latin-1")
    rows[0] |= {
        "video_file_name": "video.mp4",
        "alignment_file_name": "day.TextGrid",
        "turn": 3,
        "dialogue": "d",
        "session": 7,
    }
    rows[1] |= {
        "video_file_name": "video.mp4",
        "alignment_file_name": "day.wdseg",
        "turn": 4,
        "dialogue": "d",
        "session": 7,
    }


def close(monkeypatch, paths):
    """Deny access to some files and folders, since permissions do not restrict a super-user."""
    access, scandir = os.access, os.scandir

    def scan(path):
        if str(path) in paths:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.access", lambda path, mode: str(path) not in paths and access(path, mode))
    monkeypatch.setattr("os.scandir", scan)
