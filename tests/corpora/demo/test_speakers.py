import itertools

import pytest
import soundfile
from emofusion.corpora.demo import spoken
from emofusion.corpora.demo.speakers import TRIALS, VOICES, make_speakers


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_speakers(tmp_path_factory.mktemp("speakers"), recordings=4)


def test_evaluation_voices_are_not_used():
    measured = {voice for split, voices in spoken.SESSIONS if split != "train" for voice in voices}
    assert not measured & {f"en-us+{voice}" for voice in VOICES}
    assert len(set(VOICES)) == len(VOICES)


def test_tree_has_layout_of_voxceleb(tree):
    files = sorted(tree.glob("id*/video*/*.wav"))
    assert len(files) == 4 * len(VOICES)
    assert str(files[0].relative_to(tree)) == "id10001/video1/00001.wav"
    info = soundfile.info(files[0])
    assert (info.samplerate, info.channels) == (16000, 1)
    assert 0.5 < info.duration < 6


def test_trials_share_no_voice_and_compare_videos(tree):
    named = {}
    for split, file in TRIALS.items():
        trials = [line.split() for line in (tree / file).read_text().splitlines()]
        labels = [label for label, _, _ in trials]
        assert labels.count("1") == labels.count("0") > 0
        for label, first, second in trials:
            assert (tree / first).is_file()
            assert (tree / second).is_file()
            assert (first.split("/")[0] == second.split("/")[0]) == (label == "1")
            assert first.split("/")[1] != second.split("/")[1]
        named[split] = {path.split("/")[0] for _, *paths in trials for path in paths}
    assert not named["validation"] & named["test"]


def test_existing_tree_is_kept(tree, tmp_path):
    made = (tree / "README.md").stat().st_mtime_ns
    assert make_speakers(tree.parent, recordings=4) == tree
    assert (tree / "README.md").stat().st_mtime_ns == made
    again = make_speakers(tmp_path, recordings=4)
    for file in itertools.islice(sorted(tree.glob("id*/*/*.wav")), 0, None, 17):
        assert (again / file.relative_to(tree)).read_bytes() == file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [tree.name]


def test_invalid_number_of_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="multiple of 4, not 6"):
        make_speakers(tmp_path, recordings=6)
