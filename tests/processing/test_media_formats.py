"""Every format that recordings are found in: lengths, spans, limits, and files that are cut off, joined or extended."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from emofusion.processing.media import audio_seconds, check_audio, is_decoder, is_silent, load_audio
from emofusion.processing.media_packets import Packets
from testing_media import encode, flac_from_pipe, id3, mp3, tone, wav_from_pipe, write

RATE = 16000
SECONDS = 2.0

# Name -> (encoder, seconds that the encoder adds at most, what two recordings in one file give).
# "both" are read; or they are "refused". "cut" stands for formats whose end is that of the file.
FORMATS = {
    "wav": (lambda s: write(tone(s), "WAV"), 0, "refused"),
    "wav GSM 6.10": (lambda s: write(tone(s, 8000), "WAV", "GSM610", 8000), 0.05, "refused"),
    "wav IMA ADPCM": (lambda s: write(tone(s), "WAV", "IMA_ADPCM"), 0.1, "refused"),
    "wav MS ADPCM": (lambda s: write(tone(s), "WAV", "MS_ADPCM"), 0.1, "refused"),
    "wav G.722": (lambda s: encode(tone(s), "wav", "g722"), 0, "refused"),
    "wav mp3": (lambda s: encode(tone(s, 44100), "wav", "libmp3lame", 44100), 0.06, "refused"),
    "wav of unknown size": (lambda s: wav_from_pipe(s, 0xFFFFFFFF), 0, "cut"),
    "wav of size 0": (lambda s: wav_from_pipe(s, 0), 0, "cut"),
    "aiff": (lambda s: write(tone(s), "AIFF"), 0, "refused"),
    "caf": (lambda s: write(tone(s), "CAF"), 0, "refused"),
    "flac": (lambda s: write(tone(s), "FLAC"), 0, "refused"),
    "flac from a pipe": (flac_from_pipe, 0, "refused"),
    "flac in ogg": (lambda s: encode(tone(s), "ogg", "flac"), 0, "both"),
    "vorbis": (lambda s: write(tone(s), "OGG", "VORBIS"), 0, "both"),
    "opus": (lambda s: encode(tone(s, 48000), "ogg", "libopus", 48000), 0, "both"),
    "mp3": (lambda s: mp3(s), 0, "both"),
    "mp3 without frame count": (lambda s: mp3(s, xing=False), 0.06, "both"),
    "mp3 with Info in a title": (lambda s: id3(b"TIT2\0\0\0\x20\0\0\3Info and Xing" * 9) + mp3(s, RATE), 0, "both"),
    "mp3 with a picture": (lambda s: id3(b"\xff\xfb\x90\x44" * 50000) + mp3(s, xing=False), 0.06, "both"),
    "mp2": (lambda s: encode(tone(s, 44100), "mp2", "mp2", 44100), 0.03, "both"),
    "aac": (lambda s: encode(tone(s), "adts", "aac"), 0.13, "both"),
    "amr": (
        lambda s: encode(tone(s, 8000), "amr", "libopencore_amrnb", 8000, codec_options={"b": "12200"}),
        0.03,
        "both",
    ),
    "m4a": (lambda s: encode(tone(s), "ipod", "aac"), 0.07, "refused"),
    "m4a with its index first": (
        lambda s: encode(tone(s), "ipod", "aac", container_options={"movflags": "faststart"}),
        0.07,
        "refused",
    ),
    "m4a in fragments": (
        lambda s: encode(tone(s), "mp4", "aac", container_options={"movflags": "frag_keyframe+empty_moov"}),
        0.13,
        "refused",
    ),
    "wma": (
        lambda s: encode(tone(s, 44100), "asf", "wmav2", 44100, codec_options={"b": "64000"}),
        0.1,
        "refused",
    ),
    "webm": (lambda s: encode(tone(s, 48000), "webm", "libopus", 48000), 0.01, "both"),
    "webm of unknown size": (
        lambda s: encode(tone(s, 48000), "webm", "libopus", 48000, container_options={"live": "1"}),
        0.01,
        "both",
    ),
    "matroska": (lambda s: encode(tone(s), "matroska", "aac"), 0.07, "both"),
    "avi": (lambda s: encode(tone(s, 44100), "avi", "libmp3lame", 44100), 0.06, "refused"),
    "transport stream": (lambda s: encode(tone(s, 48000), "mpegts", "aac", 48000), 0.05, "both"),
}
SIZED = [name for name, (_, _, joined) in FORMATS.items() if joined != "cut"]  # all bytes of the others are samples
ENDLESS = {"webm of unknown size", "transport stream"}  # written while they are sent: any packet may be the last

# Libraries write their own notes on bad files.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def files():
    """Files by format, encoded once."""
    return {name: encoder(SECONDS) for name, (encoder, *_) in FORMATS.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_length_span_and_limit_agree_with_whole_recording(files, name):
    content, (_, added, _) = files[name], FORMATS[name]
    whole, stated = load_audio(content, RATE), audio_seconds(content)
    # The decoder of wma drops its first frame.
    assert -0.05 * (name == "wma") - 1e-3 <= len(whole) / RATE - SECONDS <= added + 1e-3
    assert stated == pytest.approx(len(whole) / RATE, abs=1e-3)
    checked, peak = check_audio(content)
    assert checked == pytest.approx(len(whole) / RATE, abs=1e-3)
    assert peak == pytest.approx(abs(whole).max(), rel=0.2)
    span = load_audio(content, RATE, 0.7, 1.3)
    assert len(span) == 0.6 * RATE
    np.testing.assert_array_equal(load_audio(content, RATE, 0.7, max_seconds=0.6), span)
    inside = slice(100, -100)  # resampling differs at the ends of a span
    tolerance = 0.03 if name in ("aac", "transport stream") else 0.005  # AAC fills some bands with noise
    np.testing.assert_allclose(span[inside], whole[round(0.7 * RATE) : round(1.3 * RATE)][inside], atol=tolerance)
    np.testing.assert_allclose(load_audio(content, RATE, max_seconds=0.5)[:-100], whole[: RATE // 2 - 100], atol=5e-4)
    np.testing.assert_array_equal(load_audio(content, RATE, max_seconds=60), whole)


@pytest.mark.parametrize(
    "name", ["mp3", "flac", "vorbis", "opus", "aac", "m4a", "m4a in fragments", "wma", "webm", "matroska", "avi"]
)
def test_late_span_is_that_of_whole_recording(name):
    content = FORMATS[name][0](14.0)
    whole, span = load_audio(content, RATE), load_audio(content, RATE, 12.1, 12.6)
    tolerance = 0.03 if name == "aac" else 0.005
    inside = slice(100, -100)
    np.testing.assert_allclose(span[inside], whole[round(12.1 * RATE) : round(12.6 * RATE)][inside], atol=tolerance)
    assert audio_seconds(content) == pytest.approx(len(whole) / RATE, abs=1e-3)


def test_file_whose_index_leads_nowhere_is_named(monkeypatch):
    monkeypatch.setattr(Packets, "seek", lambda *_: False)
    with pytest.raises(ValueError, match="is damaged: its index is wrong"):
        load_audio(FORMATS["m4a"][0](11.0), RATE, 10.5, 10.8)


@pytest.mark.parametrize("name", sorted(set(SIZED) - ENDLESS))
def test_truncated_recording_is_named(files, name):
    for share in (0.5, 0.8):
        with pytest.raises(ValueError, match=r"^the audio .*truncated") as error:
            load_audio(files[name][: int(share * len(files[name]))], RATE)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(ENDLESS))
def test_cut_off_stream_of_no_stated_length_ends_with_its_last_whole_packet(files, name):
    whole, half = load_audio(files[name], RATE), load_audio(files[name][: len(files[name]) // 2], RATE)
    assert 0.4 < len(half) / len(whole) < 0.6
    np.testing.assert_allclose(half[:-500], whole[: len(half) - 500], atol=1e-3)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"aac", "amr"}))  # their first frames are a recording
def test_first_bytes_alone_are_refused(files, name):
    for size in (1, 3, 4, 5, 8, 11, 13, 17, 27, 28, 41):
        for use in (load_audio, check_audio, audio_seconds):
            with pytest.raises(ValueError, match=r"^the audio .*(not an audio|truncated|no samples|no audio|lasts 0)"):
                use(*([files[name][:size], RATE] if use is load_audio else [files[name][:size]]))


@pytest.mark.parametrize("name", sorted(set(SIZED) - {"m4a", "mp3 with a picture"}))
def test_nothing_behind_limit_is_read(files, name):
    half = files[name][: len(files[name]) * 8 // 10]
    limited = load_audio(half, RATE, max_seconds=0.4)
    np.testing.assert_array_equal(limited, load_audio(files[name], RATE, max_seconds=0.4))


@pytest.mark.parametrize("name", sorted(set(SIZED) - {"amr"}))  # zeros are frames of AMR
@pytest.mark.parametrize("more", ["zeros", "text"])
def test_bytes_behind_last_frame_do_no_harm(files, name, more):
    extended = files[name] + (bytes(2000) if more == "zeros" else b"\x55 no audio" * 200)
    whole, read = load_audio(files[name], RATE), load_audio(extended, RATE)
    # FFmpeg keeps the padding of an MP3 file that is much larger than its header states.
    assert len(whole) <= len(read) <= len(whole) + 0.03 * RATE * (name == "mp3 with Info in a title")
    np.testing.assert_array_equal(read[: len(whole) - 500], whole[:-500])
    assert audio_seconds(extended) == pytest.approx(len(read) / RATE, abs=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_joined_recordings_are_read_whole_or_refused(files, name):
    content, joined = files[name], FORMATS[name][2]
    if joined == "both":
        one = len(load_audio(content, RATE))
        assert len(load_audio(content + content, RATE)) == pytest.approx(2 * one, abs=0.12 * RATE)
        late = load_audio(content + content, RATE, 2.9, 3.1)
        assert len(late) == 0.2 * RATE
        assert abs(late).max() > 0.2
    elif joined == "refused":
        with pytest.raises(ValueError, match=r"several recordings joined in one file.*: split the file"):
            load_audio(content + content, RATE)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda: mp3(1.0, 44100), lambda: mp3(1.0, 22050, channels=2)),
        (lambda: mp3(1.0, 16000, channels=2), lambda: mp3(1.0, 48000)),
        (
            lambda: encode(tone(1.0, 48000), "mpegts", "mp2", 48000),
            lambda: encode(tone(1.0, 44100), "mpegts", "mp2", 44100, channels=2),
        ),
    ],
    ids=["mp3 to a lower rate", "mp3 to a higher rate", "transport stream"],
)
def test_change_of_rate_or_channels_keeps_pitch_and_length(first, second):
    content = first() + second()
    waveform = load_audio(content, RATE)
    assert len(waveform) == pytest.approx(2 * RATE, abs=0.1 * RATE)
    for start in (0, len(waveform) - RATE):  # a tone of 200 to 500 Hz in both halves
        half = waveform[start : start + RATE]
        frequency = np.abs(np.fft.rfft(half)).argmax() * RATE / len(half)
        assert 180 < frequency < 520
    assert len(load_audio(content, RATE, 1.2, 1.6)) == 0.4 * RATE


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda: write(tone(1.0), "OGG", "VORBIS"), lambda: write(tone(1.0, 44100), "OGG", "VORBIS", 44100)),
        (
            lambda: encode(tone(1.0, 48000), "ogg", "libopus", 48000),
            lambda: encode(tone(1.0, 48000), "ogg", "libopus", 48000, channels=2),
        ),
    ],
    ids=["vorbis of another rate", "opus to stereo"],
)
def test_change_inside_ogg_is_refused(first, second):
    with pytest.raises(ValueError, match=r"several recordings joined in one file.*: split the file"):
        load_audio(first() + second(), RATE)


def test_tags_around_frames_are_skipped():
    frames = mp3(0.5)
    tags = id3(b"TXXX") + id3(b"\0" * 5000) + frames + b"APETAGEX" + bytes([0, 0, 0, 0, 40, 0, 0, 0] + [0] * 56)
    np.testing.assert_array_equal(load_audio(tags + b"TAG" + b"Info" * 31 + b"\0", RATE), load_audio(frames, RATE))


@pytest.mark.parametrize("mark", [b"ID3\x04", b"APETAGEX", b"APETAGEX" + bytes(24), b"TAG", b"\xff\xfb\x90\x44"])
def test_incomplete_tag_or_frame_ends_the_search(mark):
    frames = mp3(0.2, xing=False)
    if mark[:2] == b"\xff\xfb":
        with pytest.raises(ValueError, match="is truncated"):
            load_audio(frames + mark + bytes(9), RATE)
    else:
        np.testing.assert_array_equal(load_audio(frames + mark, RATE), load_audio(frames, RATE))
    with pytest.raises(ValueError, match="not an audio or video file"):
        load_audio(mark, RATE)


@pytest.mark.parametrize("name", ["flac", "opus"])
def test_tag_in_front_of_container_is_skipped(files, name):
    tagged = id3(b"Info") + id3(b"\xff\xfb\x90\x44" * 300) + files[name]
    np.testing.assert_array_equal(load_audio(tagged, RATE), load_audio(files[name], RATE))
    assert audio_seconds(tagged) == audio_seconds(files[name])


@pytest.mark.parametrize("name", FORMATS)
def test_span_behind_the_end_is_refused_with_the_length(files, name):
    with pytest.raises(ValueError, match=r"from 9\.0 s to 9\.5 s: it is [12]\.\d+ s long"):
        load_audio(files[name], RATE, 9.0, 9.5)
    with pytest.raises(ValueError, match=r"to 2\.5 s: it is [12]\.\d+ s long"):
        load_audio(files[name], RATE, 1.0, 2.5)


def test_missing_frames_of_mp3_are_noticed_by_their_count():
    frames = mp3(1.0, xing=True)
    later = [at for at in range(len(frames) * 3 // 4, len(frames)) if frames[at : at + 2] == b"\xff\xfb"]
    with pytest.raises(ValueError, match="is truncated"):
        load_audio(frames[: later[0]], RATE)


def test_bytes_between_frames_are_passed_over():
    frames = mp3(0.5, xing=False)
    content = frames + b"\x55 no audio" * 900 + frames
    assert len(load_audio(content, RATE)) == pytest.approx(2 * len(load_audio(frames, RATE)), abs=0.03 * RATE)
    assert audio_seconds(content) == pytest.approx(len(load_audio(content, RATE)) / RATE, abs=0.03)


def test_wav_with_far_more_data_than_stated_is_refused():
    with pytest.raises(ValueError, match="much more data than its header states"):
        load_audio(wav_from_pipe(1.0, 400), RATE)


def test_recording_that_resampling_leaves_empty_is_refused():
    with pytest.raises(ValueError, match="shorter than one sample at 16000 Hz"):
        load_audio(write(tone(1 / 48000, 48000), "WAV", rate=48000), RATE)
    with pytest.raises(ValueError, match="shorter than one sample at 16000 Hz"):
        load_audio({"array": np.ones(1, np.float32), "sampling_rate": 48000}, RATE)
    assert len(load_audio(write(tone(3 / 48000, 48000), "WAV", rate=48000), RATE)) == 1


def patch(content, at, value):
    return content[:at] + value + content[at + len(value) :]


@pytest.mark.parametrize("rate", [1, 999, 768001])
def test_sampling_rate_outside_limits_is_refused_before_decoding(rate):
    content = write(np.zeros(100, np.float32), "WAV", rate=rate)
    for use in (lambda: load_audio(content, RATE), lambda: audio_seconds(content), lambda: check_audio(content)):
        with pytest.raises(ValueError, match=rf"a sampling rate of {rate} Hz: it must be from 1000 to 768000 Hz"):
            use()
    with pytest.raises(ValueError, match="sampling rate of"):
        load_audio({"array": np.zeros(100, np.float32), "sampling_rate": rate}, RATE)
    with pytest.raises(ValueError, match="sampling rate of '16000' Hz"):
        load_audio({"array": np.zeros(100, np.float32), "sampling_rate": "16000"}, RATE)
    with pytest.raises(ValueError, match="The requested waveform has a sampling rate"):
        load_audio(write(tone(0.1), "WAV"), rate)


def test_recording_of_hours_in_small_file_is_refused_unless_cut():
    content = write(np.zeros(7300 * 1000, np.float32), "FLAC", rate=1000)
    assert len(content) < 30_000
    with pytest.raises(ValueError, match=r"longer than 2 hours, the longest waveform: give a span or max_seconds"):
        load_audio(content, RATE)
    assert len(load_audio(content, RATE, max_seconds=2)) == 2 * RATE
    assert len(load_audio(content, RATE, 7000, 7001)) == RATE
    assert check_audio(content) == (7300.0, 0.0)


def test_length_that_flac_states_is_not_believed():
    content = write(tone(1.0), "FLAC")
    claims = patch(content, 21, bytes([content[21] & 0xF0 | 15]) + b"\xff" * 4)  # 2**36 - 1 samples
    assert audio_seconds(claims) == 1.0
    assert len(load_audio(claims, RATE, max_seconds=0.5)) == RATE // 2
    with pytest.raises(ValueError, match="is truncated"):
        load_audio(claims, RATE)
    short = patch(content, 22, (4000).to_bytes(4, "big"))
    assert audio_seconds(short) == 1.0
    np.testing.assert_array_equal(load_audio(short, RATE), load_audio(content, RATE))


def test_unusable_limits_and_spans_are_refused():
    content = write(tone(0.5), "WAV")
    for limit in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="max_seconds must be positive"):
            load_audio(content, RATE, max_seconds=limit)
    with pytest.raises(TypeError, match="cannot be cut at '1'"):
        load_audio({"bytes": content, "start": "1"}, RATE)
    np.testing.assert_array_equal(load_audio(content, RATE, max_seconds=float("inf")), load_audio(content, RATE))


class Decoder:
    """Stands in for `AudioDecoder` of torchcodec, which `datasets.Audio` gives."""

    def __init__(self, channels):
        self.data = torch.from_numpy(np.stack(channels))
        self.metadata = SimpleNamespace(duration_seconds=self.data.shape[1] / RATE)

    def get_samples_played_in_range(self, start_seconds=0.0, stop_seconds=None):
        if start_seconds >= self.metadata.duration_seconds:
            raise RuntimeError("Invalid start seconds\nand more lines")
        last = None if stop_seconds is None else round(stop_seconds * RATE)
        return SimpleNamespace(data=self.data[:, round(start_seconds * RATE) : last], sample_rate=RATE)


def test_decoder_of_torchcodec_is_read():
    left, right = tone(1.0), tone(1.0)[::-1].copy()
    decoder, mean = Decoder([left, right]), (left + right) / 2
    assert is_decoder(decoder)
    assert audio_seconds(decoder) == 1.0
    np.testing.assert_allclose(load_audio(decoder, RATE), mean, atol=1e-7)
    np.testing.assert_allclose(load_audio(decoder, RATE, 0.25, 0.75), mean[RATE // 4 : RATE * 3 // 4], atol=1e-7)
    np.testing.assert_allclose(load_audio(decoder, RATE, max_seconds=0.5), mean[: RATE // 2], atol=1e-7)
    with pytest.raises(ValueError, match=r"it is 1\.000 s long"):
        load_audio(decoder, RATE, 0.0, 2.0)
    with pytest.raises(ValueError, match=r"cannot be decoded from 2\.0 s by torchcodec: Invalid start seconds$"):
        load_audio(decoder, RATE, 2.0)


def test_silence_is_below_80_decibels():
    assert is_silent(np.full(100, 0.9e-4, np.float32))
    assert is_silent(np.full(100, 0.2, np.float32))  # a constant offset
    assert not is_silent(np.array([0.2 + 1.1e-4, 0.2 - 1.1e-4], np.float32))
