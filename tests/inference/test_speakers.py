"""Segments of turns, and recordings with a speaker on each channel."""

import numpy as np
import pytest
from emofusion.inference.rttm import Turn
from emofusion.inference.speakers import plan_turns, recognise_speakers
from emofusion.processing.media import audio_channels, load_audio
from testing_media import encode, tone, write


def turn(start, end, speaker, channel=None):
    return Turn("call", start, end, speaker, channel)


def spans(segments):
    return [(segment["start"], segment["end"], segment["speaker"]) for segment in segments]


@pytest.fixture
def stereo():
    """A stereo file with another waveform on each channel, and the waveforms."""
    left, right = tone(2.0), -0.5 * tone(2.0)[::-1]
    return write(np.stack([left, right], axis=1), "WAV", "FLOAT"), (left, right)


def recognise(inputs, **options):
    """Answer as the pipeline does, with the loudest sample of each row as the score."""
    if isinstance(inputs, list):
        return [recognise(item, **options) for item in inputs]
    segments = inputs.get("segments") or [{"start": 0.0, "end": 1.0}, {"start": 1.0, "end": 2.0}]
    peaks = [np.abs(load_audio(inputs["audio"], 16000, one["start"], one["end"])).max() for one in segments]
    return [
        {**one, "scores": [{"label": "x", "score": float(peak)}]} for one, peak in zip(segments, peaks, strict=True)
    ]


def test_turns_of_a_speaker_are_joined_and_overlap_is_kept_for_both():
    turns = [turn(2, 4, "A"), turn(0, 2, "A"), turn(3, 6, "B"), turn(3.5, 3.8, "A")]
    assert spans(plan_turns(turns, 10.0)) == [(0, 4, "A"), (3, 6, "B")]
    assert spans(plan_turns(turns, 10.0, skip_overlap=True)) == [(0, 3, "A"), (4, 6, "B")]


def test_windows_stay_within_turns():
    segments = plan_turns([turn(1, 6, "A"), turn(6, 7, "B")], 10.0, 2.0, 1.5)
    assert spans(segments) == [(1, 3, "A"), (2.5, 4.5, "A"), (4, 6, "A"), (6, 7, "B")]
    with pytest.raises(ValueError, match="give it with window_seconds"):
        plan_turns([turn(1, 6, "A")], 10.0, None, 1.0)


def test_turns_end_with_the_recording(caplog):
    assert spans(plan_turns([turn(0, 2.04, "A")], 2.0)) == [(0, 2, "A")]
    assert not caplog.records
    assert spans(plan_turns([turn(0, 3, "A")], 2.0)) == [(0, 2, "A")]
    assert "ends at 3 s, and the recording lasts 2.000 s" in caplog.text
    with pytest.raises(ValueError, match=r"begins at 2 s, and the recording lasts 2\.000 s"):
        plan_turns([turn(2, 3, "A")], 2.0)


def test_very_short_turns_are_left_out_with_warning(caplog):
    assert spans(plan_turns([turn(0, 0.05, "A"), turn(1, 2, "A")], None)) == [(1, 2, "A")]
    assert "1 turns are shorter than 0.1 s" in caplog.text


def test_each_channel_is_a_speaker(stereo):
    content, waveforms = stereo
    rows = recognise_speakers(recognise, {"audio": content}, channels=["agent", "customer"])
    assert [(row["speaker"], row["channel"], row["start"]) for row in rows] == [
        *[("agent", 1, 0.0), ("customer", 2, 0.0), ("agent", 1, 1.0), ("customer", 2, 1.0)]
    ]
    for row in rows:
        own = waveforms[row["channel"] - 1][round(16000 * row["start"]) : round(16000 * row["end"])]
        assert row["scores"][0]["score"] == pytest.approx(np.abs(own).max())
    assert recognise_speakers(recognise, {"audio": content}, channels=True)[1]["speaker"] == "channel 2"


def test_turns_are_recognised_in_their_channel(stereo):
    content, waveforms = stereo
    turns = [turn(0, 1, "spk0", 1), turn(0.5, 1.5, "spk0", 2), turn(1.5, 2, "B", 2)]
    rows = recognise_speakers(recognise, {"audio": content}, turns, channels=True)
    assert [(row["speaker"], row["channel"]) for row in rows] == [
        *[("spk0, channel 1", 1), ("spk0, channel 2", 2), ("B", 2)]  # two people
    ]
    assert rows[1]["scores"][0]["score"] == pytest.approx(np.abs(waveforms[1][8000:24000]).max())
    averaged = recognise_speakers(recognise, {"audio": content}, turns)
    assert spans(averaged) == [(0, 1.5, "spk0"), (1.5, 2, "B")]
    assert "channel" not in averaged[0]
    for wrong in (None, 3):
        with pytest.raises(ValueError, match=f"states the channel {wrong or 'none'}.*channels 1 to 2"):
            recognise_speakers(recognise, {"audio": content}, [turn(0, 1, "A", wrong)], channels=True)


def test_recordings_without_such_channels_are_refused(stereo):
    with pytest.raises(ValueError, match="The recording has one channel"):
        recognise_speakers(recognise, {"audio": write(tone(), "WAV")}, channels=True)
    with pytest.raises(ValueError, match="give 2 different names, not agent"):
        recognise_speakers(recognise, {"audio": stereo[0]}, channels=["agent"])


@pytest.mark.parametrize("kind", ["FLAC", "mp4"])
def test_one_channel_is_decoded_in_every_reader(kind):
    left = tone()
    silent = np.zeros_like(left)
    if kind == "FLAC":
        content = write(np.stack([left, silent], axis=1), kind)
        assert np.abs(load_audio({"bytes": content, "channel": 2}, 16000)).max() == 0
        assert np.abs(load_audio({"bytes": content, "channel": 1, "start": 0.5}, 16000) - left[8000:]).max() < 1e-4
        assert np.abs(load_audio(content, 16000) - left / 2).max() < 1e-4
    else:
        content = encode(left, "mp4", "aac", channels=2)
        one, two = (load_audio({"bytes": content, "channel": channel}, 16000) for channel in (1, 2))
        assert np.abs(one - two).max() > 0.01  # the encoder differs
        assert np.abs(load_audio(content, 16000) - (one + two) / 2).max() < 1e-6
    assert audio_channels(content) == 2
    for channel, reason in ((3, "no channel 3: its channels are 1 to 2"), (0, "whole number from 1"), ("1", "whole")):
        with pytest.raises(ValueError, match=reason):
            load_audio({"bytes": content, "channel": channel}, 16000)
