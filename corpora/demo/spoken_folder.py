"""Generate and read the folder of the spoken demonstration corpus."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import datasets
import pyarrow
from tqdm.auto import tqdm

from ...configuration.modalities import SAMPLING_RATE
from ..alignment import syllables_from_phones
from ..atomic_write import workshop
from ..schema import SPLITS, features
from . import espeak, face
from .spoken import GENDER_OF, Turn, make_turns

PAUSE = 0.5  # seconds between the turns of a dialogue
# Span of a video, in its middle. Its whole length would reveal the pace of the voice, and thus arousal.
SECONDS_SEEN = 1.0

README = """\
# Spoken demonstration corpus

Synthesised by espeak-ng for emofusion (`corpora/demo/spoken.py`, version {version}, utterances={utterances},
seed={seed}).

**This is a demonstration, never a benchmark.** Nobody in it has an emotion. A rule determines the label: {rule}
(A speech model that recognises words has the text, too.) It shows whether a fusion model fuses; it says nothing about
people.

- `metadata.jsonl`: one row per recording, in the Hub's AudioFolder convention. `alignment` has the words and phones
  (IPA) with their times in seconds, from the synthesiser; words that it runs together share one entry. `vad`
  has {vad}; they are not ratings.
- `audio/`: 16 kHz mono FLAC, 16 bits.
{faces}- Splits: sessions 1 to 9 are train, 10 and 11 validation, 12 and 13 test. Neither a speaker nor a sentence frame is in two splits.
"""
VOICE_README = {
    "rule": """an excited
manner (high, lively, fast, loud) or a subdued one, and a positive or a negative word. Angry is excited and negative,
happy excited and positive, sad subdued and negative, calm subdued and positive. Every text is spoken in both manners and
every manner has both wordings, so the manner alone or the text alone predicts half of the emotions at best, and both
together predict all.""",
    "vad": "the drawn arousal and the pole of the word, 1.5 or 4.5",
    "faces": "",
}
VIDEO_README = {
    "rule": """a positive
or a negative word (pleasure), an excited manner of speaking (high, lively, fast, loud) or a subdued one (arousal), and a
dominant or a submissive bearing of the face. The eight combinations are named after Mehrabian's octants: exuberant +++,
dependent ++-, relaxed +-+, docile +--, hostile -++, anxious -+-, disdainful --+, bored ---. Text, manner and bearing are
independent: one of them predicts a quarter of the emotions at best, two predict half, all three predict all.""",
    "vad": "the pole of the word, 1.5 or 4.5, and the drawn arousal and dominance",
    "faces": """- `video/`: MP4 (H.264), 64 x 64 pixels, 10 frames a second: a drawn face. Its mouth opens with the loudness of the
  voice, relative to the recording's own mean. Raised head, broad shoulders, low brows and a gaze at the viewer show
  dominance; a bowed and tilted head, narrow shoulders, raised inner brows and averted eyes show submission. Colours and
  size belong to the speaker; position and a slight tilt are random. Videos are as long as their recordings, but rows span
  only the second in the middle, because the length would reveal the pace of the voice.
""",
}


def read_spoken(folder: Path, labels: Iterable[str]) -> "datasets.DatasetDict":
    """Read the corpus.

    Args:
        folder: The folder that `make_spoken` wrote.
        labels: Names of the emotions in the order of their class numbers.
    """
    names = list(labels)
    schema = features(names)
    rows = {split: [] for split in SPLITS}
    with open(folder / "metadata.jsonl", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            alignment = row["alignment"]
            alignment["syllable"] = syllables_from_phones(alignment["phone"], alignment["word"])
            files = {"audio": row.pop("file_name"), "video": row.pop("video_file_name", None)}
            media = {name: {"path": str(folder.absolute() / file)} for name, file in files.items() if file}
            if "video" in media:
                start = max(0.0, (row["end"] - row["start"] - SECONDS_SEEN) / 2)
                media["video"] |= {"start": start, "end": start + SECONDS_SEEN}
            row |= {"gender": GENDER_OF[row["speaker"]], "label": names.index(row["label"])}
            rows[row.pop("split")].append(row | media)
    tables = {split: pyarrow.Table.from_pylist(rows[split], schema=schema.arrow_schema) for split in SPLITS}
    return datasets.DatasetDict({split: datasets.Dataset(table) for split, table in tables.items()})


def make_spoken(folder: Path, version: int, utterances: int, seed: int, video: bool = False) -> None:
    """Synthesise the corpus next to `folder`, and rename it when it is complete.

    Args:
        folder: The folder to create, with its parents.
        version: Version of the corpus.
        utterances: Number of utterances.
        seed: Seed for sentences and manners of speaking.
        video: Whether every utterance has a video of a face.

    Raises:
        ImportError: If `espeakng_loader` is not installed.
    """
    values = {"version": version, "utterances": utterances, "seed": f"{seed}, video=True" if video else seed}
    values |= VIDEO_README if video else VOICE_README
    folder.parent.mkdir(parents=True, exist_ok=True)
    with workshop(folder.parent, ".spoken-") as place:
        draft = place / folder.name
        (draft / "audio").mkdir(parents=True)
        if video:
            (draft / "video").mkdir()
        _speak(draft, list(make_turns(utterances, seed, video)))
        (draft / "README.md").write_text(README.format(**values), encoding="utf-8")
        try:
            os.replace(draft, folder)
        except OSError:
            if not folder.exists():  # otherwise another process has created the same files first
                raise


def _speak(folder: Path, turns: list[Turn]) -> None:
    """Write the recording of every turn, and the metadata with the times of the synthesiser."""
    import soundfile

    clock = 0.0  # seconds
    with open(folder / "metadata.jsonl", "w", encoding="utf-8") as metadata:
        speeches = espeak.speak([prompt for _, prompt, _ in turns])
        for (row, _, portrait), speech in zip(
            tqdm(turns, desc="Synthesising the demonstration corpus", disable=None), speeches, strict=True
        ):
            samples = speech.waveform(SAMPLING_RATE)
            soundfile.write(folder / row["file_name"], samples, SAMPLING_RATE, subtype="PCM_16")
            if portrait:
                face.write_video(folder / row["video_file_name"], *portrait, samples, SAMPLING_RATE)
            start = clock if row["turn"] else 0.0
            end = start + len(samples) / SAMPLING_RATE
            clock = end + PAUSE
            alignment = {"word": _columns(speech.words), "phone": _columns(speech.phones)}
            row = {**row, "start": start, "end": end, "alignment": alignment}
            metadata.write(json.dumps(row, ensure_ascii=False) + "\n")


def _columns(segments: list[espeak.Segment]) -> dict[str, list]:
    return {field: [getattr(segment, field) for segment in segments] for field in espeak.Segment._fields}
