"""A schematic talking face whose bearing shows dominance, for the spoken demonstration corpus (ours).

A raised head, straight shoulders, low brows and a gaze at the viewer show dominance; a bowed and tilted head, hanging
shoulders, raised inner brows and lowered eyes show submission. The mouth follows the loudness of the voice relative to
the mean of the recording, so that the face does not reveal a loud voice.
"""

import colorsys
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

SIZE = 64  # pixels, height and width
FRAME_RATE = 10  # Hz

Colour = tuple[int, int, int]

_SCALE = 4  # drawn larger by this factor and then scaled down, for smooth edges
_CANVAS = _SCALE * (SIZE + 16)  # with a margin, from which the frame is cut
_MIDDLE = _CANVAS / 2
_OPENINGS = 6  # openings of the mouth: few, so that every frame of a video is drawn once
_WHITE, _DARK, _LIPS = (245, 245, 245), (30, 25, 25), (150, 60, 60)


@dataclass(frozen=True)
class Looks:
    """The looks of a speaker.

    Args:
        skin: Colour of the face.
        hair: Colour of hair and brows.
        clothes: Colour of the shoulders.
        background: Colour of the background.
        size: Size of the head, 1 on average.
    """

    skin: Colour
    hair: Colour
    clothes: Colour
    background: Colour
    size: float


@dataclass(frozen=True)
class Bearing:
    """The posture of a speaker, and the position in the frame.

    Args:
        dominance: 1 (submissive) to 5 (dominant).
        side: Side to which a submissive head tilts and looks, -1 or 1.
        tilt: Additional tilt of the head, in degrees.
        shift: Shift of the whole figure, right and down, in pixels.
    """

    dominance: float
    side: int
    tilt: float
    shift: tuple[float, float]


def random_looks(rng: random.Random) -> Looks:
    """Return random looks of a speaker, always a dark figure before a light background."""
    tone = rng.uniform(0.6, 1.0)
    return Looks(
        skin=_colour(rng.uniform(0.05, 0.09), 0.5 - 0.2 * tone, tone),
        hair=_colour(rng.uniform(0.03, 0.12), rng.uniform(0.1, 0.7), rng.uniform(0.1, 0.3)),
        clothes=_colour(rng.random(), rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.5)),
        background=_colour(rng.random(), rng.uniform(0.05, 0.15), rng.uniform(0.85, 0.95)),
        size=rng.uniform(0.9, 1.08),
    )


def random_bearing(dominance: float, rng: random.Random) -> Bearing:
    """Return a random bearing of this dominance."""
    shift = rng.uniform(-4, 4), rng.uniform(-3, 3)
    return Bearing(dominance, rng.choice((-1, 1)), rng.uniform(-4, 4), shift)


def write_video(path: Path, looks: Looks, bearing: Bearing, samples: np.ndarray, sampling_rate: int) -> None:
    """Write a talking face as an MP4 of `SIZE` by `SIZE` pixels at `FRAME_RATE`, as long as a recording.

    The same arguments give the same bytes with the same version of PyAV.

    Args:
        path: The file to write.
        looks: The looks of the speaker.
        bearing: The posture of the speaker.
        samples: The recording, `(samples,)`.
        sampling_rate: Its rate in Hz.
    """
    import av

    openings = mouth_openings(samples, sampling_rate)
    frames = {opening: draw(looks, bearing, opening) for opening in sorted(set(openings))}
    with av.open(path, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libx264", FRAME_RATE, options={"preset": "veryfast", "crf": "16", "threads": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        for opening in openings:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frames[opening], format="rgb24")))
        container.mux(stream.encode(None))


def mouth_openings(samples: np.ndarray, sampling_rate: int) -> list[float]:
    """Return the opening of the mouth for each frame of a recording: half at average loudness, at most 1."""
    hop = sampling_rate // FRAME_RATE
    frames = np.pad(samples, (0, -len(samples) % hop)).reshape(-1, hop)
    loudness = np.sqrt(np.square(frames).mean(axis=1))
    openings = np.minimum(1, loudness / max(2 * loudness.mean(), 1e-6))
    return (np.round((_OPENINGS - 1) * openings) / (_OPENINGS - 1)).tolist()


@lru_cache(maxsize=4096)
def draw(looks: Looks, bearing: Bearing, opening: float) -> np.ndarray:
    """Return one frame `(SIZE, SIZE, 3)`, uint8, with the mouth `opening` from 0 (closed) to 1."""
    from PIL import Image

    dominance = (bearing.dominance - 3) / 2  # -1 to 1
    picture = Image.new("RGB", (_CANVAS, _CANVAS), looks.background)
    _draw_shoulders(picture, looks, dominance)
    head = Image.new("RGBA", (_CANVAS, _CANVAS), (*looks.skin, 0))
    _draw_head(head, looks, dominance, bearing.side, opening)
    angle = bearing.tilt + bearing.side * 9 * (1 - dominance)
    head = head.rotate(angle, Image.Resampling.BICUBIC, center=(_MIDDLE, _MIDDLE + 50))
    picture.paste(head, mask=head)
    left, top = ((_CANVAS / _SCALE - SIZE) / 2 - distance for distance in bearing.shift)
    box = [_SCALE * edge for edge in (left, top, left + SIZE, top + SIZE)]
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX, box))


def _draw_shoulders(picture, looks: Looks, dominance: float) -> None:
    """Draw shoulders: broad and level for dominance, narrow and sloping for submission."""
    from PIL import ImageDraw

    pen, x, width = ImageDraw.Draw(picture), _MIDDLE, 84 + 24 * dominance
    top, slope = _MIDDLE + 68 - 8 * dominance, 24 - 16 * dominance
    right = [(x + 20, top), (x + width, top + slope), (x + width, _CANVAS)]
    left = [(2 * x - across, down) for across, down in reversed(right)]
    pen.polygon([*right, *left], fill=looks.clothes)
    pen.rectangle((x - 16, _MIDDLE + 22, x + 16, top + 6), fill=_shade(looks.skin, 0.8))


def _draw_head(head, looks: Looks, dominance: float, side: int, opening: float) -> None:
    """Draw the head: raised, it shows the chin and little hair; bowed, the crown. The parts of the face move with it."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(head)
    wide, high = 50 * looks.size, 64 * looks.size
    x, y = _MIDDLE, _MIDDLE - 16 - 8 * dominance
    pen.ellipse((x - wide, y - high, x + wide, y + high), fill=looks.skin)
    crown = 48 - 28 * dominance  # degrees from the top to where the hair ends at either side
    pen.chord((x - wide - 3, y - high - 3, x + wide + 3, y + high + 3), 270 - crown, 270 + crown, fill=looks.hair)
    level = y - 22 * dominance * looks.size  # of the eyes
    lid, lowered = 5 + 3 * dominance, max(0.0, -dominance)
    for cheek in (-1, 1):
        eye = x + cheek * 21 * looks.size
        pen.ellipse((eye - 11, level - lid, eye + 11, level + lid), fill=_WHITE, outline=_DARK, width=2)
        pupil = eye + 5 * side * lowered, level + 2 * lowered
        pen.ellipse((pupil[0] - 5, pupil[1] - lid + 1, pupil[0] + 5, pupil[1] + lid - 1), fill=_DARK)
        inner, outer = level - 16 + 4 * dominance, level - 14
        pen.line((eye - cheek * 12, inner, eye + cheek * 13, outer), fill=looks.hair, width=6)
    pen.line((x, level, x - 4 * side, level + 20, x + 2 * side, level + 22), fill=_shade(looks.skin, 0.65), width=4)
    mouth, gape = level + 42, 2 + 9 * opening
    pen.ellipse((x - 17, mouth - gape, x + 17, mouth + gape), fill=_LIPS)
    if opening:
        pen.ellipse((x - 12, mouth - gape + 3, x + 12, mouth + gape - 3), fill=_DARK)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))


def _shade(colour: Colour, brightness: float) -> Colour:
    return tuple(round(brightness * part) for part in colour)
