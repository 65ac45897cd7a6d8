import pytest
from datasets import Dataset, load_from_disk
from emofusion.corpora.schema import features

SEGMENTS = {"start": [0.0, 0.5], "end": [0.5, 1.0], "symbol": ["good", "day"]}
FULL = {
    "id": "Ses01_01_Spk01_00",
    "corpus": "iemocap",
    "audio": {"path": "a.wav", "bytes": b"\x00\xff", "start": 0.25, "end": 1.25},
    "text": "Good day.",
    "asr_text": "good they",
    "label": 1,
    "soft_label": [0.25, 0.75],
    "speaker": "Spk01",
    "gender": "female",
    "session": "Ses01",
    "dialogue": "Ses01_01",
    "turn": 3,
    "start": 10.5,
    "end": 11.5,
    "scripted": False,
    "video": {"path": "a.avi", "start": 10.5, "end": 11.5, "crop": "left"},
    "alignment": {"word": SEGMENTS, "syllable": None, "phone": {"start": [], "end": [], "symbol": []}},
    "vad": {"valence": 4.0, "arousal": 2.5, "dominance": None},
}
BARE = {**dict.fromkeys(FULL), "id": "only-a-name"}


@pytest.mark.parametrize("build", [Dataset.from_list, "from_generator"])
def test_rows_survive_saving(build, tmp_path):
    schema, rows = features(["sad", "glad"]), [FULL, BARE]
    if build == "from_generator":
        dataset = Dataset.from_generator(lambda: iter(rows), features=schema, cache_dir=tmp_path / "cache")
    else:
        dataset = build(rows, features=schema)
    dataset.save_to_disk(tmp_path / "saved")
    for kept in (dataset, load_from_disk(tmp_path / "saved")):
        assert kept.features == schema
        assert list(kept) == rows


def test_class_numbers_follow_order_of_labels():
    schema = features(("zebra", "ant"))
    assert schema["label"].names == ["zebra", "ant"]
    assert Dataset.from_list([{**BARE, "label": "ant"}], features=schema)[0]["label"] == 1


@pytest.mark.parametrize("labels", [{"sad", "glad"}, "sad"])
def test_labels_without_order_are_refused(labels):
    with pytest.raises(TypeError, match="labels must be a list or tuple"):
        features(labels)
