"""Inspect the recordings, videos and alignments of a corpus, row by row.

Headers are read, or on request whole recordings. Rows with unusable recordings are dropped; spans that do not fit are cut,
and videos and alignments that do not fit are removed from their rows. Every change is added to the problems.
"""

import io
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from ...configuration.modalities import SAMPLING_RATE
from ...processing.media import SILENCE, SPAN_TOLERANCE, audio_seconds, check_audio, is_silent, load_audio
from ...processing.video import video_seconds
from ..dialogues import turn_of
from ..records import problem

SHORT = 0.1  # seconds; shorter recordings hardly contain a syllable
SLACK = 0.5  # seconds that an alignment may exceed its recording
ROWS = 64  # rows inspected in parallel; the decoders release the GIL


def inspect(
    rows: Iterator[dict],
    problems: list[dict],
    *,
    decode: bool = False,
    embed_audio: bool = False,
    max_seconds: float | None = 60.0,
    known: Mapping[str, str] | None = None,
    turns: list[dict] | None = None,
) -> Iterator[dict]:
    """Inspect the recording, the video and the alignment of every row.

    Args:
        rows: Rows in the schema, as `Scan` has them.
        problems: List to extend with dropped rows ("unreadable") and with rows that are kept ("too short", "too long" and
            cut, "silent", "misaligned").
        decode: Whether recordings are decoded to their end. Only this finds recordings that are truncated or silent or
            have samples that are not finite; otherwise headers are trusted.
        embed_audio: Whether rows contain their recordings as FLAC (16 kHz, 16 bits) instead of paths. Their videos are
            removed, since they are not embedded.
        max_seconds: Recordings and videos are cut after this many seconds; None means no limit.
        known: Problems that every copy has, as `{row id: reason}`.
        turns: List to extend with the turns of dropped rows, see `turn_of`.

    Yields:
        The usable rows, in their order.
    """
    inspect_row = partial(
        _inspect_row, decode=decode, embed_audio=embed_audio, max_seconds=max_seconds, known=known or {}
    )
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while some := list(islice(rows, ROWS)):
            for given, (row, found) in zip(some, pool.map(inspect_row, some), strict=True):
                problems += found
                if row is not None:
                    yield row
                elif turns is not None:
                    turns.append(turn_of(given))


@lru_cache(maxsize=2**17)  # rows share the recording of a dialogue, and a run measures recordings more than once
def measure(path: str, kind: str = "audio") -> float | None:
    """Return the duration of a recording, or with kind "video" of a video; see `audio_seconds` and `video_seconds`.

    Args:
        path: The file.
        kind: "audio" or "video".

    Returns:
        Seconds; None if the file does not state it.

    Raises:
        ValueError: If the file cannot be read, is empty, or has no stream of this kind.
    """
    try:
        return audio_seconds(path) if kind == "audio" else video_seconds(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or 'it does not exist'}.") from error


def _inspect_row(
    row: dict, decode: bool, embed_audio: bool, max_seconds: float | None, known: Mapping[str, str]
) -> tuple[dict | None, list[dict]]:
    """Return the usable row, or None, and its problems."""
    row = _Row(row, known)
    try:
        row.fit_audio(max_seconds, decode, embed_audio)
    except ValueError as error:
        row.note("unreadable", f"is dropped: {error}", dropped=True)
        return None, row.problems
    row.check_alignment()
    if embed_audio:
        row.embed_audio()
    else:
        row.fit_video(max_seconds)
    return row.columns, row.problems


class _Row:
    """A row during its inspection.

    Args:
        columns: The row in the schema.
        known: Problems that every copy has, as `{row id: reason}`.

    Attributes:
        columns: The row.
        problems: The problems found.
        seconds: Duration of the span of its recording.
        waveform: The recording `(samples,)`, if it is embedded.
    """

    def __init__(self, columns: dict, known: Mapping[str, str]):
        self.columns, self.problems, self.seconds, self.waveform = dict(columns), [], None, None
        self.known = known.get(columns["id"])

    def note(self, kind: str, what: str, column: str = "audio", dropped: bool = False) -> None:
        """Add a problem with the file of a column."""
        name, reason = self.columns["id"], f" (known: {self.known})" if self.known else ""
        file = self.columns[column]["path"]
        found = problem(kind, f"{name} {what}{reason}", file, name, dropped, known=bool(self.known))
        if found not in self.problems:  # audio and video may be the same file
            self.problems.append(found)

    def fit_audio(self, max_seconds: float | None, decode: bool, keep: bool) -> None:
        """Fit the span to the recording.

        Raises:
            ValueError: If the recording cannot be used.
        """
        self.columns["audio"], self.seconds = self.span("audio", max_seconds)
        silent = False
        if keep:
            self.waveform = load_audio(self.columns["audio"], SAMPLING_RATE)
            self.seconds, silent = len(self.waveform) / SAMPLING_RATE, is_silent(self.waveform)
        elif decode:
            self.seconds, amplitude = check_audio(self.columns["audio"])
            silent = amplitude < SILENCE
        if silent:
            self.note("silent", "is kept, but is silent.")
        if self.seconds < SHORT:
            self.note("too short", f"lasts {self.seconds:.3f} s: it is kept, but hardly contains a syllable.")

    def fit_video(self, max_seconds: float | None) -> None:
        """Fit the span to the video, or remove a video that cannot be used."""
        if not self.columns.get("video"):
            return
        try:
            self.columns["video"], _ = self.span("video", max_seconds)
        except ValueError as error:
            self.note("unreadable", f"is kept without video: {error}", "video")
            self.columns["video"] = None

    def span(self, column: str, max_seconds: float | None) -> tuple[dict, float | None]:
        """Return the file of a column with its span fitted to the file, and the duration of the span in seconds."""
        media = dict(self.columns[column])
        whole = measure(media["path"], column)
        start, end = media.get("start") or 0.0, media.get("end")
        if start < 0 or (end is not None and end <= start) or (whole is not None and start >= whole):
            until = "" if end is None else f" to {end:.2f} s"
            length = "" if whole is None else f", and {media['path']} lasts {whole:.2f} s"
            raise ValueError(f"its span is from {start:.2f} s{until}{length}.")
        if whole is not None and end is not None and end > whole + SPAN_TOLERANCE:
            what = f"is cut: its span ends at {end:.2f} s, and {media['path']} lasts {whole:.2f} s."
            self.note("misaligned", what, column)
            media |= {"start": start, "end": whole}
        end = media.get("end") or whole
        seconds = None if end is None else end - start
        if max_seconds is not None and seconds is not None and seconds > max_seconds:
            media |= {"start": start, "end": start + max_seconds}
            what = f"is cut: {media['path']} lasts {seconds:.1f} s, {max_seconds:g} s are used."
            self.note("too long", what, column)
            seconds = max_seconds
        return media, seconds

    def check_alignment(self) -> None:
        """Remove an alignment that does not fit the recording."""
        levels = self.columns.get("alignment") or {}
        last = max((level["end"][-1] for level in levels.values() if level and level["end"]), default=0.0)
        if last > self.seconds + SLACK:
            what = f"is kept without alignment: it ends at {last:.2f} s, the recording at {self.seconds:.2f} s."
            self.note("misaligned", what)
            self.columns["alignment"] = None

    def embed_audio(self) -> None:
        """Replace the path, which is valid on this machine only, by the span of the recording."""
        import soundfile

        audio, file = self.columns["audio"], io.BytesIO()
        # soundfile writes with a scale of 32767 and reads with 32768, which would change 16-bit samples.
        samples = np.clip(np.rint(self.waveform * 32768), -32768, 32767).astype(np.int16)
        soundfile.write(file, samples, SAMPLING_RATE, format="FLAC", subtype="PCM_16")
        self.columns["audio"] = {"path": f"{Path(audio['path']).stem}.flac", "bytes": file.getvalue()}
        self.columns["video"] = None
