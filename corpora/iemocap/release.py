"""The files of a copy of IEMOCAP, and the problems with them."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..alignment import SPHINX_SUFFIXES, add_syllables, read_sphinx
from ..corpus_files import find_root, list_files
from ..records import ScanOptions, problem
from ..words import strip_events
from .turns import Turn, read_evaluation, read_transcriptions

FOLDER = "IEMOCAP_full_release"
SESSION_FOLDERS = tuple(f"Session{number}" for number in range(1, 6))

# Folders of a session.
EVALUATIONS, TRANSCRIPTIONS, VIDEOS = "dialog/EmoEvaluation", "dialog/transcriptions", "dialog/avi/DivX"
RECORDINGS, ALIGNMENTS = "sentences/wav", "sentences/ForcedAlignment"

# Turns that were published without a word alignment.
WITHOUT_WORDS = frozenset({"Ses03F_impro07_M030", "Ses03M_impro03_M001"})

# Kinds of problems that every copy has.
KNOWN_KINDS = frozenset({"other emotion", "unnumbered", "published without words", "only events"})

MAX_OFFSET = 1.0  # seconds


def find_sessions(root: str | Path | None) -> Path:
    """Return the folder that contains the sessions, with links resolved.

    Args:
        root: That folder, or the parent of `IEMOCAP_full_release`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is not the folder of the corpus; if it is one level too high or too deep, the error names the
            right one.
    """
    return _sessions_in(
        find_root("IEMOCAP", root, lambda folder: _sessions_in(folder) is not None, "Session1 to Session5")
    )


def _sessions_in(root: Path) -> Path | None:
    for folder in (Path(os.path.realpath(path)) for path in (root, root / FOLDER)):
        if any((folder / session).is_dir() for session in SESSION_FOLDERS):
            return folder
    return None


@dataclass(frozen=True, kw_only=True)
class ReadOptions(ScanOptions):
    """Options that determine how the files of a turn are read."""

    alignment_offset: float = field(
        default=0.0,
        metadata={"help": "Seconds to add to the times of the forced alignments; some code adds 0.02."},
    )
    keep_events: bool = field(
        default=False,
        metadata={"help": "Keep tags such as [LAUGHTER] in the texts; they can tell a text model the emotion."},
    )
    prefix_half: str = field(
        default="left",
        metadata={"help": "Half of the video that shows the actor in the name of the dialogue: left or right."},
    )

    faces: bool = field(
        default=False,
        metadata={"help": "Crop the videos to the face of the speaker where one is found; needs scikit-image."},
    )

    def __post_init__(self):
        super().__post_init__()
        if not abs(self.alignment_offset) <= MAX_OFFSET:
            raise ValueError(
                f"alignment_offset must be from {-MAX_OFFSET:g} to {MAX_OFFSET:g} seconds, not {self.alignment_offset!r}."
            )
        if self.prefix_half not in ("left", "right"):
            raise ValueError(f"prefix_half must be 'left' or 'right', not {self.prefix_half!r}.")


class IemocapRelease:
    """A copy of IEMOCAP, read dialogue by dialogue; only the file lists of the current dialogue are kept in memory.

    Args:
        root: The folder that `find_sessions` returns.

    Attributes:
        problems: The problems found so far, see `scan.scan`.
    """

    def __init__(self, root: Path):
        self.root, self.problems = root, []
        self._files = lru_cache(8)(lambda folder: dict(list_files(root, folder, self.problems)))
        self._texts = lru_cache(1)(read_transcriptions)

    def note(self, kind: str, what: str, file: str, turn: str | None = None, dropped: bool = False) -> None:
        """Add a problem with a file of the copy, and with a turn if it concerns only one."""
        self.problems.append(problem(kind, what, file, turn, dropped, known=kind in KNOWN_KINDS))

    def sources(self) -> list[Path]:
        """Return the folders that are read."""
        parts = EVALUATIONS, TRANSCRIPTIONS, VIDEOS, RECORDINGS, ALIGNMENTS
        folders = (self.root / session / part for session in SESSION_FOLDERS for part in parts)
        return [folder for folder in folders if os.path.isdir(folder)]

    def evaluations(self) -> list[str]:
        """Return the evaluation files, one per dialogue; they list its turns."""
        found = []
        for folder in (f"{session}/{EVALUATIONS}" for session in SESSION_FOLDERS):
            files = [f"{folder}/{name}" for name in self._files(folder) if name.endswith(".txt")]
            if not files:
                self.note("missing session", f"No dialogue is described in {folder}.", folder)
            found += files
        return found

    def turns(self, evaluation: str) -> list[Turn]:
        """Return the turns of a dialogue in the order of time."""
        turns, broken = read_evaluation(self.root / evaluation)
        for line in broken:
            what = f"{evaluation}, line {line}, is not a turn: it lacks span, name or label."
            self.note("unreadable turn", what, evaluation, dropped=True)
        if turns:
            self._note_missing_files(_session(evaluation), Path(evaluation).stem)
        else:
            self.note("empty dialogue", f"No turn is described in {evaluation}.", evaluation)
        return turns

    def row(self, evaluation: str, turn: Turn, options: ReadOptions) -> dict | None:
        """Return the row of a turn; without a recording, return None and add a problem."""
        session = _session(evaluation)
        folder, file = f"{session}/{RECORDINGS}/{turn.dialogue}", f"{turn.name}.wav"
        recording = self._files(folder).get(file)
        if recording is None:
            what = f"{turn.name} is dropped: there is no {folder}/{file}."
            self.note("missing audio", what, f"{folder}/{file}", turn.name, dropped=True)
            return None
        video = self._files(f"{session}/{VIDEOS}").get(f"{turn.dialogue}.avi")
        half = options.prefix_half
        crop = half if turn.is_marked else {"left": "right", "right": "left"}[half]
        crop = f"{crop} face" if options.faces else crop
        return {
            "id": turn.name,
            "audio": {"path": recording},
            "text": self._text(session, turn, options.keep_events),
            "speaker": turn.speaker,
            "gender": turn.gender,
            "session": turn.session,
            "dialogue": turn.dialogue,
            "start": turn.start,
            "end": turn.end,
            "scripted": turn.is_scripted,
            "video": video and {"path": video, "start": turn.start, "end": turn.end, "crop": crop},
            "alignment": self._alignment(session, turn, options.alignment_offset),
            "vad": turn.vad,
        }

    def said(self, evaluation: str, turn: Turn, options: ReadOptions) -> dict[str, str | None]:
        """Return dialogue, speaker and text of a turn; nothing is noted."""
        path = self._files(f"{_session(evaluation)}/{TRANSCRIPTIONS}").get(f"{turn.dialogue}.txt")
        text = None if path is None else self._texts(path).get(turn.name)
        if text and not options.keep_events:
            text = strip_events(text)
        return {"dialogue": turn.dialogue, "speaker": turn.speaker, "text": text or None}

    def _note_missing_files(self, session: str, dialogue: str) -> None:
        for kind, folder, file in (
            ("missing video", f"{session}/{VIDEOS}", f"{dialogue}.avi"),
            ("missing transcript", f"{session}/{TRANSCRIPTIONS}", f"{dialogue}.txt"),
        ):
            if file not in self._files(folder):
                self.note(kind, f"{dialogue}: there is no {folder}/{file}.", f"{folder}/{file}")

    def _text(self, session: str, turn: Turn, keep_events: bool) -> str | None:
        folder, file = f"{session}/{TRANSCRIPTIONS}", f"{turn.dialogue}.txt"
        path = self._files(folder).get(file)
        if path is None:
            return None  # noted once for the dialogue
        text = self._texts(path).get(turn.name)
        if not text:
            what = f"{turn.name} has no text: {folder}/{file} has no line for it."
            self.note("missing transcript", what, f"{folder}/{file}", turn.name)
        if not text or keep_events:
            return text or None
        stripped = strip_events(text)
        if not stripped:
            self.note("only events", f"{turn.name} has an empty text: {text!r}.", f"{folder}/{file}", turn.name)
        return stripped  # "" is the text of a recording without words

    def _alignment(self, session: str, turn: Turn, offset: float) -> dict | None:
        folder = f"{session}/{ALIGNMENTS}/{turn.dialogue}"
        files, levels = self._files(folder), {}
        for level, suffix in SPHINX_SUFFIXES.items():
            levels[level], file = None, f"{turn.name}{suffix}"
            if file in files:
                try:
                    levels[level] = read_sphinx(files[file], offset)
                except ValueError as error:
                    what = f"{turn.name} is kept without {level}s: {error}"
                    self.note("unreadable alignment", what, f"{folder}/{file}", turn.name)
            elif level != "syllable":  # syllables follow from phones and words
                known = level == "word" and turn.name in WITHOUT_WORDS
                kind = "published without words" if known else f"missing {level}s"
                what = f"{turn.name} has no {level}s: there is no {folder}/{file}."
                self.note(kind, what, f"{folder}/{file}", turn.name)
        return add_syllables(levels) if any(levels.values()) else None


def _session(file: str) -> str:
    return file.partition("/")[0]
