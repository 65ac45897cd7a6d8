"""Crop of video frames to a face, found by the cascade for frontal faces that scikit-image brings (ours)."""

from functools import cache
from typing import Any

import numpy as np

# Shorter side, in pixels, that frames are reduced to for the search; a face is at least an eighth of it.
SEARCHED = 360
SMALLEST = 8
MARGIN = 0.25  # of the size of the face, on each side


def crop_to_face(frames: np.ndarray) -> np.ndarray:
    """Return the same part of all frames, around the face; frames without a face are returned whole.

    The largest face of each frame counts, and the median of their places.

    Args:
        frames: `(frames, height, width, 3)`, RGB, uint8.

    Raises:
        ImportError: If scikit-image is not installed.
    """
    height, width = frames.shape[1:3]
    step = max(1, min(height, width) // SEARCHED)
    boxes = [max(found, key=lambda box: box[2]) for frame in frames if (found := find_faces(frame[::step, ::step]))]
    if not boxes:
        return frames
    top, left, size = step * np.median(boxes, axis=0)
    rows, columns = (
        slice(max(0, round(start - MARGIN * size)), min(most, round(start + (1 + MARGIN) * size)))
        for start, most in ((top, height), (left, width))
    )
    return frames[:, rows, columns]


def find_faces(frame: np.ndarray) -> list[tuple[int, int, int]]:
    """Return top, left and size of each square with a frontal face.

    Args:
        frame: `(height, width, 3)`, RGB, uint8.
    """
    most = min(frame.shape[:2])
    least = max(1, most // SMALLEST)
    found = _cascade().detect_multi_scale(
        np.ascontiguousarray(frame), scale_factor=1.2, step_ratio=1, min_size=(least, least), max_size=(most, most)
    )
    return [(box["r"], box["c"], box["width"]) for box in found]


@cache
def _cascade() -> Any:
    try:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade
    except ImportError as error:
        raise ImportError("A crop to the face needs scikit-image: pip install 'emofusion[faces]'.") from error
    return Cascade(lbp_frontal_face_cascade_filename())
