"""The files of a raw copy of CMU-MOSEI, and the problems with them.

Raw/Transcript/Segmented/Combined/<video>.txt     lines <video>___<segment>___<start>___<end>___<text>
Raw/Audio/Full/WAV_16000/<video>.wav
Raw/Videos/Segmented/Combined/<video>_<segment>.mp4, Raw/Videos/Full/Combined/<video>.mp4     optional
CMU_MOSEI_Labels.csv or Raw/Labels/*.csv          annotations
cmu_mosei_std_folds.py                            standard folds, of the SDK
"""

import re
from collections.abc import Iterator
from math import inf, isfinite
from pathlib import Path
from typing import NamedTuple

from ..corpus_files import find_root, list_files, read_text
from ..records import problem
from .annotations import TABLE, Annotation, Annotations, read_answers, read_table
from .standard_folds import FILE, SOURCE, read_standard_folds

TRANSCRIPTS = ("Transcript/Segmented/Combined", "Transcripts/Segmented/Combined")
RECORDINGS, VIDEOS, CLIPS = "Audio/Full/WAV_16000", "Videos/Full/Combined", "Videos/Segmented/Combined"
LABELS = "Labels"
SEPARATOR = "___"
NUMBER = re.compile(r"\d{1,6}", re.ASCII)


class Segment(NamedTuple):
    """A segment of a video.

    Args:
        video: Name of the video.
        number: Number in the video.
        start: Start in seconds of the video.
        end: End in seconds of the video.
        text: Transcript.
    """

    video: str
    number: int
    start: float
    end: float
    text: str

    @property
    def name(self) -> str:
        """The id of its row, and the name of its clip."""
        return f"{self.video}_{self.number}"


def find_data(root: Path) -> Path | None:
    """Return the folder that contains `Transcript`, `root` itself or its `Raw`; None if there is none."""
    places = (place for place in (root, root / "Raw") if any((place / folder).is_dir() for folder in TRANSCRIPTS))
    return next(places, None)


class CmuMoseiRelease:
    """A raw copy of CMU-MOSEI.

    Args:
        root: The folder that the user gave: `Raw`, or the folder around it.
        folds: The file of the standard folds; None for the one in the folder.

    Raises:
        FileNotFoundError: If there is no folder `root`, or no file of the standard folds.
        ValueError: If it is not the folder of the corpus, or annotations or folds cannot be read.

    Attributes:
        root: The folder, with links resolved.
        problems: The problems found so far.
        sources: Files and folders that are read.
        splits: The split of each video of the standard folds.
    """

    def __init__(self, root: str | Path | None, folds: str | None):
        self.root = find_root(
            "CMU-MOSEI", root, lambda folder: find_data(folder) is not None, f"Raw/{TRANSCRIPTS[0]}"
        ).resolve()
        self._data, self.problems = find_data(self.root), []
        self._transcripts = next(place for place in TRANSCRIPTS if (self._data / place).is_dir())
        places = (self._transcripts, RECORDINGS, VIDEOS, CLIPS)
        self.sources = [self._data / place for place in places if (self._data / place).is_dir()]
        self._recordings, self._videos, self._clips = (
            self._list(place, suffix) for place, suffix in ((RECORDINGS, ".wav"), (VIDEOS, ".mp4"), (CLIPS, ".mp4"))
        )
        self.splits = read_standard_folds(self._find_folds(folds))
        self._annotations = self._read_annotations()

    def segments(self) -> Iterator[Segment]:
        """Yield the segments of all videos, in the order of their names and numbers; lines that are none are problems."""
        for name, path in self._list(self._transcripts, ".txt").items():
            file, segments = f"{self._transcripts}/{name}.txt", []
            try:
                lines = read_text(path).split("\n")
            except OSError as error:
                self.note("unreadable transcript", f"{file} cannot be read: {error.strerror}.", file)
                continue
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        segments.append(_segment(name, line))
                    except ValueError:
                        what = f"{file}, line {number}, is not <video>___<segment>___<start>___<end>___<text>."
                        self.note("unreadable segment", what, file, dropped=True)
            yield from sorted(segments, key=lambda segment: segment.number)

    def annotation(self, segment: Segment) -> Annotation | None:
        """Return the annotation of a segment, None if it has none."""
        return self._annotations.find(segment.video, segment.number, segment.start, segment.end)

    def audio(self, segment: Segment) -> dict | None:
        """Return file and span of the recording, or of the video if there is none; None if there is neither."""
        path = self._recordings.get(segment.video) or self._videos.get(segment.video)
        return path and {"path": path, "start": segment.start, "end": segment.end}

    def video(self, segment: Segment) -> dict | None:
        """Return the clip of a segment, or file and span of the whole video; None if there is neither."""
        if clip := self._clips.get(segment.name):
            return {"path": clip}
        path = self._videos.get(segment.video)
        return path and {"path": path, "start": segment.start, "end": segment.end}

    def note(
        self, kind: str, what: str, file: str, name: str | None = None, dropped: bool = False, known: bool = False
    ):
        """Add a problem with a file, and with a segment if it concerns only one."""
        self.problems.append(problem(kind, what, file, name, dropped, known))

    def _list(self, folder: str, suffix: str) -> dict[str, str]:
        files = list_files(self._data, folder, self.problems)
        return {name.removesuffix(suffix): path for name, path in files if name.endswith(suffix)}

    def _find_folds(self, given: str | None) -> Path:
        paths = [Path(given)] if given else [self.root / FILE, self._data / FILE]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"There is no file {paths[0]} with the standard folds of CMU-MOSEI: copy it from {SOURCE}, or name it as "
                "standard_folds."
            )
        self.sources.append(path)
        return path

    def _read_annotations(self) -> Annotations:
        table = next((place / TABLE for place in (self.root, self._data) if (place / TABLE).is_file()), None)
        if table is not None:
            self.sources.append(table)
            return read_table(table)
        self.sources.append(self._data / LABELS)
        files = self._list(LABELS, ".csv").values()
        return read_answers(map(Path, files), self.problems)


def _segment(video: str, line: str) -> Segment:
    if not line.startswith(video + SEPARATOR):
        raise ValueError
    number, start, end, text = line.removeprefix(video + SEPARATOR).split(SEPARATOR, 3)
    start, end = float(start), float(end)
    if not (isfinite(start) and start < end < inf and end > 0) or not NUMBER.fullmatch(number):
        raise ValueError
    return Segment(video, int(number), max(0.0, start), end, " ".join(text.split()))  # some begin before the video
