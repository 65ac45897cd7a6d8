"""Readers of audio files: each yields blocks of one channel, from the start of a span on.

soundfile reads the formats of samples that it knows, and PyAV the rest. No reader holds more than a block in memory.
"""

import io
import math
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from .media_files import check_rate, import_av, import_soundfile, open_container, truncated
from .media_packets import UNKNOWN, Packets, check_rest, estimated_seconds

BLOCK = 2**16  # samples of all channels that soundfile reads at a time
WARM_UP = 32  # packets decoded in front of a span: those of MP3 refer to the bytes of earlier ones
NEAR = 10.0  # seconds; packets up to here are passed over one by one, which is exact, instead of a seek
JUMP = 0.02  # seconds between packets from which time stamps begin anew

# Formats with an index or with frequent time stamps. The others are passed over packet by packet.
SEEKABLE = ("mov", "matroska", "avi", "asf", "flv", "flac")


class Block(NamedTuple):
    """Consecutive samples of a recording.

    Attributes:
        samples: One channel, `(samples,)`, float32.
        rate: Their sampling rate in Hz.
        first: The number of the first sample since the beginning of the recording, at this rate.
    """

    samples: np.ndarray
    rate: int
    first: int


def read_blocks(file: io.BufferedIOBase, name: str, start: float, channel: int | None = None) -> Iterator[Block]:
    """Yield a recording in blocks; the first one begins at `start` or before.

    Args:
        file: The file.
        name: Its name for errors.
        start: The start of the span in seconds.
        channel: The number of the channel, 1 for the first; None averages the channels.

    Yields:
        The blocks. They end where the recording ends.

    Raises:
        ValueError: If the file is damaged, truncated or has no audio, or not this channel; or the span begins after its
            end.
        ImportError: If the library for this format is not installed.
    """
    sound = _open_sound(file, name)
    if sound is None:
        with open_container(file, name) as container:
            packets, seconds = _packets(file, container, name), 0.0
            for block in _read_packets(packets, start, channel):
                yield block
                seconds = (block.first + len(block.samples)) / block.rate
            packets.check_end(seconds)
        return
    with sound:
        yield from _read_sound(sound, name, start, channel)
        check_rest(file, name, file.tell())


def recording_seconds(file: io.BufferedIOBase, name: str) -> float:
    """Return the length of the recording in a file: packets are counted, and the last ones decoded.

    Args:
        file: The file.
        name: Its name for errors.

    Returns:
        Seconds.

    Raises:
        ValueError: If the file is damaged or has no audio.
    """
    sound = _open_sound(file, name)
    if sound is not None:
        with sound:
            return sound.frames / sound.samplerate
    with open_container(file, name) as container:
        packets, seconds = _packets(file, container, name), 0.0
        try:
            for block in _read_packets(packets, math.inf):
                seconds = (block.first + len(block.samples)) / block.rate
        except ValueError:  # reported when it is decoded
            pass
        return round(seconds, 6)


def _open_sound(file: io.BufferedIOBase, name: str) -> Any | None:
    """Open a file with soundfile; None if PyAV has to read it."""
    soundfile = import_soundfile()
    passed = file.read(4).startswith((b"ID3", b"fLaC", b"OggS"))  # PyAV reads these in any case
    file.seek(0)
    try:
        sound = None if passed else soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        sound = None
    # libsndfile estimates the length of MP3, believes that of FLAC, reads the first recording of joined Ogg files alone,
    # and takes the size 0 of wav from a pipe literally.
    unsure = sound is None or sound.format in ("MP3", "FLAC", "OGG") or "MPEG" in sound.subtype
    if unsure or (sound.format == "WAV" and not sound.frames):
        file.seek(0)
        return None
    check_rate(sound.samplerate, name)
    return sound


def count_channels(file: io.BufferedIOBase, name: str) -> int:
    """Return the number of channels of a recording.

    Args:
        file: The file.
        name: Its name for errors.

    Raises:
        ValueError: If the file is damaged or has no audio.
    """
    sound = _open_sound(file, name)
    if sound is not None:
        with sound:
            return sound.channels
    with open_container(file, name) as container:
        return _packets(file, container, name).stream.channels


def _mix(samples: np.ndarray, channel: int | None, name: str) -> np.ndarray:
    """Return one channel of `(channels, samples)`, or their mean."""
    if channel is None:
        return samples[0] if len(samples) == 1 else samples.mean(axis=0)
    if channel > len(samples):
        raise ValueError(f"{name} has no channel {channel}: its channels are 1 to {len(samples)}.")
    return np.ascontiguousarray(samples[channel - 1])


def _read_sound(sound: Any, name: str, start: float, channel: int | None) -> Iterator[Block]:
    soundfile = import_soundfile()
    rate, at = sound.samplerate, 0
    first, size = round(start * rate), max(1, BLOCK // sound.channels)
    if first >= sound.frames:
        yield Block(np.zeros(0, np.float32), rate, sound.frames)
        return
    try:
        if first and sound.seekable():
            at = sound.seek(first)
        while at < sound.frames:
            block = sound.read(min(size, sound.frames - at), dtype="float32", always_2d=True)
            if not len(block):
                break
            yield Block(_mix(block.T, channel, name), rate, at)
            at += len(block)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{name} is truncated or damaged: it cannot be decoded to the end.") from error
    # libsndfile reads a truncated file as a shorter one and reports it in its log only.
    log = re.findall(
        r"^ *(?:data|SSND|Data Size|Riff size|riff) *: (\d+) \(should be (\d+)", sound.extra_info, re.MULTILINE
    )
    if any(int(there) < int(stated) < UNKNOWN for stated, there in log) or at < sound.frames:
        raise truncated(name, at / rate)


def _packets(file: io.BufferedIOBase, container: Any, name: str) -> Packets:
    """Return the packets of the first audio stream."""
    if not container.streams.audio:
        raise ValueError(f"{name} has no audio stream.")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise ValueError(f"{name} has audio in a format that PyAV cannot decode: convert it to wav.")
    if stream.sample_rate:
        check_rate(stream.sample_rate, name)
    return Packets(file, container, stream, name)


def _read_packets(packets: Packets, start: float, channel: int | None = None) -> Iterator[Block]:
    """Yield the blocks of a stream; time 0 is its first decoded sample."""
    av = import_av(packets.name)
    # Time is counted in seconds up to the last change of the rate, and in samples since.
    samples, rate, kind, to_float = 0, None, None, None
    seconds, frames = _go_to(packets, start)
    for frame in frames:
        if kind != (frame.sample_rate, frame.layout.name, frame.format.name):
            kind = frame.sample_rate, frame.layout.name, frame.format.name
            to_float = av.AudioResampler(format="fltp")
        if frame.sample_rate != rate:
            check_rate(frame.sample_rate, packets.name)
            seconds, samples, rate = seconds + (samples / rate if rate else 0.0), 0, frame.sample_rate
        for block in [frame] if frame.format.name == "fltp" else to_float.resample(frame):
            array = _mix(block.to_ndarray(), channel, packets.name)
            yield Block(array, rate, round(seconds * rate) + samples)
            samples += len(array)


def _go_to(packets: Packets, start: float) -> tuple[float, Iterator[Any]]:
    """Pass over packets without decoding them, up to the one at `start` or the last one.

    Args:
        packets: The packets, from the first one.
        start: Seconds since the first frame.

    Returns:
        The time of the first frame that is decoded, at `start` or before, and the frames from there on.
    """
    if not start:
        return 0.0, packets.decode()
    kept = deque(maxlen=WARM_UP)
    following = _keep(packets, kept)
    head = next(frames := packets.decode(following), None)
    if head is None or head.pts is None:
        return 0.0, chain([] if head is None else [head], frames)
    origin = head.pts * head.time_base
    if _seek(packets, float(origin), start):
        kept.clear()
        following = _keep(packets, kept)
    until = (float(origin) + start) / float(packets.stream.time_base)
    for packet in following:
        if packet is not None and packet.pts is not None and packet.pts >= until:
            break
    packets.stream.codec_context.flush_buffers()
    frames = packets.decode(chain(list(kept), following))
    found = next(frames, None)
    if found is None:
        return 0.0, iter(())
    seconds = float(found.pts * found.time_base - origin)
    return _on_grid(seconds, head, found), chain([found], frames)


def _seek(packets: Packets, origin: float, start: float) -> bool:
    """Go to a packet well before `start`, or before the end; return whether the file has one that is far away.

    Args:
        packets: The packets.
        origin: The time stamp of the first frame in seconds.
        start: Seconds since the first frame.
    """
    container, stream = packets.container, packets.stream
    target = min(start, estimated_seconds(container, stream)) - NEAR / 2
    if target < NEAR / 2 or not container.format.name.startswith(SEEKABLE):
        return False
    for seconds in (target, 0.0):
        stamp = round((origin + seconds) / stream.time_base)
        packet = next(iter(packets), None) if packets.seek(stamp) else None
        if packet is not None and packet.pts is not None and packet.pts <= stamp and packets.seek(stamp):
            return True
    raise ValueError(f"{packets.name} is damaged: its index is wrong, so that no span can be found.")


def _keep(packets: Packets, kept: deque) -> Iterator[Any]:
    """Yield packets with time stamps that go on where those of a joined recording begin anew; keep the last ones."""
    end, offset, jump = None, 0, JUMP / float(packets.stream.time_base)
    for packet in packets:
        if packet is not None and packet.pts is not None:
            stamp, length = packet.pts, packet.duration
            if end is not None and length and abs(stamp + offset - end) > jump:
                offset = end - stamp
            if offset:
                packet.pts = stamp + offset
            end = stamp + offset + length if length else None
        kept.append(packet)
        yield packet


def _on_grid(seconds: float, head: Any, found: Any) -> float:
    """Return the time of a frame to the sample, from one in milliseconds: all frames but the first are equally long."""
    samples = seconds * found.sample_rate - head.samples
    exact = round(samples / found.samples) * found.samples
    near = abs(samples - exact) <= 2 * found.time_base * found.sample_rate < found.samples
    return (head.samples + exact) / found.sample_rate if near else seconds
