"""Spoil the bytes of a file of any kind."""

import struct
from random import Random

NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEADER = 96  # bytes: all headers that matter begin here
# What a decoder or parser must not take for an instruction.
FOREIGN_FILES = (
    b"#EXTM3U\n#EXTINF:1,\nfile:///proc/version\n",
    b"ffconcat version 1.0\nfile '/proc/version'\n",
    b"<html><script>alert(1)</script></html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n.",
    b"PK\x03\x04" + bytes(60),
    b"\x1f\x8b\x08" + bytes(20),
)


def cut(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def cut_in_header(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(min(HEADER, len(data)))]


def cut_at_end(random: Random, data: bytes) -> bytes:
    return data[: -random.randint(1, 16)]


def remove_middle(random: Random, data: bytes) -> bytes:
    first, last = sorted(random.sample(range(len(data) + 1), 2))
    return data[:first] + data[last:]


def flip(random: Random, data: bytes) -> bytes:
    return _replace(random, data, 0, len(data), random.choice((1, 4, 32)))


def flip_in_header(random: Random, data: bytes) -> bytes:
    return _replace(random, data, 0, HEADER, random.choice((1, 2, 8)))


def extreme_number(random: Random, data: bytes) -> bytes:
    """Write an extreme integer into the header, of any width and order."""
    kind = random.choice(["<I", ">I", "<H", ">H", "<Q", ">Q", "B"])
    size = struct.calcsize(kind)
    place = random.randrange(max(1, min(HEADER, len(data)) - size))
    number = struct.pack(kind, random.choice(NUMBERS) & (2 ** (8 * size) - 1))
    return data[:place] + number + data[place + size :]


def zero_run(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data))
    length = min(len(data) - place, random.choice((4, 64, 4096)))
    return data[:place] + bytes(length) + data[place + length :]


def insert(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + random.randbytes(random.choice((1, 7, 500))) + data[place:]


def join(random: Random, data: bytes) -> bytes:
    return data + data


def trail_zeros(random: Random, data: bytes) -> bytes:
    return data + bytes(random.choice((1, 128, 10000)))


def trail_noise(random: Random, data: bytes) -> bytes:
    return data + random.randbytes(random.choice((1, 128, 10000)))


def tag(random: Random, data: bytes) -> bytes:
    """Put an ID3 tag in front, whose text looks like a header of an mp3, and whose size may be wrong."""
    text = b"TIT2\x00\x00\x00\x18\x00\x00\x03Info Xing VBRI" + bytes(10)
    size = random.choice((len(text), len(text), 0, 1000, 2**27))
    return b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + text + data


def other_file(random: Random, data: bytes) -> bytes:
    return random.choice(FOREIGN_FILES)


def empty(random: Random, data: bytes) -> bytes:
    return b""


MUTATORS = (
    *(cut, cut_in_header, cut_at_end, remove_middle, flip, flip_in_header, extreme_number, extreme_number),
    *(zero_run, insert, join, trail_zeros, trail_noise, tag, other_file, empty),
)


def spoil_bytes(random: Random, data: bytes) -> tuple[str, bytes]:
    """Return what was done, and the spoiled bytes; rarely twice in a row."""
    mutators = [random.choice(MUTATORS) for _ in range(random.choice((1, 1, 1, 2)))]
    for mutator in mutators:
        data = mutator(random, data) if data else data
    return " + ".join(mutator.__name__ for mutator in mutators), data


def _replace(random: Random, data: bytes, first: int, last: int, count: int) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[random.randrange(first, min(last, len(data)))] ^= random.randrange(1, 256)
    return bytes(changed)
