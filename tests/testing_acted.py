"""Miniature copies of the acted corpora: published folders and file names, with tones for recordings."""

import csv
from collections import Counter

import soundfile
from emofusion.corpora import get_corpus
from testing_meld import RATE, tone, write_video

SECONDS = 0.15
# The speakers of each tree; every split of the first fold of each protocol has one.
SPEAKERS = {
    "crema_d": ("1001", "1002", "1003", "1017", "1022", "1049", "1050", "1091"),
    "ravdess": ("01", "02", "03", "05", "10", "18"),
    "emo_db": ("03", "08", "09", "16"),
    "savee": ("DC", "JE", "JK", "KL"),
    "tess": ("OAF", "YAF"),
}
# The published name of a file in each corpus, for two emotions.
NAMES = {
    "crema_d": [f"AudioWAV/{{0}}_{sentence}_XX.wav" for sentence in ("IEO_ANG", "DFA_SAD")],
    "ravdess": [
        f"Audio_Speech_Actors_01-24/Actor_{{0}}/03-01-{emotion}-01-02-01-{{0}}.wav" for emotion in ("04", "05")
    ],
    "emo_db": [f"wav/{{0}}{sentence}.wav" for sentence in ("a01Wa", "b10Tb")],
    "savee": [f"AudioData/{{0}}/{sentence}.wav" for sentence in ("a01", "sa15")],
    "tess": [
        f"{{0}}_{folder}/{{0}}_{word}_{emotion}.wav"
        for word in ("back", "bite", "chair")
        for folder, emotion in (("angry", "angry"), ("Sad", "sad"))
    ],
}
VOTES = ("", "A", "D", "F", "H", "N", "S", "fileName", "numResponses", "agreement", "emoVote")


def write_recordings(root, names):
    """Write a short tone of another pitch under each name, and return the root."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(SECONDS, 200 + 5 * number), RATE)
    return root


def names_of(corpus):
    """Return the names of the files in the tree of a corpus."""
    return [name.format(speaker) for speaker in SPEAKERS[corpus] for name in NAMES[corpus]]


def make_acted(root, corpus):
    """Write a copy of a corpus, with a hidden file of macOS beside each recording, and return its root."""
    names = names_of(corpus)
    write_recordings(root, names)
    for name in names:
        path = root / name
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    return root


def write_clip(path, with_sound=True):
    """Write a short video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, 0.2, 300, with_sound)


def write_votes(root, rows):
    """Write the table of votes of CREMA-D from rows `(row name, votes for A, D, F, H, N, S, file name)`."""
    path = root / "processedResults" / "tabulatedVotes.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(VOTES)
        writer.writerows([name, *votes, clip, sum(votes), 0.5, "N"] for name, votes, clip in rows)
    return path


def scan(root, corpus, **options):
    """Return the rows of a copy, and its scan."""
    found = get_corpus(corpus).scan(root, get_corpus(corpus).parse(**options))
    return list(found.rows), found


def kinds(found):
    """Return how many problems of each kind a scan has."""
    return Counter(problem["kind"] for problem in found.problems)
