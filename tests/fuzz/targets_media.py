"""Recordings and videos, whole and spoiled: what `load_audio`, `load_video` and `audio_seconds` make of them."""

import io
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
import soundfile
from testing_meld import tone, write_video

from .spoil_bytes import spoil_bytes
from .spoil_trees import spoil_tree
from .target import Spoiled, Target

RATE = 16000
SECONDS = 0.6
# Seconds by which a codec may lengthen a recording.
CODEC_DELAY = 0.12
# Suffix -> format and subtype of soundfile; format, codec and rate of PyAV.
SOUNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "gsm.wav": ("WAV", "GSM610"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
}
PYAV = {
    "m4a": ("mp4", "aac", RATE),
    "aac": ("adts", "aac", RATE),
    "mka": ("matroska", "libopus", 48000),
    "wma": ("asf", "wmav2", 44100),
    "av.mp3": ("mp3", "libmp3lame", 44100),
}
VIDEOS = ("mp4", "mkv", "avi")


def build_recordings(folder: Path) -> dict[str, bytes]:
    """Return the same recording in every format, by suffix."""
    recordings = {}
    for suffix, (kind, subtype) in SOUNDFILE.items():
        file = io.BytesIO()
        rate = 8000 if subtype == "GSM610" else RATE
        soundfile.write(file, tone(SECONDS, 300)[:: RATE // rate], rate, format=kind, subtype=subtype)
        recordings[suffix] = file.getvalue()
    return recordings | {suffix: encode(*how) for suffix, how in PYAV.items()}


def encode(kind: str, codec: str, rate: int) -> bytes:
    """Return the recording, encoded by PyAV."""
    file = io.BytesIO()
    samples = (0.3 * np.sin(2 * np.pi * 300 / rate * np.arange(round(SECONDS * rate)))).astype(np.float32)
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 64000
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(stream.format, "mono", rate, stream.frame_size or None)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def build_videos(folder: Path) -> dict[str, bytes]:
    """Return a video of the same frames in every container, by suffix."""
    write_video(folder / "video.mp4", SECONDS, 300)
    videos = {"mp4": (folder / "video.mp4").read_bytes()}
    for suffix, kind in (("mkv", "matroska"), ("avi", "avi")):
        file = io.BytesIO()
        with av.open(folder / "video.mp4") as source, av.open(file, "w", format=kind) as container:
            stream = container.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    container.mux(packet)
        videos[suffix] = file.getvalue()
    return videos


def spoil_media(random: Random, valid: dict[str, bytes], folder: Path) -> Spoiled:
    """Spoil one of the files, and give it as a path, as bytes or as a dict."""
    suffix = random.choice(list(valid))
    what, data = spoil_bytes(random, valid[suffix])
    path = folder / f"media.{random.choice([suffix, suffix, suffix, *valid])}"
    path.write_bytes(data)
    source = random.choice((path, str(path), data, {"path": str(path), "bytes": None}, {"bytes": data, "path": None}))
    return Spoiled(f"{suffix}: {what}", {suffix: source})


def hear(recordings: dict[str, Any]) -> dict[str, float | None]:
    """Return the seconds of each recording, after a check of its waveform and of its stated length."""
    from emofusion.processing.media import audio_seconds, load_audio

    lengths = {}
    for suffix, source in recordings.items():
        waveform = load_audio(source, RATE, max_seconds=60)
        assert waveform.dtype == np.float32
        assert waveform.ndim == 1
        assert len(waveform)
        assert np.isfinite(waveform).all()
        lengths[suffix] = len(waveform) / RATE
        lengths[f"stated {suffix}"] = audio_seconds(source)
    return lengths


def check_lengths(answer: dict, intact: dict | None, spoiled: Spoiled) -> str | None:
    """Refuse a recording that lost its second half when joined, or changed its length by what stands behind it."""
    factors = {"join": 2, "trail_zeros": 1, "tag": 1, "nothing": 1}
    factor = factors.get(spoiled.what.rpartition(": ")[2])
    for name, seconds in answer.items() if factor else ():
        expected = factor * SECONDS
        if seconds is not None and abs(seconds - expected) > CODEC_DELAY * factor:
            return f"{name} lasts {seconds:.2f} s, not {expected:.2f} s"
    return None


def watch(videos: dict[str, Any]) -> dict[str, list[int]]:
    """Return the shape of the frames of each video."""
    from emofusion.processing.video import load_video

    frames = {suffix: load_video(source, 5.0, max_seconds=60) for suffix, source in videos.items()}
    assert all(array.dtype == np.uint8 and array.size for array in frames.values())
    return {suffix: list(array.shape) for suffix, array in frames.items()}


def build_audio_arguments(folder: Path) -> dict[str, Any]:
    path = folder / "a.wav"
    soundfile.write(path, tone(SECONDS, 300), RATE)
    return {
        "array": {"source": {"array": tone(SECONDS, 300), "sampling_rate": 8000, "start": 0.1, "end": 0.3}},
        "path": {"source": {"path": str(path), "bytes": None}, "start": 0.1, "end": 0.4, "max_seconds": 0.2},
        "bytes": {"source": path.read_bytes(), "sampling_rate": 22050, "start": None, "end": None},
    }


def build_video_arguments(folder: Path) -> dict[str, Any]:
    data = build_videos(folder)["mp4"]
    return {
        "bytes": {"source": data, "frames_per_second": 5, "start": 0.1, "end": 0.4},
        "dict": {"source": {"path": str(folder / "video.mp4")}, "frames_per_second": 10.0, "max_seconds": 0.3},
    }


def spoil_arguments(random: Random, valid: dict[str, Any], folder: Path) -> Spoiled:
    """Spoil one of several sets of arguments; what a set holds otherwise stays."""
    name = random.choice(list(valid))
    what, arguments, _ = spoil_tree(random, valid[name])
    return Spoiled(f"{name}: {what}", {name: arguments})


def call_with(function: Callable[..., Any]) -> Callable[[dict[str, Any]], dict]:
    """Return a function that calls another with sets of arguments, and returns the sizes of its results."""
    return lambda sets: {name: list(function(**arguments).shape) for name, arguments in sets.items()}


def load_audio(**arguments) -> np.ndarray:
    from emofusion.processing.media import load_audio

    waveform = load_audio(**{"sampling_rate": RATE} | arguments)
    assert len(waveform)
    assert np.isfinite(waveform).all()
    return waveform


def load_video(**arguments) -> np.ndarray:
    from emofusion.processing.video import load_video

    frames = load_video(**arguments)
    assert len(frames)
    return frames


TARGETS = [
    Target("audio", "media", build_recordings, spoil_media, hear, check_lengths, weight=4),
    Target("video", "media", build_videos, spoil_media, watch, weight=2),
    Target("audio-arguments", "media", build_audio_arguments, spoil_arguments, call_with(load_audio), lenient=True),
    Target("video-arguments", "media", build_video_arguments, spoil_arguments, call_with(load_video), lenient=True),
]
