"""A miniature MSP-Podcast on disk, with every peculiarity that the loader handles; all sentences are invented."""

import csv
from pathlib import Path

import soundfile
from testing_meld import RATE, tone

HEADER = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
CODES = "ASHUFDCN"
# Rows of the table: name without "MSP-PODCAST_" and ".wav", code, activation, valence, dominance, speaker, gender, partition.
ROWS = [
    *(
        (f"0001_{n:04}", code, 4.45 - n / 4, 3.35 + n / 4, 5.0, 7, "Female", "Train")
        for n, code in enumerate(CODES, 1)
    ),
    ("0001_0010_0002", "X", 4, 4, 4, "Unknown", "Unknown", "Train"),
    ("0001_0011", "O", 2, 6, 4, 7, "Female", "Train"),
    *((f"0002_{n:04}", code, n / 2 + 1, 7, n / 4 + 1, 8, "Male", "Development") for n, code in enumerate(CODES, 1)),
    ("0002_0009", "X", 3, 3, 3, 8, "Male", "Development"),
    *((f"0003_{n:04}", code, n / 2 + 1, 6 - n / 2, n / 4 + 1, 9, "Male", "Test1") for n, code in enumerate(CODES, 1)),
    *((f"0004_{n:04}", code, 3, 3, 3, 9, "Male", "Test2") for n, code in enumerate(CODES, 1)),
]
TEST3 = ("MSP-PODCAST_test3_0001", "MSP-PODCAST_test3_0002")
NAMES = {
    "A": "Angry", "S": "Sad", "H": "Happy", "U": "Surprise", "F": "Fear", "D": "Disgust", "C": "Contempt", "N": "Neutral",
}  # fmt: skip
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"
0 0.1 <exists> 2
"IntervalTier" "words" 0 0.1 1 0.02 0.08 "day"
"IntervalTier" "phones" 0 0.1 2 0.02 0.04 "D" 0.04 0.08 "EY1"
"""


def name_of(row) -> str:
    return f"MSP-PODCAST_{row[0]}"


def votes_of(row) -> list[str]:
    """Return the primary emotions of five raters: the consensus has three of them, or nobody agrees."""
    if row[1] == "X":
        return ["Happy", "Happy", "Sad", "Sad", "Other-Relaxed"]
    if row[1] == "O":
        return ["Other-Bored", "Other-Tired; very", "Other-Bored", "Neutral", "Other-caf\xe9"]
    return [NAMES[row[1]]] * 3 + ["Neutral", "Other-Unsure"]


def write_table(folder: Path, rows=ROWS, name="labels_consensus.csv") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows([f"MSP-PODCAST_{first}.wav", *rest] for first, *rest in rows)


def detail_of(number: int, vote: str) -> str:
    return f"WORKER{number:08}; {vote}; {vote},Concerned; A:4.000000; V:3.000000; D:5.000000;"


def write_votes(folder: Path, form: str, rows=ROWS) -> None:
    """Write the votes as `text` (labels.txt), `detail` (a column EmoDetail) or `columns` (EmoClass_Major)."""
    if form == "text":
        blocks = (
            f"{name_of(row)}.wav; {row[1]}; A:{row[2]:.6f}; V:{row[3]:.6f}; D:{row[4]:.6f};\n"
            + "".join(f"{detail_of(number, vote)}\n" for number, vote in enumerate(votes_of(row), 1))
            for row in rows
        )
        (folder / "labels.txt").write_text("\n".join(blocks), encoding="utf-8")
        return
    with open(folder / "labels_detailed.csv", "w", newline="", encoding="latin-1") as file:
        writer = csv.writer(file)
        names = ("EmoDetail",) if form == "detail" else ("WorkerID", "EmoClass_Major", "EmoClass_Second")
        writer.writerow(["FileName", *names])
        for row in rows:
            for number, vote in enumerate(votes_of(row), 1):
                cells = (
                    [detail_of(number, vote)] if form == "detail" else [f"WORKER{number}", vote, f"{vote},Concerned"]
                )
                writer.writerow([f"{name_of(row)}.wav", *cells])


def make_msp_podcast(root: Path, votes: str | None = "detail") -> Path:
    """Build the tree and return its root.

    One turn has no recording, one no transcript, one an alignment, and one an alignment that cannot be read; one recording has
    no row.
    """
    write_table(root / "Labels")
    if votes:
        write_votes(root / "Labels", votes)
    for folder in ("Audios", "Transcripts", "ForceAligned"):
        (root / folder).mkdir()
    names = [name_of(row) for row in ROWS]
    for name in (*names[:-1], *TEST3, "MSP-PODCAST_0009_0001"):
        soundfile.write(root / f"Audios/{name}.wav", tone(0.1, 300), RATE)
    for number, name in enumerate(names[:-1]):
        text = f"\ufeffWell, [LAUGHTER] this is\r\nnumber {number}.\n"
        (root / f"Transcripts/{name}.txt").write_bytes(text.encode())
    (root / f"Transcripts/{names[1]}.txt").write_bytes("At the caf\xe9.".encode("cp1252"))
    (root / f"Transcripts/{names[2]}.txt").unlink()
    (root / f"ForceAligned/{names[0]}.TextGrid").write_text(TEXTGRID)
    (root / f"ForceAligned/{names[1]}.TextGrid").write_text("nothing")
    return root
