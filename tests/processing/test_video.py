import io
import struct
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from emofusion.processing import face_crop, load_video
from emofusion.processing import video as module
from emofusion.processing.video import count_frames, video_seconds

RATE = 25
CONTAINERS = {
    "mp4": ("mp4", "libx264", {}),
    "mp4 with B-frames": ("mp4", "libx264", {"bf": "3", "g": "20"}),
    "avi": ("avi", "mpeg4", {"g": "12"}),
    "avi with B-frames": ("avi", "mpeg4", {"bf": "2", "g": "12"}),
    "matroska": ("matroska", "libx264", {"g": "30"}),
    "webm": ("webm", "libvpx-vp9", {"g": "30"}),
    "transport stream": ("mpegts", "mpeg2video", {"bf": "2", "g": "12"}),
    "flv": ("flv", "flv", {"g": "12"}),
}


def encode(container="mp4", codec="libx264", options=None, frames=range(100), size=(48, 64), container_options=None):
    """Return a video file whose frame `k` is grey `2 * k` on the left half and `255 - 2 * k` on the right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoded"
        with av.open(path, "w", format=container, options=container_options or {}) as file:
            stream = file.add_stream(codec, rate=RATE, options=options or {})
            stream.height, stream.width = size
            stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
            for number in frames:
                image = np.full((*size, 3), 2 * number, np.uint8)
                image[:, size[1] // 2 :] = 255 - 2 * number
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return path.read_bytes()


def numbers(video):
    """Return the numbers of the frames."""
    return video[:, :, : video.shape[2] // 2].mean(axis=(1, 2, 3)) / 2


@pytest.fixture(scope="module")
def mp4():
    return encode()


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize(("start", "end"), [(None, None), (0.11, 1.3), (2.03, 3.5), (3.63, 4.0)])
def test_frames_are_those_visible_at_evenly_spaced_times(name, start, end):
    first, last = start or 0.0, end or 4.0
    times = [first + (k + 0.5) / 5 for k in range(count_frames(last - first, 5))]
    video = load_video(encode(*CONTAINERS[name]), 5, start, end)
    assert video.dtype == np.uint8
    assert video.shape == (len(times), 48, 64, 3)
    slack = 2.1 if name == "avi with B-frames" else 1.1  # AVI counts frames in decoding order
    np.testing.assert_allclose(numbers(video), [int(time * RATE) for time in times], atol=slack)


def test_every_form_of_video_gives_same_frames(tmp_path, mp4):
    path = tmp_path / "video.mp4"
    path.write_bytes(mp4)
    forms = [path, str(path), mp4, {"path": str(path)}, {"path": "elsewhere.mp4", "bytes": mp4}]
    for form in forms:
        np.testing.assert_array_equal(load_video(form, 2), load_video(mp4, 2))


def test_span_and_crop_of_dict_are_read(mp4):
    row = {"bytes": mp4, "start": 1.0, "end": 3.0, "crop": "right"}
    np.testing.assert_array_equal(load_video(row, 4), load_video(mp4, 4, 1.0, 3.0)[:, :, 32:])
    np.testing.assert_array_equal(load_video(row | {"crop": "left"}, 4), load_video(mp4, 4, 1.0, 3.0)[:, :, :32])
    np.testing.assert_array_equal(load_video(row, 4, end=2.0, crop="left"), load_video(mp4, 4, 1.0, 2.0)[:, :, :32])


def test_video_is_cut_at_max_seconds(mp4):
    np.testing.assert_array_equal(load_video(mp4, 3, 0.5, max_seconds=1.5), load_video(mp4, 3, 0.5, 2.0))
    np.testing.assert_array_equal(load_video(mp4, 3, max_seconds=60), load_video(mp4, 3))


def test_video_is_not_decoded_beyond_max_seconds(mp4):
    np.testing.assert_array_equal(
        load_video(half_mp4(index_first=True), 5, max_seconds=0.4), load_video(mp4, 5, 0, 0.4)
    )


@pytest.mark.parametrize("name", CONTAINERS)
def test_length_ends_bytes_behind_and_joining_are_handled_in_every_format(name):
    content = encode(*CONTAINERS[name])
    assert video_seconds(content) == pytest.approx(4.0, abs=0.05)
    np.testing.assert_array_equal(load_video(content + bytes(2000), 2), load_video(content, 2))
    np.testing.assert_array_equal(load_video(content + b"\x55 no video" * 200, 2), load_video(content, 2))
    half = content[: len(content) * 6 // 10]
    if name == "transport stream":  # written while it is sent: any packet may be the last
        assert len(load_video(half, 2)) < 8
    else:
        with pytest.raises(ValueError, match="truncated"):
            load_video(half, 2)
    with pytest.raises(ValueError, match="several recordings joined"):
        load_video(content + content, 2)


def test_large_frames_are_scaled_down_while_decoded(monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 32 * 32)
    video = load_video(encode(frames=range(0, 100, 20), size=(64, 128)), 5)
    assert video.shape[1:] == (22, 45, 3)
    assert numbers(video[-1:, :, :20]) == pytest.approx([60], abs=3)


def test_limits_of_pixels_bytes_and_frame_rate(mp4, monkeypatch):
    with pytest.raises(ValueError, match=r"cannot be sampled at 0\.0 frames per second"):
        load_video(mp4, 0.0)
    monkeypatch.setattr(module, "MAX_BYTES", 48 * 64 * 3 * 10)
    assert len(load_video(mp4, 5, max_seconds=2.0)) == 10
    with pytest.raises(ValueError, match=r"too many frames: 11 take .*; give a span, max_seconds or fewer"):
        load_video(mp4, 5)
    with pytest.raises(ValueError, match="too many frames"):
        load_video(mp4, 1e9)
    monkeypatch.setattr(module, "LARGEST_FRAME", 3071)
    with pytest.raises(ValueError, match=r"frames of 64 x 48 pixels, more than 3071: make it smaller"):
        load_video(mp4, 5)


@pytest.mark.parametrize(("start", "end", "number"), [(1.0, 1.04, 25), (2.0, 2.2, 54), (3.97, None, 99)])
def test_span_too_short_for_frame_rate_has_one_frame(mp4, start, end, number):
    assert numbers(load_video(mp4, 2, start, end)) == pytest.approx([number], abs=1.1)


def test_frame_rate_above_videos_repeats_frames(mp4):
    video = load_video(mp4, 100, 1.0, 1.2)
    np.testing.assert_allclose(numbers(video), np.repeat(range(25, 30), 4), atol=1.1)


def test_span_may_end_slightly_after_video(mp4):
    np.testing.assert_array_equal(load_video(mp4, 5, 2.0, 4.08), load_video(mp4, 5, 2.0))


def test_rotated_video_is_turned_upright():
    turned = bytearray(encode(frames=range(5)))
    at = turned.index(b"tkhd") + 44  # the matrix of a track header of version 0
    turned[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    video = load_video(bytes(turned), RATE)
    assert video.shape == (5, 64, 48, 3)
    assert video[1, :30].mean() < 20 < 220 < video[1, 34:].mean()  # a quarter turn clockwise: the left half is above


def half_mp4(index_first):
    encoded = encode(container_options={"movflags": "faststart"} if index_first else {})
    return encoded[: len(encoded) * 6 // 10]


def sound_alone():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as file:
        stream = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        file.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


BAD_FILES = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"hello, this is no video\n" * 50, "not an audio or video file"),
    "sound": (sound_alone, "has no video stream"),
    "half an mp4": (lambda: half_mp4(index_first=False), "truncated"),
    "half an mp4 with its index": (lambda: half_mp4(index_first=True), "truncated"),
    "two sizes": (
        lambda: (
            encode("mpegts", "mpeg2video", frames=range(20))
            + encode("mpegts", "mpeg2video", frames=range(20, 40), size=(64, 96))
        ),
        "has frames of different sizes",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_named_in_one_sentence(tmp_path, case):
    content, message = BAD_FILES[case]
    path = tmp_path / "bad.mp4"
    path.write_bytes(content())
    with pytest.raises(ValueError, match=rf"bad\.mp4.*{message}") as error:
        load_video(path, 5)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=f"the video .*{message}"):
        load_video(path.read_bytes(), 5)


def test_playlists_open_no_other_files(tmp_path, mp4, monkeypatch):
    (tmp_path / "video.mp4").write_bytes(mp4)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="not an audio or video file"):
        load_video(b"ffconcat version 1.0\nfile video.mp4\n", 5)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (1.0, 1.0, "0 <= start < end"),
        (-0.1, 1.0, "0 <= start < end"),
        (float("nan"), 1.0, "0 <= start < end"),
        (0.0, float("inf"), "0 <= start < end"),
        (1.0, 4.5, r"from 1.0 s to 4.5 s: it is 4.000 s long"),
        (5.0, None, r"from 5.0 s to its end: it is 4.000 s long"),
    ],
)
def test_span_outside_video_is_refused(mp4, start, end, message):
    with pytest.raises(ValueError, match=message):
        load_video(mp4, 5, start, end)


def test_other_sources_and_crops_are_refused(tmp_path, mp4):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4 does not exist"):
        load_video(tmp_path / "gone.mp4", 5)
    with pytest.raises(ValueError, match="is a folder"):
        load_video(tmp_path, 5)
    with pytest.raises(TypeError, match=r"the video must be a path.*not int"):
        load_video(3, 5)
    with pytest.raises(TypeError, match=r"must be a path.*not NoneType"):
        load_video({"start": 0.0}, 5)
    with pytest.raises(
        ValueError, match=r"cropped to 'top': choose left, right, face, left face, right face, or None"
    ):
        load_video(mp4, 5, crop="top")


def test_missing_library_is_named(mp4, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"needs .*pip install av"):
        load_video(mp4, 5)


def test_face_is_the_same_part_of_all_frames(mp4, monkeypatch):
    found = iter([[(10, 4, 8), (0, 0, 4)], [], [(12, 4, 8)]] + 20 * [[(11, 4, 8)]])
    monkeypatch.setattr(face_crop, "find_faces", lambda frame: next(found))
    whole, right = load_video(mp4, 4, 0.0, 2.0), load_video(mp4, 4, 0.0, 2.0, crop="right")
    np.testing.assert_array_equal(load_video(mp4, 4, 0.0, 2.0, crop="face"), whole[:, 9:21, 2:14])
    np.testing.assert_array_equal(load_video(mp4, 4, 0.0, 2.0, crop="right face"), right[:, 9:21, 2:14])
    monkeypatch.setattr(face_crop, "find_faces", lambda frame: [])
    np.testing.assert_array_equal(load_video(mp4, 4, 0.0, 2.0, crop="right face"), right)


def test_missing_detector_is_named(mp4, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    face_crop._cascade.cache_clear()
    with pytest.raises(ImportError, match=r"needs scikit-image: pip install 'emofusion\[faces\]'"):
        load_video(mp4, 4, crop="face")


def test_frontal_face_is_found():
    data = pytest.importorskip("skimage.data")
    face_crop._cascade.cache_clear()
    picture = data.astronaut()[np.newaxis]
    cropped = face_crop.crop_to_face(np.concatenate([picture, picture]))
    assert cropped.shape[0] == 2
    assert 100 < cropped.shape[1] < 200  # her face is about 100 of 512 pixels wide
