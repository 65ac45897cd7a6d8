"""Recordings that tests write: a chirp in every format that the encoders of soundfile and PyAV write."""

import io
import tempfile
from pathlib import Path

import av
import numpy as np
import soundfile


def tone(seconds=2.0, rate=16000):
    """Return a chirp with some noise, so that all spans differ; `(samples,)` float32."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    return (0.3 * np.sin(2 * np.pi * (200 + 150 * t) * t) + 0.01 * noise).astype(np.float32)


def encode(waveform, container, codec, rate=16000, container_options=None, codec_options=None, channels=1):
    """Return a file written by PyAV; `container_options` are the muxer's, `codec_options` the encoder's."""
    layout = {1: "mono", 2: "stereo"}[channels]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoded"
        with av.open(path, "w", format=container, options=container_options or {}) as file:
            stream = file.add_stream(codec, rate=rate, layout=layout, options=codec_options or {})
            frame = av.AudioFrame.from_ndarray(np.stack([waveform] * channels), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                file.mux(packet)
        return path.read_bytes()


def write(waveform, file_format, subtype=None, rate=16000):
    """Return a file written by soundfile."""
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format=file_format, subtype=subtype)
    return file.getvalue()


def mp3(seconds, rate=44100, xing=True, channels=1):
    """Return an MP3 file with a variable bit rate, without a count of its frames if `xing` is False."""
    options = {"write_xing": str(int(xing))}
    return encode(tone(seconds, rate), "mp3", "libmp3lame", rate, options, {"flags": "+qscale"}, channels)


def id3(content):
    """Return an ID3 tag, which is in front of the frames of an MP3 file."""
    size = bytes(len(content) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + size + content


def flac_from_pipe(seconds):
    """Return a FLAC file that states no number of samples."""
    content = bytearray(write(tone(seconds), "FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def wav_from_pipe(seconds, stated):
    """Return a wav file whose sizes are `stated`."""
    content = bytearray(write(tone(seconds), "WAV"))
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = stated.to_bytes(4, "little")
    return bytes(content)
