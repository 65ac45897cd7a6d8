import io
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile
import soxr
from emofusion.processing import load_audio
from testing_media import encode, tone


def silent_video():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return buffer.getvalue()


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(), 16000, subtype="FLOAT")
    return path


def test_wav_is_read_exactly_from_every_form(wav):
    forms = [
        wav,
        str(wav),
        wav.read_bytes(),
        {"path": str(wav), "bytes": None},
        {"path": "elsewhere.wav", "bytes": wav.read_bytes()},
        {"array": tone(), "sampling_rate": 16000},
    ]
    for form in forms:
        waveform = load_audio(form, 16000)
        assert waveform.dtype == np.float32
        np.testing.assert_array_equal(waveform, tone())


@pytest.mark.parametrize("form", ["path", "array"])
def test_span_is_slice(wav, form):
    source = {"path": str(wav)} if form == "path" else {"array": tone(), "sampling_rate": 16000}
    expected = tone()[round(0.4 * 16000) : round(1.1 * 16000)]
    np.testing.assert_array_equal(load_audio(source, 16000, start=0.4, end=1.1), expected)
    np.testing.assert_array_equal(load_audio(source | {"start": 0.4, "end": 1.1}, 16000), expected)
    np.testing.assert_array_equal(load_audio(source, 16000, start=0.4), tone()[round(0.4 * 16000) :])


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("mp4", "aac", 16000), ("ipod", "aac", 16000), ("matroska", "libopus", 48000), ("avi", "pcm_s16le", 16000)],
)
def test_audio_of_video_containers_equals_wav(tmp_path, container, codec, rate):
    path = tmp_path / "clip"
    path.write_bytes(encode(tone(6, rate), container, codec, rate))
    whole = load_audio(path, rate)
    assert abs(len(whole) - 6 * rate) <= 0.1 * rate  # encoders pad their last frame
    assert np.corrcoef(whole[: 6 * rate], tone(6, rate))[0, 1] > 0.99
    first, last = round(3.3 * rate), round(4.1 * rate)
    span = load_audio(path, rate, start=3.3, end=4.1)
    assert len(span) == last - first
    slack = 0 if codec != "libopus" else rate // 1000  # Matroska rounds time stamps to milliseconds
    distances = [abs(span - whole[first + lag : last + lag]).max() for lag in range(-slack, slack + 1)]
    assert min(distances) < 1e-3


def test_stereo_is_averaged_then_resampled(tmp_path):
    left, right = tone(1, 44100), tone(1, 44100)[::-1]
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([left, right], axis=1), 44100, subtype="FLOAT")
    expected = soxr.resample((left + right) / 2, 44100, 16000, quality="HQ")
    waveform = load_audio(path, 16000)
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, expected, atol=1e-6)


def test_array_of_dict_is_resampled():
    expected = soxr.resample(tone(1, 44100), 44100, 16000, quality="HQ")
    np.testing.assert_array_equal(load_audio({"array": tone(1, 44100), "sampling_rate": 44100}, 16000), expected)


def test_span_may_end_slightly_after_file(wav):
    np.testing.assert_array_equal(load_audio(wav, 16000, start=1.0, end=2.01), tone()[16000:])


def wav_bytes(samples):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def first_half(file_format):
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(4), 16000, format=file_format)
    return buffer.getvalue()[: buffer.tell() // 2]


def half_mp4(index_first):
    options = {"movflags": "faststart"} if index_first else {}
    encoded = encode(tone(6), "mp4", "aac", container_options=options)
    return encoded[: len(encoded) // 2]


BAD_FILES = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"hello, this is no audio\n" * 50, "not an audio or video file"),
    "no samples": (lambda: wav_bytes(np.zeros(0)), "no samples"),
    "not finite": (lambda: wav_bytes(np.array([0.0, np.nan])), "not finite"),
    "no audio stream": (silent_video, "no audio stream"),
    "half a wav": (lambda: first_half("WAV"), "truncated"),
    "half a flac": (lambda: first_half("FLAC"), "truncated"),
    "half an mp3": (lambda: first_half("MP3"), "truncated"),
    "half an mp4": (lambda: half_mp4(index_first=False), "truncated"),
    "half an mp4 with its index": (lambda: half_mp4(index_first=True), "truncated"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_named_in_one_sentence(tmp_path, case):
    content, message = BAD_FILES[case]
    path = tmp_path / "bad.wav"
    path.write_bytes(content())
    with pytest.raises(ValueError, match=f"bad.wav.*{message}") as error:
        load_audio(path, 16000)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=f"the audio .*{message}"):
        load_audio(path.read_bytes(), 16000)


def test_playlists_open_no_other_files(wav, monkeypatch):
    monkeypatch.chdir(wav.parent)
    with pytest.raises(ValueError, match="not an audio or video file"):
        load_audio(f"ffconcat version 1.0\nfile {wav.name}\n".encode(), 16000)


@pytest.mark.parametrize("container", ["wav", "mp4"])
@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (1.0, 1.0, "0 <= start < end"),
        (1.5, 1.0, "0 <= start < end"),
        (-0.1, 1.0, "0 <= start < end"),
        (float("nan"), 1.0, "0 <= start < end"),
        (0.0, float("inf"), "0 <= start < end"),
        (1.0, 1.00001, "shorter than one sample"),
        (1.0, 2.5, "it is 2.* s long"),
        (3.0, None, "from 3.0 s to its end: it is 2.* s long"),
    ],
)
def test_span_outside_file_is_refused(tmp_path, container, start, end, message):
    path = tmp_path / f"clip.{container}"
    path.write_bytes(wav_bytes(tone()) if container == "wav" else encode(tone(), "mp4", "aac"))
    with pytest.raises(ValueError, match=f"clip.*{message}"):
        load_audio(path, 16000, start, end)


def test_missing_file_folder_and_other_types_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.wav does not exist"):
        load_audio(tmp_path / "gone.wav", 16000)
    with pytest.raises(ValueError, match="is a folder"):
        load_audio(tmp_path, 16000)
    with pytest.raises(TypeError, match=r"must be a path.*not int"):
        load_audio(3, 16000)
    with pytest.raises(TypeError, match=r"must be a path.*not NoneType"):
        load_audio({"file": "x.wav"}, 16000)
    with pytest.raises(ValueError, match="sampling_rate"):
        load_audio({"array": tone()}, 16000)


@pytest.mark.parametrize("package", ["soundfile", "av", "soxr"])
def test_missing_library_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    encoded = encode(tone(1, 44100), "mp4", "aac", 44100)
    with pytest.raises(ImportError, match=f"needs .*pip install {package}"):
        load_audio(encoded, 16000)


def test_importing_decoder_imports_no_large_library():
    heavy = {"torch", "transformers", "soundfile", "av", "soxr"}
    code = f"import sys, emofusion.processing.media; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
