"""Speech from espeak-ng, with the times of all words and phones.

The `espeakng-loader` wheel contains the library and its data; it is called through `ctypes`. espeak-ng keeps state
between sentences, so the same sentence differs by a few samples when it is repeated; the same *sequence* in a new process
is identical to the bit. `speak` therefore runs this file in a child process that speaks all prompts in order.
"""

import ctypes
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

ESPEAK_RATE = 22050  # Hz, sampling rate of espeak-ng's formant voices


@dataclass(frozen=True)
class Prompt:
    """A sentence and the manner of speaking it.

    Args:
        text: The sentence, ASCII.
        voice: Name of an espeak-ng voice, such as `"en-us+f2"` (language plus variant).
        rate: Words per minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own pitch.
        pitch_range: 0 (monotone) to 99 (lively).
        volume: 0 to 200, linear in amplitude; 100 is normal, 200 may clip.
    """

    text: str
    voice: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50
    volume: int = 100


class Segment(NamedTuple):
    """A word or phone: `start` and `end` in seconds, and its symbol."""

    start: float
    end: float
    symbol: str


class Speech(NamedTuple):
    """The speech for one prompt.

    Args:
        samples: 16-bit little-endian mono PCM at `ESPEAK_RATE`.
        words: Words as written. Words that espeak-ng joins ("of the") share one segment.
        phones: IPA phones with stress marks; pauses are the gaps between them.
    """

    samples: bytes
    words: list[Segment]
    phones: list[Segment]

    def waveform(self, sampling_rate: int) -> "np.ndarray":
        """Return the samples at another rate in Hz, `(samples,)` float32 between -1 and 1."""
        import numpy as np
        import soxr

        samples = np.frombuffer(self.samples, dtype="<i2").astype(np.float32) / 2**15
        return soxr.resample(samples, ESPEAK_RATE, sampling_rate)


def speak(prompts: Sequence[Prompt]) -> Iterator[Speech]:
    """Yield the speech for each prompt; the same sequence of prompts always gives the same bits.

    Raises:
        ImportError: If `espeakng_loader` is not installed.
        RuntimeError: If espeak-ng stops before the last prompt.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise ImportError("Speech synthesis needs the espeak-ng library: `pip install espeakng-loader`.")
    command = [sys.executable, "-P", __file__]  # -P: this folder's modules must not shadow installed ones
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            child.stdin.write(json.dumps([asdict(prompt) for prompt in prompts]).encode())
            child.stdin.close()
            for number in range(len(prompts)):
                header = child.stdout.readline()
                if not header:
                    raise RuntimeError(
                        f"espeak-ng stopped at prompt {number}, {prompts[number]}; its message is printed above."
                    )
                size, phones = json.loads(header)
                samples = child.stdout.read(size)
                yield Speech(samples, *_segments(prompts[number].text, phones))
        finally:
            child.kill()


def _segments(text: str, phones: list[tuple[int, float, float, str]]) -> tuple[list[Segment], list[Segment]]:
    """Return words and phones, from phones with the offset in the text at which their word begins."""
    begins = sorted({begin for begin, *_ in phones})
    words = []
    for begin, stop in zip(begins, [*begins[1:], len(text)], strict=True):
        inside = [(start, end) for own, start, end, _ in phones if own == begin]
        symbol = " ".join(word.strip(".,?!") for word in text[begin:stop].split())
        words.append(Segment(inside[0][0], inside[-1][1], symbol))
    return words, [Segment(start, end, symbol) for _, start, end, symbol in phones]


# The rest runs in the child process and needs only the standard library.

# Values of espeak-ng's speak_lib.h, version 1.52.
_SYNCHRONOUS_OUTPUT, _PHONEME_EVENTS_IN_IPA, _DO_NOT_EXIT = 2, 1 | 2, 0x8000
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_PHONEME_EVENT, _CHARACTER_POSITION, _ASCII_IS_UTF8 = 7, 1, 1


class _Identity(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Synthesiser:
    def __init__(self):
        import espeakng_loader

        self.binding = ctypes.CDLL(espeakng_loader.get_library_path())
        options = _PHONEME_EVENTS_IN_IPA | _DO_NOT_EXIT
        rate = self.binding.espeak_Initialize(
            _SYNCHRONOUS_OUTPUT, 0, espeakng_loader.get_data_path().encode(), options
        )
        if rate != ESPEAK_RATE:
            raise RuntimeError(f"espeak-ng speaks at {rate} Hz; {ESPEAK_RATE} Hz was expected.")
        self.binding.espeak_ng_SetRandSeed(0)  # seeds the noise of breathy voices, otherwise seeded by the clock
        self.callback = _CALLBACK(self._collect)  # keeps a reference: the library only holds a pointer
        self.binding.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples, count, events) -> int:
        if samples and count > 0:
            self.samples += ctypes.string_at(samples, 2 * count)
        while events.contents.type:
            event = events.contents
            if event.type == _PHONEME_EVENT:
                self.phones.append((event.text_position - 1, event.sample, event.id.string.decode()))
            events = ctypes.pointer(_Event.from_address(ctypes.addressof(event) + ctypes.sizeof(_Event)))
        return 0

    def say(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int, volume: int):
        self.samples, self.phones = bytearray(), []
        if self.binding.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}.")
        for parameter, value in ((_RATE, rate), (_VOLUME, volume), (_PITCH, pitch), (_RANGE, pitch_range)):
            self.binding.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode("ascii")
        self.binding.espeak_Synth(encoded, len(encoded) + 1, 0, _CHARACTER_POSITION, 0, _ASCII_IS_UTF8, None, None)
        ends = [sample for _, sample, _ in self.phones[1:]] + [len(self.samples) // 2]
        phones = [
            (begin, round(start / ESPEAK_RATE, 4), round(end / ESPEAK_RATE, 4), symbol)
            for (begin, start, symbol), end in zip(self.phones, ends, strict=True)
            if symbol  # a pause has none
        ]
        return bytes(self.samples), phones


def _main() -> None:
    prompts = json.load(sys.stdin.buffer)
    synthesiser = _Synthesiser()
    for prompt in prompts:
        samples, phones = synthesiser.say(**prompt)
        sys.stdout.buffer.write(json.dumps([len(samples), phones]).encode() + b"\n" + samples)


if __name__ == "__main__":
    _main()
