import random

import numpy as np
import pytest
import soundfile
import torch
from emofusion.training.speaker.recordings import (
    SpeakerRecordings,
    crop,
    draw_trials,
    read_tree,
    read_trials,
    speakers_of,
    split_recordings,
)

RATE = 16000


@pytest.fixture
def tree(tmp_path):
    """Three speakers with two videos of two recordings; each sample of a recording is the recording's number."""
    root = tmp_path / "tree"
    for speaker in range(3):
        for video in range(2):
            folder = root / f"id1000{speaker}" / f"video{video}"
            folder.mkdir(parents=True)
            for number in range(2):
                value = (4 * speaker + 2 * video + number) / 100
                soundfile.write(folder / f"0000{number}.wav", np.full(RATE // 2, value), RATE, subtype="FLOAT")
    (root / "id10000" / "video0" / "notes.txt").write_text("no recording")
    (root / "list.wav").write_text("not in its place")
    return root


def test_the_tree_is_read_in_order(tree):
    speakers = read_tree(tree)
    assert list(speakers) == ["id10000", "id10001", "id10002"]
    assert speakers["id10001"] == [f"id10001/video{video}/0000{number}.wav" for video in (0, 1) for number in (0, 1)]


def test_a_folder_without_recordings_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} has no recordings"):
        read_tree(tmp_path)


def write_trials(tree, *lines):
    file = tree.parent / "trials.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


FIRST, SECOND, OTHER = "id10000/video0/00000.wav", "id10000/video1/00001.wav", "id10002/video0/00000.wav"


def test_trials_are_read(tree):
    trials = read_trials(write_trials(tree, f"1 {FIRST} {SECOND}", "", f"0 {FIRST} {OTHER}"), tree)
    assert trials == [(True, FIRST, SECOND), (False, FIRST, OTHER)]
    assert speakers_of(trials) == {"id10000", "id10002"}


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        (f"2 {FIRST} {SECOND}", ValueError, r"trials.txt, line 2: '2 .*' is not '0 path path'"),
        (f"1 {FIRST}", ValueError, "trials.txt, line 2: .* is not"),
        (f"1 {FIRST} ../secret.wav", ValueError, "trials.txt, line 2: ../secret.wav leads out of"),
        (f"1 {FIRST} id10000/../../secret.wav", ValueError, "line 2: .* leads out of"),
        (f"1 {FIRST} /etc/passwd", ValueError, "line 2: /etc/passwd leads out of"),
        (f"1 {FIRST} ..\\secret.wav", ValueError, "line 2: .* leads out of"),
        (f"1 {FIRST} C:/secret.wav", ValueError, "line 2: C:/secret.wav leads out of"),
        (f"1 {FIRST} id10000/video0/9.wav", FileNotFoundError, "line 2: .*9.wav does not exist"),
    ],
)
def test_a_bad_line_is_named(tree, line, error, message):
    (tree.parent / "secret.wav").write_text("secret")
    with pytest.raises(error, match=message) as caught:
        read_trials(write_trials(tree, f"0 {FIRST} {OTHER}", line), tree)
    assert "\n" not in str(caught.value)


def test_links_in_the_tree_are_followed(tree):
    speaker = tree / "id10002"
    speaker.symlink_to(speaker.rename(tree.parent / "another_disk"))
    assert len(read_trials(write_trials(tree, f"0 {FIRST} {OTHER}", f"1 {FIRST} {SECOND}"), tree)) == 2


def test_a_list_must_exist_and_have_both_kinds_of_trials(tree):
    with pytest.raises(ValueError, match=r"of one speaker .1. and of two .0."):
        read_trials(write_trials(tree, f"1 {FIRST} {SECOND}"), tree)
    with pytest.raises(FileNotFoundError, match=r"no trial list .*nowhere.txt"):
        read_trials(tree / "nowhere.txt", tree)


def test_every_speaker_is_in_both_splits_and_no_recording_is(tree):
    speakers = read_tree(tree)
    training, held_out = split_recordings(speakers, 0.05, seed=1)
    assert sorted(training + held_out) == sorted(
        (file, number) for number, files in enumerate(speakers.values()) for file in files
    )
    assert [number for _, number in held_out] == [0, 1, 2]
    assert split_recordings(speakers, 0.05, seed=1) == (training, held_out)
    assert split_recordings(speakers, 0.05, seed=2) != (training, held_out)
    assert split_recordings(speakers, 0.0, seed=1)[1] == []
    assert split_recordings({"a": ["one.wav"]}, 0.9, seed=1) == ([("one.wav", 0)], [])


def test_a_crop_is_a_segment_and_short_recordings_are_repeated():
    waveform = np.arange(10, dtype=np.float32)
    assert crop(waveform, 4, 0.0).tolist() == [0, 1, 2, 3]
    assert crop(waveform, 4, 0.5).tolist() == [3, 4, 5, 6]
    assert crop(waveform, 4, 1.0).tolist() == [6, 7, 8, 9]
    assert crop(waveform[:3], 7, 0.0).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_rows_are_crops_of_the_right_recording(tree):
    recordings = [("id10001/video1/00000.wav", 1), ("id10002/video0/00001.wav", 2)]
    fixed = SpeakerRecordings(tree, recordings, (0.1, 0.2), RATE, at_random=False)
    assert len(fixed) == 2
    row = fixed[1]
    assert (row["label"], row["audio"]["sampling_rate"]) == (2, RATE)
    np.testing.assert_allclose(row["audio"]["array"], np.full(3200, 0.09), atol=1e-6)
    torch.manual_seed(0)
    drawn = SpeakerRecordings(tree, recordings, (0.1, 0.2), RATE)
    lengths = {len(drawn[0]["audio"]["array"]) for _ in range(50)}
    assert 1600 <= min(lengths) < 1800
    assert 3000 < max(lengths) <= 3200
    assert len(lengths) > 30


def test_a_voice_at_another_speed_is_another_speaker(tree):
    recordings = [("id10001/video1/00000.wav", 1), ("id10002/video0/00001.wav", 2)]
    rows = SpeakerRecordings(tree, recordings, (0.1, 0.1), RATE, at_random=False, speeds=(1.0, 0.9, 1.1), speakers=3)
    assert [row["label"] for row in map(rows.__getitem__, range(len(rows)))] == [1, 2, 4, 5, 7, 8]
    assert len({rows[number]["id"] for number in (0, 2, 4)}) == 3
    assert {len(rows[number]["audio"]["array"]) for number in range(6)} == {1600}


def test_speed_changes_the_pitch(tmp_path):
    (tmp_path / "id1" / "video").mkdir(parents=True)
    tone = 0.1 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    soundfile.write(tmp_path / "id1" / "video" / "0.wav", tone, RATE, subtype="FLOAT")
    rows = SpeakerRecordings(tmp_path, [("id1/video/0.wav", 0)], (0.5, 0.5), RATE, speeds=(1.0, 0.8), speakers=1)
    peaks = [2 * int(np.abs(np.fft.rfft(rows[number]["audio"]["array"])).argmax()) for number in range(2)]
    assert peaks == [500, 400]


def test_drawn_trials_compare_a_speaker_with_itself_and_others(tree):
    speakers = read_tree(tree)
    trials = draw_trials(speakers, random.Random(0))
    assert len(trials) == 2 * sum(map(len, speakers.values()))
    for trial in trials:
        (one, first), (two, second) = (path.split("/")[:2] for path in (trial.first, trial.second))
        assert (one == two) == trial.same
        assert not trial.same or first != second  # another video
    assert trials == draw_trials(speakers, random.Random(0))
    with pytest.raises(ValueError, match="No speaker who is held out has two recordings"):
        draw_trials({"a": ["a/v/1.wav"], "b": ["b/v/1.wav"]}, random.Random(0))
