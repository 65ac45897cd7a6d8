"""A user's copy of IEMOCAP on disk: where its files are, and what is wrong with them."""

import os
from collections.abc import Iterator
from pathlib import Path

from .alignment import SPHINX_SUFFIXES, read_sphinx, syllables_from_phones
from .disk import find_root, problem
from .iemocap_turns import Turn, read_evaluation, read_transcriptions

FOLDER = "IEMOCAP_full_release"
SESSION_FOLDERS = tuple(f"Session{number}" for number in range(1, 6))

# These were published without words.
WITHOUT_WORDS = frozenset({"Ses03F_impro07_M030", "Ses03M_impro03_M001"})
LONGER = 0.5  # seconds that an alignment may go on after its turn before it is called misaligned (ours)


def find_sessions(root: str | Path | None) -> Path:
    """The folder that holds the sessions, without links.

    Args:
        root: That folder, or the one around `IEMOCAP_full_release`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is not the corpus; where it is one level off, the right folder is named.
    """
    return _sessions_in(
        find_root("IEMOCAP", root, lambda folder: _sessions_in(folder) is not None, "Session1 to Session5")
    )


def _sessions_in(root: Path) -> Path | None:
    root = Path(os.path.realpath(root))
    inner = Path(os.path.realpath(root / FOLDER))
    for folder in (root, *([inner] if inner.is_relative_to(root) else [])):
        if any((folder / session).is_dir() for session in SESSION_FOLDERS):
            return folder
    return None


class Copy:
    """A copy, each folder of which is listed once.

    Args:
        root: From `find_sessions`.

    Attributes:
        problems: What was met on the way, see `iemocap.scan`.
    """

    def __init__(self, root: Path):
        self.root, self.problems = root, []
        self._folders, self._texts = {}, {}

    def note(self, kind: str, what: str, file: str, turn: str | None = None) -> None:
        """Add a problem with a file inside the copy, which may be one of a single turn."""
        self.problems.append(problem(kind, what, file, turn))

    def files(self, folder: str) -> dict[str, str]:
        """Paths of a folder's files by name, without hidden ones and links that lead out of the copy."""
        if folder not in self._folders:
            self._folders[folder] = dict(self._list(folder))
        return self._folders[folder]

    def dialogues(self, session: str) -> Iterator[tuple[str, list[Turn]]]:
        """The files of a session that say which turns there are, and the turns in the order of time."""
        folder = f"{session}/dialog/EmoEvaluation"
        descriptions = {name: path for name, path in self.files(folder).items() if name.endswith(".txt")}
        if not descriptions:
            self.note("missing session", "No dialogue is described here.", folder)
        for name, path in descriptions.items():
            turns, broken = read_evaluation(path)
            for line in broken:
                self.note(
                    "unreadable turn", f"Line {line} is no turn: it lacks span, name or label.", f"{folder}/{name}"
                )
            if turns:
                self._note_missing_files(session, name.removesuffix(".txt"))
            else:
                self.note("empty dialogue", "No turn is described here.", f"{folder}/{name}")
            yield f"{folder}/{name}", turns

    def row(self, session: str, turn: Turn, alignment_offset: float, prefix_half: str) -> dict | None:
        """All of a row but `label` and `turn`; None, and a problem, without a recording."""
        folder, file = f"{session}/sentences/wav/{turn.dialogue}", f"{turn.name}.wav"
        recording = self.files(folder).get(file)
        if recording is None:
            self.note("missing audio", "The turn has no recording.", f"{folder}/{file}", turn.name)
            return None
        film = self.files(f"{session}/dialog/avi/DivX").get(f"{turn.dialogue}.avi")
        crop = prefix_half if turn.is_marked else {"left": "right", "right": "left"}[prefix_half]
        return {
            "id": turn.name,
            "audio": {"path": recording},
            "text": self._text(session, turn),
            "speaker": turn.speaker,
            "session": turn.session,
            "dialogue": turn.dialogue,
            "start": turn.start,
            "end": turn.end,
            "video": film and {"path": film, "start": turn.start, "end": turn.end, "crop": crop},
            "alignment": self._alignment(session, turn, alignment_offset),
            "vad": turn.vad,
        }

    def _note_missing_files(self, session: str, dialogue: str) -> None:
        for kind, folder, file in (
            ("missing video", f"{session}/dialog/avi/DivX", f"{dialogue}.avi"),
            ("missing transcript", f"{session}/dialog/transcriptions", f"{dialogue}.txt"),
        ):
            if file not in self.files(folder):
                self.note(kind, "The dialogue has no such file.", f"{folder}/{file}")

    def _text(self, session: str, turn: Turn) -> str | None:
        folder, file = f"{session}/dialog/transcriptions", f"{turn.dialogue}.txt"
        path = self.files(folder).get(file)
        if path is None:
            return None  # which is noted once for the dialogue
        if path not in self._texts:
            self._texts[path] = read_transcriptions(path)
        text = self._texts[path].get(turn.name)
        if not text:
            self.note("missing transcript", "The turn has no line here.", f"{folder}/{file}", turn.name)
        return text or None

    def _alignment(self, session: str, turn: Turn, offset: float) -> dict | None:
        folder = f"{session}/sentences/ForcedAlignment/{turn.dialogue}"
        files, levels = self.files(folder), {}
        for level, suffix in SPHINX_SUFFIXES.items():
            levels[level], file = None, f"{turn.name}{suffix}"
            if file in files:
                try:
                    levels[level] = read_sphinx(files[file], offset)
                except ValueError as error:
                    self.note("unreadable alignment", str(error), f"{folder}/{file}", turn.name)
                    continue
                if (end := levels[level]["end"][-1]) > turn.end - turn.start + LONGER:
                    length = turn.end - turn.start
                    what = f"The last segment ends at {end:.2f} s of a turn of {length:.2f} s."
                    self.note("misaligned", what, f"{folder}/{file}", turn.name)
            elif level != "syllable":  # which follow from the others
                known = level == "word" and turn.name in WITHOUT_WORDS
                kind = "published without words" if known else f"missing {level}s"
                self.note(kind, "The turn has no such file.", f"{folder}/{file}", turn.name)
        if levels["syllable"] is None and levels["word"] and levels["phone"]:
            levels["syllable"] = syllables_from_phones(levels["phone"], levels["word"])
        return levels if any(levels.values()) else None

    def _list(self, folder: str) -> Iterator[tuple[str, str]]:
        path = self.root / folder
        if not path.is_dir():
            return
        if not self._is_inside(folder):
            self.note("link out of the copy", "The folder lies outside, so it was not read.", folder)
            return
        if not os.access(path, os.R_OK | os.X_OK):
            self.note("no permission", "The folder may not be read.", folder)
            return
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            file = f"{folder}/{entry.name}"
            if entry.name.startswith("."):  # AppleDouble files, `._Ses...`
                continue
            if entry.is_symlink() and not self._is_inside(file):
                self.note("link out of the copy", "The file lies outside, so it was not read.", file)
            elif not os.access(entry.path, os.R_OK):
                self.note("no permission", "The file may not be read.", file)
            elif entry.is_file():
                yield entry.name, entry.path

    def _is_inside(self, file: str) -> bool:
        return Path(os.path.realpath(self.root / file)).is_relative_to(self.root)
