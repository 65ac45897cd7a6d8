"""Decoding with `load_audio` and `load_video`: whole files, and spans of long files.

The floor of a span is a file that holds only the span: the difference is the cost of seeking.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..configuration.modalities import SAMPLING_RATE
from ..processing import load_audio, load_video
from .measuring import compare, table

RATE = 44100  # Hz, of the files
SOUNDS = ("wav", "flac", "mp3", "ogg")
# Container -> codecs of video and audio.
VIDEOS = {"mp4": ("libx264", "aac"), "mkv": ("libx264", "libopus"), "avi": ("mpeg4", "libmp3lame")}
SPAN = 3.0  # seconds
FRAMES_PER_SECOND = 2.0  # default of the processor


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    long, whole, repeats = (8, 2, 1) if quick else (120, 30, 5)
    with tempfile.TemporaryDirectory() as folder:
        files = {
            (kind, seconds): write(Path(folder, f"{seconds}.{kind}"), seconds)
            for kind in (*SOUNDS, *VIDEOS)
            for seconds in (long, whole, SPAN)
        }
        return [
            measure_whole(files, whole, repeats),
            measure_spans(files, long, repeats, "audio", [*SOUNDS, *VIDEOS]),
            measure_spans(files, long, repeats, "video", list(VIDEOS)),
        ]


def measure_whole(files: dict[tuple[str, float], Path], seconds: float, repeats: int) -> dict:
    """Return the table of whole files: decoded, mixed to one channel, resampled."""
    rows = compare(
        {kind: partial(load_audio, files[kind, seconds], SAMPLING_RATE) for kind in (*SOUNDS, *VIDEOS)}, repeats
    )
    for row in rows:
        row["x real time"] = 1e3 * seconds / row["CPU ms"]
    title = (
        f"Audio of whole files: {seconds} s, {RATE} Hz (Opus: 48000 Hz), two channels, to one at {SAMPLING_RATE} Hz"
    )
    return table(title, rows, "Ratio: to wav. Times real time: in processor time.")


def measure_spans(
    files: dict[tuple[str, float], Path], long: float, repeats: int, what: str, kinds: list[str]
) -> dict:
    """Return the table of a span from the middle of a long file, compared with a file of the span and the whole file."""
    start, rows = 0.5 * long, []
    read = partial(load_audio, sampling_rate=SAMPLING_RATE) if what == "audio" else read_frames
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
        others = {"whole / span": whole["median ms"] / span["median ms"], "alone ms": alone["median ms"]}
        rows.append(span | others | {"CPU ratio": span["CPU ms"] / alone["CPU ms"]})
    return table(
        f"{what.capitalize()} of a span of {SPAN:g} s, {start:g} s into {long} s",
        rows,
        "Ratio: to a file that holds only the span; CPU ratio: of the least processor times. Whole / span: time of the whole file "
        "over time of the span.",
    )


def read_frames(source: Path, **span: float) -> np.ndarray:
    """Return the frames that the processor takes."""
    return load_video(source, FRAMES_PER_SECOND, **span)


def write(path: Path, seconds: float) -> Path:
    """Write a file of noise, modulated like syllables; a video has frames of 640 by 360 pixels."""
    import soundfile

    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, (len(times), 2)).astype(np.float32)
    sound = noise * np.sin(2 * np.pi * 2 * times).astype(np.float32)[:, None] ** 2
    if path.suffix.lstrip(".") in SOUNDS:
        with soundfile.SoundFile(path, "w", RATE, 2) as file:
            for begin in range(0, len(sound), RATE):  # libsndfile's Vorbis encoder crashes on minutes at once
                file.write(sound[begin : begin + RATE])
    else:
        write_video(path, sound, seconds)
    return path


def write_video(path: Path, sound: np.ndarray, seconds: float) -> None:
    """Write a video of 25 frames per second, and its audio.

    Args:
        path: The file; its suffix decides the codecs.
        sound: Samples `(samples, 2)` at 44100 Hz.
        seconds: Duration of the video.
    """
    import av

    codec, sound_codec = VIDEOS[path.suffix.lstrip(".")]
    with av.open(path, "w") as container:
        video = container.add_stream(codec, 25)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        audio = container.add_stream(sound_codec, 48000 if sound_codec == "libopus" else RATE)
        audio.layout = "stereo"
        block = RATE // 25
        resampler = av.AudioResampler(format=audio.format, layout="stereo", rate=audio.rate)
        for number, picture in enumerate(draw_frames(round(25 * seconds))):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[number * block : (number + 1) * block].T), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = RATE, number * block
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            for resampled in resampler.resample(frame):
                container.mux(audio.encode(resampled))
        for resampled in resampler.resample(None):
            container.mux(audio.encode(resampled))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))


def draw_frames(count: int) -> Iterator[np.ndarray]:
    """Yield frames `(360, 640, 3)`: a patch of noise that moves over fixed noise."""
    draw = np.random.default_rng(0)
    ground, patch = (draw.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((45, 80), (15, 15)))
    for number in range(count):
        picture = ground.copy()
        place = number % 60
        picture[15:30, place : place + 15] = patch
        yield picture.repeat(8, axis=0).repeat(8, axis=1)
