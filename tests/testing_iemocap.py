"""A miniature IEMOCAP on disk, with every quirk of the corpus; all sentences are invented."""

from pathlib import Path

import numpy as np
import soundfile

RATE, LENGTH, PAUSE = 16000, 0.4, 0.1  # Hz, seconds of a turn, seconds between turns
APPLE_DOUBLE = b"\x00\x05\x16\x07" + bytes(28)
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"

# Last field of the name, label, text. The fifth and the last are left out of four classes.
TURNS = (
    ("F000", "ang", "Stop: you took my umbrella again."),
    ("M000", "neu", "It was by the door."),
    ("F001", "hap", "[LAUGHTER] Now it rains on both of us."),
    ("M001", "sad", "I lost it at the caf\xe9."),
    ("F002", "fru", "This always happens."),
    ("M002", "exc", "Look, the sun is out!"),
    ("F003", "neu", "We could walk."),
    ("M003", "xxx", "Maybe."),
)
DIALOGUES = ("F_impro01", "M_script01_1b")

WORDS = "\tSFrm\tEFrm\tSegAScr\tWord\n 0 4 -51 <s>\n 5 14 -9021 WE(2)\n 15 26 -7012 COULD\n 27 29 -3 ++LAUGHTER++\n"
WORDS += " 30 38 -812 WALK\n Total score: -16899\n"
PHONES = "\tSFrm\tEFrm\tSegAScr\tPhone\n 0 4 -51 SIL\n 5 9 -4000 W SIL IY b\n 10 14 -5021 IY W K e\n"
PHONES += " 15 18 -2000 K IY UH b\n 19 22 -2000 UH K D i\n 23 26 -3012 D UH W e\n 27 29 -3 +LAUGHTER+\n"
PHONES += " 30 32 -400 W D AO b\n 33 35 -212 AO W K i\n 36 38 -200 K AO SIL e\n Total score: -16899\n"
SYLLABLES = "\tSFrm\tEFrm\tSyll\n 0 4 SIL\n 5 14 W IY\n 15 26 K UH D\n 30 38 W AO K\n"


def build_iemocap(folder: Path) -> Path:
    """Build the tree in a folder.

    All turns of ten speakers are valid. Only the first dialogue has a video and syllables. Two turns of session 3 lack
    their words, as in the corpus.

    Returns:
        Its `IEMOCAP_full_release`.
    """
    root = folder / "IEMOCAP_full_release"
    for number in range(1, 6):
        for dialogue in DIALOGUES:
            build_dialogue(root / f"Session{number}", f"Ses0{number}{dialogue}", TURNS)
    session = root / "Session3"
    build_dialogue(session, "Ses03F_impro07", [("M030", "neu", "Is it far?")])
    build_dialogue(session, "Ses03M_impro03", [("M001", "neu", "Not very.")])
    for name in ("Ses03F_impro07_M030", "Ses03M_impro03_M001"):
        (alignment_folder(session, name) / f"{name}.wdseg").unlink()
    first = root / "Session1"
    (alignment_folder(first, "Ses01F_impro01_F000") / "Ses01F_impro01_F000.syseg").write_text(SYLLABLES)
    write_video(first / "dialog/avi/DivX/Ses01F_impro01.avi", len(TURNS) * (LENGTH + PAUSE))
    (first / "dialog/avi/DivX/._Ses01F_impro01.avi").write_bytes(APPLE_DOUBLE)
    return root


def alignment_folder(session: Path, turn: str) -> Path:
    return session / "sentences/ForcedAlignment" / turn.rpartition("_")[0]


def build_dialogue(session: Path, dialogue: str, turns) -> None:
    """Write the text files, recordings and alignments of a dialogue."""
    evaluations, transcriptions, videos, raters, recordings, alignments = (
        session / part
        for part in (
            "dialog/EmoEvaluation",
            "dialog/transcriptions",
            "dialog/avi/DivX",
            "dialog/EmoEvaluation/Categorical",
            f"sentences/wav/{dialogue}",
            f"sentences/ForcedAlignment/{dialogue}",
        )
    )
    for folder in (evaluations, transcriptions, videos, raters, recordings, alignments):
        folder.mkdir(parents=True, exist_ok=True)
    (raters / f"{dialogue}_e2_cat.txt").write_text(f"{dialogue}_F000 :Anger; ()\n")
    blocks, lines = [], []
    for number, (field, code, text) in enumerate(turns):
        name, start = f"{dialogue}_{field}", number * (LENGTH + PAUSE)
        rating = f"[{2.25 + number / 4:.4f}, {3.25 - number / 4:.4f}, {3 + number / 2 % 2:.4f}]"
        blocks.append(block(name, start, start + LENGTH, code, rating if number else "[, , ]"))
        lines.append(f"{name} [{start:08.4f}-{start + LENGTH:08.4f}]: {text}\n")
        tone = 0.1 * np.sin(2 * np.pi * (200 + 40 * number) * np.arange(round(LENGTH * RATE)) / RATE)
        soundfile.write(recordings / f"{name}.wav", tone, RATE, subtype="PCM_16")
        (alignments / f"{name}.wdseg").write_text(WORDS)
        (alignments / f"{name}.phseg").write_text(PHONES)
    lines.insert(1, f"{dialogue}_MXX0 [000.4100-000.4500]: Mm.\n")
    lines.insert(2, "M: Somebody else's line.\n")
    (evaluations / f"{dialogue}.txt").write_text(HEADER + "\n".join(reversed(blocks)))  # not in the order of time
    (transcriptions / f"{dialogue}.txt").write_text("".join(lines), encoding="latin-1")
    for place, name in ((evaluations, f"{dialogue}.txt"), (transcriptions, f"{dialogue}.txt"), (recordings, "a.wav")):
        (place / f"._{name}").write_bytes(APPLE_DOUBLE)


def block(name: str, start: float, end: float, code: str, vad: str) -> str:
    """Return the `EmoEvaluation` block of a turn: one rater chooses two labels, one omits a digit, an actor rates himself."""
    return (
        f"[{start:.4f} - {end:.4f}]\t{name}\t{code}\t{vad}\n"
        "C-E2:\tNeutral;\t()\n"
        "C-E3:\tAnger; Frustration;\t(which?)\n"
        "C-E4:\tAnger;\t()\n"
        "C-M1:\tSadness;\t()\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\n"
        "A-E4:\tval 2; act 4; dom  ;\t()\n"
    )


def write_video(path: Path, seconds: float) -> None:
    """Write a split screen, red on the left and blue on the right."""
    import av

    frame = np.zeros((32, 64, 3), dtype=np.uint8)
    frame[:, :32, 0] = frame[:, 32:, 2] = 255
    with av.open(path, "w", format="avi") as container:
        stream = container.add_stream("mpeg4", 10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for _ in range(round(10 * seconds)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
