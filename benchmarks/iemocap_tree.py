"""A synthetic IEMOCAP of any size that takes little space: recordings are sparse files, and all dialogues share one video."""

import os
import random
from pathlib import Path

from ..configuration.modalities import SAMPLING_RATE

DIALOGUES = 151
CODES = ("neu", "ang", "sad", "exc", "hap", "fru", "xxx", "sur", "fea", "oth", "dis")
SHARES = (1708, 1103, 1084, 1041, 595, 1849, 2507, 107, 40, 3, 2)  # of the turns; the first five as published
WORDS = ("I", "YOU", "WHAT", "KNOW", "THAT", "NOT", "LIKE", "HAVE", "GOING", "REALLY", "NEVER", "SOMETHING")
SYLLABLE = ("DH", "AH")
RATERS = "C-E2:\tNeutral;\t()\nC-E3:\tAnger; Frustration;\t()\nC-E4:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n"


def build_tree(root: Path, turns: int, dialogues: int = DIALOGUES, seed: int = 0) -> int:
    """Write the corpus and return its number of files.

    Args:
        root: A folder that will hold Session1 to Session5.
        turns: Number of turns, spread evenly over the dialogues.
        dialogues: Number of dialogues, spread evenly over the sessions.
        seed: Seed of lengths, words and emotions.
    """
    draw, longest, ends = random.Random(seed), 0.0, []
    for number in range(dialogues):
        count = turns // dialogues + (number < turns % dialogues)
        ends.append(_build_dialogue(root / f"Session{number % 5 + 1}", number, count, draw))
    longest, video = max(ends), root / "video.avi"
    _write_video(video, longest + 1)
    for number in range(dialogues):
        folder = root / f"Session{number % 5 + 1}/dialog/avi/DivX"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(video, folder / f"{_name(number)}.avi")
    video.unlink()
    return 3 * dialogues + 4 * turns


def _name(dialogue: int) -> str:
    return f"Ses0{dialogue % 5 + 1}{'FM'[dialogue // 5 % 2]}_impro{dialogue // 10:02}"


def _build_dialogue(session: Path, number: int, turns: int, draw: random.Random) -> float:
    """Write texts, recordings and alignments of a dialogue; return its duration in seconds."""
    dialogue, time, blocks, lines = _name(number), 0.0, [], []
    folders = [
        session / part
        for part in (
            "dialog/EmoEvaluation",
            "dialog/transcriptions",
            f"sentences/wav/{dialogue}",
            f"sentences/ForcedAlignment/{dialogue}",
        )
    ]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    evaluations, transcriptions, recordings, alignments = folders
    for turn in range(turns):
        name = f"{dialogue}_{'FM'[turn % 2]}{turn // 2:03}"
        words = [draw.choice(WORDS) for _ in range(max(1, round(draw.lognormvariate(2.2, 0.8))))]
        frames = 10 + 36 * len(words)  # of 10 ms; 4.5 s on average, as in the corpus
        end = time + frames / 100
        code = draw.choices(CODES, SHARES)[0]
        blocks.append(f"[{time:.4f} - {end:.4f}]\t{name}\t{code}\t[2.5000, 3.0000, 3.5000]\n{RATERS}")
        lines.append(f"{name} [{time:08.4f}-{end:08.4f}]: {' '.join(words).capitalize()}.\n")
        _write_recording(recordings / f"{name}.wav", frames * SAMPLING_RATE // 100)
        for suffix, rows in _align(words).items():
            (alignments / f"{name}.{suffix}").write_text(rows)
        time = end + draw.uniform(0, 1)
    (evaluations / f"{dialogue}.txt").write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "\n".join(blocks)
    )
    (transcriptions / f"{dialogue}.txt").write_text("".join(lines))
    return time


def _align(words: list[str]) -> dict[str, str]:
    """Return the segment files of a turn by suffix: a word has two syllables, a syllable two phones, a phone 9 frames."""
    tables = {
        "wdseg": ["\tSFrm\tEFrm\tSegAScr\tWord"],
        "syseg": ["\tSFrm\tEFrm\tSyll"],
        "phseg": ["\tSFrm\tEFrm\tSegAScr\tPhone"],
    }
    tables["wdseg"].append("    0     9    -51 <s>")
    tables["phseg"].append("    0     9    -51 SIL")
    for number, word in enumerate(words):
        start = 10 + 36 * number
        tables["wdseg"].append(f"{start:5} {start + 35:5} -90210 {word}")
        tables["syseg"] += [f"{place:5} {place + 17:5} {' '.join(SYLLABLE)}" for place in (start, start + 18)]
        tables["phseg"] += [
            f"{place:5} {place + 8:5} -40000 {SYLLABLE[step % 2]} SIL AH i"
            for step, place in enumerate(range(start, start + 36, 9))
        ]
    return {suffix: "\n".join([*rows, " Total score:   -16899\n"]) for suffix, rows in tables.items()}


def _write_recording(path: Path, samples: int) -> None:
    """Write a wav file whose samples are a hole, which takes no space on the disk."""
    size = 2 * samples
    parts = (b"RIFF", size + 36, b"WAVEfmt ", 16, 1, 1, SAMPLING_RATE, 2 * SAMPLING_RATE, 2, 16, b"data", size)
    widths = (None, 4, None, 4, 2, 2, 4, 4, 2, 2, None, 4)
    header = b"".join(
        part if width is None else part.to_bytes(width, "little") for part, width in zip(parts, widths, strict=True)
    )
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + size)


def _write_video(path: Path, seconds: float) -> None:
    """Write a video of one grey frame per second."""
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", 1)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for _ in range(round(seconds) + 1):
            container.mux(stream.encode(av.VideoFrame(64, 32, "yuv420p")))
        container.mux(stream.encode(None))
