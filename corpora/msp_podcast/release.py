"""The files of a copy of MSP-Podcast, and the problems with them.

    Labels/labels_consensus.csv    Labels/labels_detailed.csv or labels.txt (optional)
    Audios/MSP-PODCAST_0001_0008.wav    Transcripts/MSP-PODCAST_0001_0008.txt    ForceAligned/MSP-PODCAST_0001_0008.TextGrid

Archives that were unpacked into a folder of their own (`Audios/Audios/`) are found, too.
"""

import re
from pathlib import Path

from ..alignment import add_syllables
from ..corpus_files import find_root, list_files, read_text
from ..records import problem
from ..textgrid import read_textgrid
from ..words import strip_events
from .votes import find_votes

LABEL_FOLDERS = ("Labels", "labels", "Labels/Labels")
CONSENSUS = ("labels_consensus.csv", "labels_concensus.csv")  # spelled so before release 1.10
# Folder of the release and suffix of its files -> where they may be.
PLACES = {
    ("Audios", ".wav"): ("Audios", "Audio", "Audios/Audios", "Audios/Audio"),
    ("Transcripts", ".txt"): ("Transcripts", "Transcripts/Transcripts"),
    ("ForceAligned", ".TextGrid"): ("ForceAligned", "ForceAligned/ForceAligned"),
}
TEST3 = re.compile(r"MSP-PODCAST_test3_\d+", re.IGNORECASE)


def find_consensus(folder: Path) -> Path | None:
    """Return the table of labels of a copy, None if the folder is no copy."""
    paths = (folder / place / name for place in LABEL_FOLDERS for name in CONSENSUS)
    return next((path for path in paths if path.is_file()), None)


class MspPodcastRelease:
    """A copy of MSP-Podcast. Only names of files are kept in memory.

    Args:
        root: The folder that the user gave.

    Raises:
        FileNotFoundError: If there is no folder `root`, or it has no recordings.
        ValueError: If it is not the folder of the corpus.

    Attributes:
        root: The folder, with links resolved.
        consensus: The table of labels.
        votes: The file of the raters' votes, None if there is none.
        recordings: Path by name without suffix.
        problems: The problems found so far.
        sources: Files and folders that are read.
    """

    def __init__(self, root: str | Path | None):
        holds = f"{LABEL_FOLDERS[0]}/{CONSENSUS[0]}"
        self.root = find_root("MSP-Podcast", root, lambda folder: find_consensus(folder) is not None, holds).resolve()
        self.problems, self.consensus = [], find_consensus(self.root)
        self.votes = find_votes(self.consensus.parent)
        self.sources = [self.consensus, *([self.votes] if self.votes else [])]
        self.recordings, self._texts, self._alignments = (self._list(*place) for place in PLACES)
        if not self.recordings:
            raise FileNotFoundError(f"{self.root} has no folder Audios with recordings: unpack them there.")

    def note(
        self, kind: str, what: str, file: str, name: str | None = None, dropped: bool = False, known: bool = False
    ):
        """Add a problem with a file, and with a speaking turn if it concerns only one."""
        self.problems.append(problem(kind, what, file, name, dropped, known))

    def text(self, name: str) -> str | None:
        """Return the transcript of a turn without tags of events; None if there is none."""
        if not self._texts:
            return None  # noted once
        file = f"Transcripts/{name}.txt"
        if name not in self._texts:  # no release has all
            self.note("missing transcript", f"{name} has no text: there is no {file}.", file, name, known=True)
            return None
        try:
            text = read_text(self._texts[name])
        except OSError as error:
            self.note(
                "missing transcript", f"{name} has no text: {file} cannot be read ({error.strerror}).", file, name
            )
            return None
        return strip_events(" ".join(text.split()))

    def alignment(self, name: str) -> dict | None:
        """Return words, syllables and phones of a turn; None if there are none."""
        if name not in self._alignments:
            return None
        file = f"ForceAligned/{name}.TextGrid"
        try:
            return add_syllables(read_textgrid(self._alignments[name]))
        except (OSError, ValueError) as error:
            self.note("unreadable alignment", f"{name} is kept without alignment: {error}", file, name)
            return None

    def _list(self, folder: str, suffix: str) -> dict[str, str]:
        """Return the files with a suffix, by name without it, from the first of the possible places that has any."""
        for place in PLACES[folder, suffix]:
            files = list_files(self.root, place, self.problems)
            found = {name.removesuffix(suffix): path for name, path in files if name.endswith(suffix)}
            if found:
                self.sources.append(self.root / place)
                return found
        if folder != "Audios":
            self.note(
                "missing folder", f"No turn has files of {folder}: {self.root / folder} does not hold any.", folder
            )
        return {}
