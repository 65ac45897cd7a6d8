"""What the recordings and films of a corpus are like: looked at once, before anything is learned from them.

Of every row the headers are read, or on demand the whole recording. What cannot be heard is dropped, what does not fit is
taken out of its row or cut, and all of that is noted.
"""

import io
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from ...processing.media import SPAN_TOLERANCE, load_audio, open_container, open_file
from ..scan import problem

SAMPLING_RATE = 16000  # Hz
SHORT = 0.1  # seconds: in less, hardly a syllable is heard
SLACK = 0.5  # seconds that an alignment may go on after its recording before it is not believed
SILENCE = 1e-4  # no sample is louder: -80 dB
BLOCK = 60.0  # seconds that are decoded at a time
ROWS = 64  # that are looked at side by side; the decoders let other threads run


def inspect(
    rows: Iterator[dict],
    problems: list[dict],
    *,
    decode: bool = False,
    embed_audio: bool = False,
    max_seconds: float | None = 60.0,
    known: Mapping[str, str] | None = None,
) -> Iterator[dict]:
    """Look at the recording, the film and the alignment of every row.

    Args:
        rows: In the schema, as `Scan` gives them.
        problems: What is found is added to it: rows that are dropped ("unreadable", "outside its file"), and rows that are
            kept ("too short", "too long" and cut, "silent", "misaligned").
        decode: Whether recordings are decoded to their end, which alone finds those that are truncated, hold numbers
            that are not finite, or are silent. Otherwise headers are believed.
        embed_audio: Whether rows carry their recordings as FLAC (16 kHz, 16 bits) instead of paths. They lose their films,
            which are not carried.
        max_seconds: Recordings and films are cut here; None never cuts.
        known: What is wrong in every copy, per id.

    Yields:
        The rows that can be used, in their order.
    """
    look = partial(_look, decode=decode, embed_audio=embed_audio, max_seconds=max_seconds, known=known or {})
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while some := list(islice(rows, ROWS)):
            for row, found in pool.map(look, some):
                problems += found
                if row is not None:
                    yield row


@lru_cache(maxsize=512)  # a film or recording of a whole dialogue is that of many rows
def measure(path: str, kind: str = "audio") -> float | None:
    """How many seconds a recording (or, of kind "video", a film) lasts, as its header says; nothing is decoded.

    Returns:
        Seconds; None where the header does not say.

    Raises:
        ValueError: If the file cannot be read, is empty, or holds nothing of this kind.
    """
    import soundfile

    try:
        file, name = open_file(path, str(path))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or 'it does not exist'}.") from error
    with file:
        if kind == "audio":
            try:
                with soundfile.SoundFile(file) as sound:
                    seconds = sound.frames / sound.samplerate
            except soundfile.LibsndfileError:
                file.seek(0)
            else:
                return _positive(seconds, name)
        with open_container(file, name) as container:
            streams = getattr(container.streams, kind)
            if not streams:
                raise ValueError(f"{name} has no {kind} stream.")
            if streams[0].duration is None:
                return None if container.duration is None else _positive(container.duration / 1e6, name)
            return _positive(float(streams[0].duration * streams[0].time_base), name)


def _positive(seconds: float, name: str) -> float:
    if seconds <= 0:
        raise ValueError(f"{name} lasts {seconds:.3f} s: there is nothing in it.")
    return seconds


def _look(
    row: dict, decode: bool, embed_audio: bool, max_seconds: float | None, known: Mapping[str, str]
) -> tuple[dict | None, list[dict]]:
    """The row as it can be used, or None; and what is wrong with it."""
    row = _Row(row, known)
    try:
        row.hear(max_seconds, decode or embed_audio)
    except ValueError as error:
        row.note("unreadable", f"is dropped: {error}", dropped=True)
        return None, row.problems
    row.align()
    if embed_audio:
        row.embed()
    else:
        row.watch(max_seconds)
    return row.columns, row.problems


class _Row:
    """A row while it is looked at.

    Attributes:
        columns: The row.
        problems: What was found.
        seconds: How long its recording is, from the span's start to its end; None if the header does not say.
        waveform: The recording, if it was decoded in one piece.
    """

    def __init__(self, columns: dict, known: Mapping[str, str]):
        self.columns, self.problems, self.seconds, self.waveform = dict(columns), [], None, None
        self.known = known.get(columns["id"])

    def note(self, kind: str, what: str, column: str = "audio", dropped: bool = False) -> None:
        name, reason = self.columns["id"], f" (known: {self.known})" if self.known else ""
        file = self.columns[column]["path"]
        found = problem(kind, f"{name} {what}{reason}", file, name, dropped, known=bool(self.known))
        if found not in self.problems:  # a film may be the recording too
            self.problems.append(found)

    def hear(self, max_seconds: float | None, decode: bool) -> None:
        """Fit the span to the recording.

        Raises:
            ValueError: If nothing can be heard.
        """
        self.columns["audio"], self.seconds = self.span("audio", max_seconds)
        if decode:
            self.decode()
        if self.seconds is not None and self.seconds < SHORT:
            self.note("too short", f"lasts {self.seconds:.3f} s: it is kept, but hardly a syllable is heard.")

    def watch(self, max_seconds: float | None) -> None:
        """Fit the span to the film, or do without one."""
        if not self.columns.get("video"):
            return
        try:
            self.columns["video"], _ = self.span("video", max_seconds)
        except ValueError as error:
            self.note("unreadable", f"keeps no video: {error}", "video")
            self.columns["video"] = None

    def span(self, column: str, max_seconds: float | None) -> tuple[dict, float | None]:
        """The file of a column with the span that is in it, and how many seconds that is."""
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
            what = f"is cut: {media['path']} lasts {seconds:.1f} s, of which {max_seconds:g} s are used."
            self.note("too long", what, column)
            seconds = max_seconds
        return media, seconds

    def decode(self) -> None:
        """Decode all of the span, so long recordings a block at a time.

        Raises:
            ValueError: If that is not possible.
        """
        audio, loudest = self.columns["audio"], 0.0
        blocks = 1 if self.seconds is None else max(1, int(self.seconds // BLOCK))
        first = audio.get("start")
        for number in range(blocks):
            start = first if number == 0 else (first or 0.0) + number * BLOCK
            end = audio.get("end") if number == blocks - 1 else (first or 0.0) + (number + 1) * BLOCK
            waveform = load_audio(audio["path"], SAMPLING_RATE, start, end)
            loudest = max(loudest, float(np.abs(waveform).max()))
        if blocks == 1:
            self.waveform, self.seconds = waveform, len(waveform) / SAMPLING_RATE
        if loudest < SILENCE:
            self.note("silent", "is kept, but nothing is heard in it.")

    def align(self) -> None:
        """Do without an alignment that does not fit the recording."""
        levels = self.columns.get("alignment") or {}
        last = max((level["end"][-1] for level in levels.values() if level and level["end"]), default=0.0)
        if self.seconds is not None and last > self.seconds + SLACK:
            what = f"keeps no alignment: it ends at {last:.2f} s, the recording at {self.seconds:.2f} s."
            self.note("misaligned", what)
            self.columns["alignment"] = None

    def embed(self) -> None:
        """Carry the span of the recording, and no path that means nothing elsewhere."""
        import soundfile

        audio, file = self.columns["audio"], io.BytesIO()
        waveform = self.waveform
        if waveform is None:
            waveform = load_audio(audio, SAMPLING_RATE)
        # soundfile would scale by 32767, but reads by 32768: 16 bits would not come back as they were.
        samples = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
        soundfile.write(file, samples, SAMPLING_RATE, format="FLAC", subtype="PCM_16")
        self.columns["audio"] = {"path": f"{Path(audio['path']).stem}.flac", "bytes": file.getvalue()}
        self.columns["video"] = None
