"""Reading media files by `load_audio` and `load_video`: whole, and a span of a long one against a file that is only the span.

A file of the span alone is the floor: whatever a span costs more than that is the cost of getting there.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..processing import load_audio, load_video
from .measuring import compare, table

TO = 16000  # Hz
RATE = 44100
SOUNDS = ("wav", "flac", "mp3", "ogg")
# container -> codecs of pictures and sound
FILMS = {"mp4": ("libx264", "aac"), "mkv": ("libx264", "libopus"), "avi": ("mpeg4", "libmp3lame")}
SPAN = 3.0  # seconds
FRAMES_PER_SECOND = 2.0  # that the processor looks at


def measure(quick: bool) -> list[dict]:
    """See `benchmarks`."""
    long, whole, repeats = (8, 2, 1) if quick else (120, 30, 5)
    with tempfile.TemporaryDirectory() as folder:
        files = {
            (kind, seconds): write(Path(folder, f"{seconds}.{kind}"), seconds)
            for kind in (*SOUNDS, *FILMS)
            for seconds in (long, whole, SPAN)
        }
        return [
            measure_whole(files, whole, repeats),
            measure_spans(files, long, repeats, "sound", [*SOUNDS, *FILMS]),
            measure_spans(files, long, repeats, "pictures", list(FILMS)),
        ]


def measure_whole(files: dict[tuple[str, float], Path], seconds: float, repeats: int) -> dict:
    """Sound, decoded, mixed down and resampled."""
    rows = compare({kind: partial(load_audio, files[kind, seconds], TO) for kind in (*SOUNDS, *FILMS)}, repeats)
    for row in rows:
        row["x real time"] = 1e3 * seconds / row["median ms"]
    title = f"The sound of whole files: {seconds} s, {RATE} Hz (Opus 48000 Hz), two channels, to one at {TO} Hz"
    return table(title, rows, "Ratio: to wav.")


def measure_spans(
    files: dict[tuple[str, float], Path], long: float, repeats: int, what: str, kinds: list[str]
) -> dict:
    """A span from the middle of a long file, against a file of that length and against all of the long one."""
    start, rows = 0.5 * long, []
    read = partial(load_audio, sampling_rate=TO) if what == "sound" else read_pictures
    for kind in kinds:
        alone, span, whole = compare(
            {
                "alone": partial(read, files[kind, SPAN]),
                "span": partial(read, files[kind, long], start=start, end=start + SPAN),
                "whole": partial(read, files[kind, long]),
            },
            repeats,
        )
        span = {"what": kind} | {name: value for name, value in span.items() if name != "what"}
        rows.append(span | {"whole / span": whole["median ms"] / span["median ms"], "alone ms": alone["median ms"]})
    return table(
        f"The {what} of a span of {SPAN:g} s, {start:g} s into {long} s",
        rows,
        "Ratio: to a file of the span alone. Whole / span: how many times longer the whole file takes.",
    )


def read_pictures(source: Path, **span: float) -> np.ndarray:
    """As many pictures as the processor looks at."""
    return load_video(source, FRAMES_PER_SECOND, **span)


def write(path: Path, seconds: float) -> Path:
    """Write a file of noise that swells and fades as syllables do; if it is a film, with pictures of 640 by 360."""
    import soundfile

    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, (len(times), 2)).astype(np.float32)
    sound = noise * np.sin(2 * np.pi * 2 * times).astype(np.float32)[:, None] ** 2
    if path.suffix.lstrip(".") in SOUNDS:
        with soundfile.SoundFile(path, "w", RATE, 2) as file:
            for begin in range(0, len(sound), RATE):  # libsndfile's Vorbis encoder crashes on minutes at once
                file.write(sound[begin : begin + RATE])
    else:
        write_film(path, sound, seconds)
    return path


def write_film(path: Path, sound: np.ndarray, seconds: float) -> None:
    """Encode sound, and 25 pictures a second."""
    import av

    codec, sound_codec = FILMS[path.suffix.lstrip(".")]
    with av.open(path, "w") as container:
        video = container.add_stream(codec, 25)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        audio = container.add_stream(sound_codec, 48000 if sound_codec == "libopus" else RATE)
        audio.layout = "stereo"
        block = RATE // 25
        resampler = av.AudioResampler(format=audio.format, layout="stereo", rate=audio.rate)
        for number, picture in enumerate(pictures(round(25 * seconds))):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[number * block : (number + 1) * block].T), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = RATE, number * block
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            for part in resampler.resample(frame):
                container.mux(audio.encode(part))
        for part in resampler.resample(None):
            container.mux(audio.encode(part))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))


def pictures(count: int) -> Iterator[np.ndarray]:
    """A patch of noise that moves over noise that does not."""
    draw = np.random.default_rng(0)
    ground, patch = (draw.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((45, 80), (15, 15)))
    for number in range(count):
        picture = ground.copy()
        place = number % 60
        picture[15:30, place : place + 15] = patch
        yield picture.repeat(8, axis=0).repeat(8, axis=1)
