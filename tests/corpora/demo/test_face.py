"""The drawn face, and the spoken corpus with video."""

import hashlib
import io
import itertools
import json
import random
import shutil
from collections import Counter, defaultdict

import av
import numpy as np
import pytest
import soundfile
from emofusion.corpora import describe_corpus, load_corpus
from emofusion.corpora.demo import face, spoken
from emofusion.corpora.demo.corpus import VERSION
from emofusion.corpora.folds import check_speaker_independent
from emofusion.corpora.schema import features
from emofusion.processing import load_video
from sklearn.neighbors import NearestCentroid

SIZE = 208
LABELS = ("exuberant", "dependent", "relaxed", "docile", "hostile", "anxious", "disdainful", "bored")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("faces")


@pytest.fixture(scope="module")
def corpus(root):
    return load_corpus("spoken", root, utterances=SIZE, video=True)


def lookup_accuracy(keys, labels):
    """Return the best accuracy of a model that sees only the key: the share of the most frequent label per key."""
    counts = defaultdict(Counter)
    for key, label in zip(keys, labels, strict=True):
        counts[key][label] += 1
    return sum(max(labels.values()) for labels in counts.values()) / len(labels)


def portrait(seed, dominance):
    rng = random.Random(seed)
    return face.random_looks(rng), face.random_bearing(dominance, rng)


def test_rows_are_in_schema_with_video_and_octants(corpus):
    assert {split: len(rows) for split, rows in corpus.items()} == {"train": 144, "validation": 32, "test": 32}
    check_speaker_independent(corpus)
    for rows in corpus.values():
        assert rows.features == features(LABELS)
        assert set(Counter(rows["label"]).values()) == {len(rows) // 8}
        for video in rows["video"]:
            assert video["end"] - video["start"] == pytest.approx(1)  # the whole length would reveal arousal
            assert video["crop"] is None
            assert len(load_video(video, 2.0)) == 2


def test_octant_follows_signs_of_dimensions(corpus):
    signs = itertools.product("+-", repeat=3)
    octants = dict(zip(LABELS, signs, strict=True))
    for rows in corpus.values():
        for label, vad in zip(rows["label"], rows["vad"], strict=True):
            assert octants[LABELS[label]] == tuple("+" if value > 3 else "-" for value in vad.values())


@pytest.mark.parametrize(("known", "most"), [(1, 1 / 4), (2, 1 / 2), (3, 1)])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_missing_modality_halves_best_accuracy(split, known, most):
    turns = [turn for turn in spoken.make_turns(SIZE, 0, video=True) if turn.row["split"] == split]
    labels = [turn.row["label"] for turn in turns]
    prompts = [turn.prompt for turn in turns]
    signs = {
        "text": [prompt.text for prompt in prompts],
        "manner": [(p.voice, p.rate, p.pitch, p.pitch_range, p.volume) for p in prompts],
        "face": [turn.portrait for turn in turns],
    }
    for names in itertools.combinations(signs, known):
        assert lookup_accuracy(zip(*(signs[name] for name in names), strict=True), labels) == most
    assert lookup_accuracy([turn.row["speaker"] for turn in turns], labels) == 1 / 8


def test_every_speaker_has_different_looks():
    looks = defaultdict(set)
    for row, _, (own, _) in spoken.make_turns(SIZE, 0, video=True):
        looks[row["speaker"]].add(own)
    assert all(len(own) == 1 for own in looks.values())
    assert len(set.union(*looks.values())) == len(looks) == 26


def test_videos_last_as_long_as_recordings(corpus):
    for row in corpus["test"]:
        video = load_video(row["video"]["path"], face.FRAME_RATE)
        seconds = soundfile.info(row["audio"]["path"]).duration
        assert video.shape[1:] == (64, 64, 3)
        assert 0 <= len(video) / face.FRAME_RATE - seconds < 1 / face.FRAME_RATE
        above_the_mouth = video[:, :24].astype(float)
        assert abs(above_the_mouth - above_the_mouth[0]).mean() < 3
        assert video.std(axis=0).max() > 10  # the mouth moves


def test_seed_determines_faces(root, corpus, tmp_path, monkeypatch):
    """All sentences, voices and looks are drawn again; of the videos, which take most of the time, every eighth."""
    (before,) = root.iterdir()
    write, written = face.write_video, []

    def write_some(path, *arguments):
        written.append(path)
        if len(written) % 8 == 1:
            write(path, *arguments)
        else:
            shutil.copy(before / "video" / path.name, path)

    monkeypatch.setattr(face, "write_video", write_some)
    face.draw.cache_clear()
    load_corpus("spoken", tmp_path, utterances=SIZE, video=True)
    contents = []
    for (folder,) in (root.iterdir(), tmp_path.iterdir()):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2 * SIZE + 2
    first, other = (next(spoken.make_turns(SIZE, seed, video=True)).portrait for seed in (0, 1))
    assert first != other


def test_readme_describes_face(root, corpus):
    (folder,) = root.iterdir()
    page = (folder / "README.md").read_text()
    assert "seed=0, video=True" in page
    assert all(label in page for label in LABELS)
    assert "Raised head" in page
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert all((folder / row["video_file_name"]).is_file() for row in rows)


def test_without_video_folder_name_has_no_video_option(tmp_path):
    rows = load_corpus("spoken", tmp_path, utterances=104, seed=2)["test"]
    (folder,) = tmp_path.iterdir()
    options = json.dumps({"version": VERSION, "utterances": 104, "seed": 2})
    assert folder.name == f"spoken-{hashlib.sha256(options.encode()).hexdigest()[:12]}"
    assert set(rows["video"]) == {None}
    assert not (folder / "video").exists()


def test_results_are_shown_under_another_title():
    titles = {describe_corpus("spoken", utterances=SIZE, video=video)["title"] for video in (True, False)}
    assert titles == {"the spoken demonstration corpus", "the spoken demonstration corpus with faces"}


@pytest.mark.parametrize("utterances", [104, 312, 0])
def test_size_that_cannot_be_balanced_is_refused(utterances, tmp_path):
    with pytest.raises(ValueError, match="utterances must be a positive multiple of 208"):
        load_corpus("spoken", tmp_path, utterances=utterances, video=True)


def test_one_frame_shows_dominance():
    rng = random.Random(0)
    pictures, dominances = [], []
    for seed in range(120):
        dominances.append(rng.uniform(*spoken.EXTREMES["high" if seed % 2 else "low"]))
        pictures.append(face.draw(*portrait(seed, dominances[-1]), rng.choice((0, 0.4, 1))).ravel() / 255)
    is_dominant = np.array(dominances) > 3
    reader = NearestCentroid().fit(pictures[:80], is_dominant[:80])
    assert reader.score(pictures[80:], is_dominant[80:]) > 0.95


def test_only_mouth_depends_on_speech():
    for dominance in (1.4, 4.6):
        closed, opened = (face.draw(*portrait(3, dominance), opening).astype(int) for opening in (0.0, 1.0))
        rows, columns = np.nonzero(abs(opened - closed).max(axis=-1))
        assert 20 < len(rows) < 200  # of 4096 pixels
        assert np.ptp(rows) < 14
        assert np.ptp(columns) < 14


def test_mouth_follows_relative_loudness():
    ramp = np.concatenate([np.zeros(1600), np.full(1600, 0.05), np.full(1600, -0.1), np.full(400, 0.1)])
    assert face.mouth_openings(ramp, 16000) == pytest.approx([0, 0.5, 1, 0.5], abs=0.11)
    assert face.mouth_openings(9 * ramp, 16000) == face.mouth_openings(ramp, 16000)
    assert face.mouth_openings(np.zeros(1700), 16000) == [0, 0]


def test_video_shows_drawn_frames(tmp_path):
    looks, bearing = portrait(5, 4.5)
    samples = np.random.default_rng(0).standard_normal(16000) * np.linspace(0, 1, 16000) ** 2
    face.write_video(tmp_path / "video.mp4", looks, bearing, samples, 16000)
    drawn = [face.draw(looks, bearing, opening) for opening in face.mouth_openings(samples, 16000)]
    video = load_video(tmp_path / "video.mp4", face.FRAME_RATE)
    assert len(video) == len(drawn) == 10
    assert abs(video.astype(int) - np.stack(drawn)).mean() < 4
    with av.open(io.BytesIO((tmp_path / "video.mp4").read_bytes())) as container:
        assert container.streams.video[0].codec_context.name == "h264"
