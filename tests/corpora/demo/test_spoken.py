import itertools
import json
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from emofusion.corpora import load_corpus
from emofusion.corpora.demo import espeak, spoken
from emofusion.corpora.folds import check_speaker_independent
from emofusion.corpora.schema import features

SIZE = 312


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("spoken")


@pytest.fixture(scope="session")
def corpus(root):
    return load_corpus("spoken", root, utterances=SIZE)


@pytest.fixture(scope="session")
def metadata(root, corpus):
    (folder,) = root.iterdir()
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def lookup_accuracy(keys, labels):
    """Return the best accuracy of a model that sees only the key: the share of the most frequent label per key."""
    counts = defaultdict(Counter)
    for key, label in zip(keys, labels, strict=True):
        counts[key][label] += 1
    return sum(max(labels.values()) for labels in counts.values()) / len(labels)


def words(text):
    return re.findall(r"\w+", text)


def test_rows_are_in_schema(corpus):
    assert {split: len(rows) for split, rows in corpus.items()} == {"train": 216, "validation": 48, "test": 48}
    for rows in corpus.values():
        assert rows.features == features(("angry", "happy", "sad", "calm"))
        assert len(set(rows["id"])) == len(rows)


def test_one_modality_alone_predicts_half_at_most(corpus, metadata):
    for rows in corpus.values():
        assert set(Counter(rows["label"]).values()) == {len(rows) // 4}
        assert lookup_accuracy(rows["text"], rows["label"]) == 0.5
        assert lookup_accuracy(rows["speaker"], rows["label"]) == 0.25
        arousals = [vad["arousal"] for vad in rows["vad"]]
        assert lookup_accuracy(zip(rows["speaker"], arousals, strict=True), rows["label"]) == 0.5
    for label, vad in ((row["label"], row["vad"]) for row in metadata):
        assert (
            label
            == spoken.EMOTIONS[
                "high" if vad["arousal"] > 3 else "low", "positive" if vad["valence"] > 3 else "negative"
            ]
        )


def test_manner_of_speaking_does_not_depend_on_words():
    turns = list(spoken.make_turns(SIZE, seed=0))
    manners = [(p.voice, p.rate, p.pitch, p.pitch_range, p.volume) for _, p, _ in turns]
    assert lookup_accuracy(manners, [row["label"] for row, _, _ in turns]) <= 0.5


def test_speakers_and_sentence_frames_stay_in_their_split(corpus):
    speakers = check_speaker_independent(corpus)
    assert {split: len(names) for split, names in speakers.items()} == {"train": 18, "validation": 4, "test": 4}
    frames = {split: {re.sub(r"\{\w+\}", ".+", frame) for frame in spoken.FRAMES[split]} for split in spoken.FRAMES}
    for split, rows in corpus.items():
        for text in rows["text"]:
            assert {home for home in frames if any(re.fullmatch(frame, text) for frame in frames[home])} == {split}


@pytest.mark.parametrize("utterances", [104, 208, SIZE, 1040])
def test_train_has_all_valence_words(utterances):
    vocabulary = {word for pair in (*spoken.MOODS, *spoken.FEELINGS) for word in pair}
    used = defaultdict(set)
    for row, _, _ in spoken.make_turns(utterances, seed=1):
        (word,) = vocabulary & set(words(row["text"]))
        used[row["split"]].add(word)
    assert used["validation"] | used["test"] <= used["train"]


def test_positive_and_negative_texts_differ_in_one_word(corpus):
    poles = {word: pole for pair in (*spoken.MOODS, *spoken.FEELINGS) for pole, word in enumerate(pair)}
    for rows in corpus.values():
        neighbours = [Counter(), Counter()]
        for text in rows["text"]:
            (word,) = [word for word in words(text) if word in poles]
            neighbours[poles[word]][text.replace(word, "_")] += 1
        assert neighbours[0] == neighbours[1]


def test_dialogues_alternate_between_two_speakers(corpus):
    dialogues = defaultdict(list)
    for rows in corpus.values():
        for row in rows:
            dialogues[row["dialogue"]].append(row)
    for rows in dialogues.values():
        assert [row["turn"] for row in rows] == list(range(8))
        assert len({row["speaker"] for row in rows[::2]}) == len({row["speaker"] for row in rows[1::2]}) == 1
        assert [row["gender"] for row in rows] == 4 * ["female", "male"]
        assert len({row["session"] for row in rows}) == 1
        assert rows[0]["start"] == 0
        assert all(later["start"] == now["end"] + 0.5 for now, later in itertools.pairwise(rows))


def test_recordings_are_16_khz_mono(corpus):
    for rows in corpus.values():
        for row in rows:
            samples, rate = soundfile.read(row["audio"]["path"])
            assert (rate, samples.ndim) == (16000, 1)
            assert len(samples) / rate == pytest.approx(row["end"] - row["start"])
            assert 1 < len(samples) / rate < 5
            assert 0.05 < np.abs(samples).max() < 0.95


def test_alignment_contains_text_within_recording(corpus):
    for rows in corpus.values():
        for row in rows:
            assert " ".join(row["alignment"]["word"]["symbol"]) == " ".join(words(row["text"]))
            for level in ("word", "phone"):
                segments = row["alignment"][level]
                times = [time for pair in zip(segments["start"], segments["end"], strict=True) for time in pair]
                assert times == sorted(times)
                assert times[0] >= 0
                assert times[-1] <= row["end"] - row["start"]
                assert all(np.diff(times)[::2] > 0)
            word, syllable, phone = (row["alignment"][level] for level in ("word", "syllable", "phone"))
            assert " ".join(syllable["symbol"]).split() == phone["symbol"]
            assert set(word["start"]) <= set(syllable["start"])


def test_high_arousal_is_louder_and_faster(corpus):
    for rows in corpus.values():
        measured = defaultdict(lambda: ([], []))
        for row in rows:
            samples, _ = soundfile.read(row["audio"]["path"])
            times = row["alignment"]["word"]
            pace = (times["end"][-1] - times["start"][0]) / len(words(row["text"]))
            excited = row["vad"]["arousal"] > 3
            measured[row["speaker"], row["text"]][excited].append((np.sqrt((samples**2).mean()), pace))
        for subdued, excited in measured.values():
            quietest, slowest = np.min(excited, axis=0)[0], np.max(excited, axis=0)[1]
            assert quietest > 1.3 * np.max(subdued, axis=0)[0]
            assert slowest < 0.85 * np.min(subdued, axis=0)[1]


def test_seed_determines_corpus(tmp_path):
    contents = []
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        load_corpus("spoken", tmp_path / name, utterances=104, seed=seed)
        (folder,) = (tmp_path / name).iterdir()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 106  # the recordings, metadata.jsonl and README.md
    assert contents[0]["metadata.jsonl"] != contents[2]["metadata.jsonl"]


def test_second_load_synthesises_nothing(root, corpus, monkeypatch):
    monkeypatch.setattr(espeak, "speak", None)
    again = load_corpus("spoken", root, utterances=SIZE)
    assert list(again["test"]) == list(corpus["test"])


def test_default_place_is_cache_of_datasets(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    rows = load_corpus("spoken", utterances=104)["test"]
    assert rows[0]["audio"]["path"].startswith(str(tmp_path / "emofusion" / "spoken-"))


def test_interrupted_synthesis_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(prompts):
        yield from list(speak(prompts))[:5]
        raise KeyboardInterrupt

    speak = espeak.speak
    monkeypatch.setattr(espeak, "speak", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_corpus("spoken", tmp_path, utterances=104)
    assert list(tmp_path.iterdir()) == []


def test_concurrent_loads_do_not_collide(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: load_corpus("spoken", tmp_path, utterances=104), range(2)))
    assert list(both[0]["train"]) == list(both[1]["train"])
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("utterances", [0, -104, 100, 104.0, "104"])
def test_size_that_cannot_be_balanced_is_refused(utterances, tmp_path):
    with pytest.raises(ValueError, match=r"utterances .*must be a (positive multiple of 104|whole number)"):
        load_corpus("spoken", tmp_path, utterances=utterances)


def test_unknown_names_and_options_list_choices(tmp_path):
    with pytest.raises(ValueError, match="There is no corpus 'spokn'; choose one of spoken"):
        load_corpus("spokn")
    with pytest.raises(ValueError, match="'spoken' has no option 'size'; it has utterances, seed"):
        load_corpus("spoken", tmp_path, size=104)
