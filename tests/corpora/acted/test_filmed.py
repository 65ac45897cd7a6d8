"""CREMA-D and RAVDESS: recordings beside videos, songs, intensities, and the raters' votes."""

import pytest
from emofusion.corpora import get_corpus, load_corpus, prepare_corpus
from emofusion.processing import load_audio
from testing_acted import kinds, make_acted, names_of, scan, write_clip, write_recordings, write_votes

TAKE = "01-05-01-02-01-03"  # speech, angry, normal, second sentence, first repetition, actor 3


def media(row):
    video = row["video"] and row["video"]["path"].rpartition("/")[2]
    return row["audio"]["path"].rpartition("/")[2], video


def test_recording_is_preferred_to_sound_of_video(tmp_path):
    write_recordings(tmp_path, [f"Actor_03/03-{TAKE}.wav", f"Actor_03/03-{TAKE}.flac", f"Actor_03/01-{TAKE}.wav"])
    for modality in ("01", "02"):
        write_clip(tmp_path / "Video" / f"{modality}-{TAKE}.mp4", with_sound=modality == "01")
    (row,), found = scan(tmp_path, "ravdess")
    assert media(row) == (f"03-{TAKE}.wav", f"01-{TAKE}.mp4")
    assert found.problems == []
    (row,), _ = scan(tmp_path, "ravdess", faces=True)
    assert row["video"]["crop"] == "face"
    (row,), _ = scan(tmp_path, "ravdess", video=False)
    assert row["video"] is None


def test_video_with_sound_is_enough(tmp_path):
    write_clip(tmp_path / "Actor_03" / f"01-{TAKE}.mp4")
    (row,), _ = scan(tmp_path, "ravdess")
    assert media(row) == (f"01-{TAKE}.mp4", f"01-{TAKE}.mp4")
    prepared = prepare_corpus("ravdess", tmp_path, tmp_path.parent / "prepared", decode=True)
    assert prepared.problems == []
    assert len(load_audio(prepared.splits["train"][0]["audio"], 16000)) > 1000


def test_video_without_sound_needs_recording(tmp_path):
    write_clip(tmp_path / f"02-{TAKE}.mp4", with_sound=False)
    rows, found = scan(tmp_path, "ravdess")
    assert (rows, kinds(found)) == ([], {"missing audio": 1})
    write_recordings(tmp_path, [f"03-{TAKE}.wav"])
    (row,), _ = scan(tmp_path, "ravdess")
    assert media(row) == (f"03-{TAKE}.wav", f"02-{TAKE}.mp4")


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({}, {"01-01": "neutral", "01-02": "calm", "01-05": "angry"}),
        ({"channel": "song"}, {"02-02": "calm"}),
        (
            {"channel": "all", "calm": "neutral"},
            {"01-01": "neutral", "01-02": "neutral", "01-05": "angry", "02-02": "neutral"},
        ),
        ({"calm": "dropped"}, {"01-01": "neutral", "01-05": "angry"}),
        ({"intensity": "strong"}, {"01-05": "angry"}),
    ],
)
def test_options_choose_takes_of_ravdess(tmp_path, options, labels):
    takes = ("01-01-01", "01-02-01", "01-05-02", "02-02-01")
    write_recordings(tmp_path, [f"03-{take}-02-01-03.wav" for take in takes])
    rows, found = scan(tmp_path, "ravdess", **options)
    assert {row["id"][:5]: row["label"] for row in rows} == labels
    assert set(found.labels) >= set(labels.values())
    assert len(found.problems) == len(takes) - len(rows)
    assert all(problem["known"] and problem["dropped"] for problem in found.problems)


def test_encoding_without_loss_is_preferred(tmp_path):
    write_recordings(
        tmp_path, ["AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1002_DFA_ANG_XX.mp3"]
    )
    rows, found = scan(tmp_path, "crema_d")
    assert [media(row)[0] for row in rows] == ["1001_DFA_ANG_XX.wav", "1002_DFA_ANG_XX.mp3"]
    assert found.problems == []


VOTES = [
    ("100001", (6, 2, 0, 0, 2, 0), "1001_IEO_ANG_XX"),
    ("200001", (0, 0, 0, 9, 1, 0), "1001_IEO_ANG_XX"),
    ("300001", (0, 5, 5, 0, 0, 0), "1001_IEO_ANG_XX"),
    ("100002", (0, 0, 4, 0, 4, 0), "1001_DFA_SAD_XX"),
]


def test_votes_of_raters_become_soft_and_perceived_labels(tmp_path):
    root = make_acted(tmp_path / "copy", "crema_d")
    write_votes(root, VOTES)
    rows = {row["id"]: row for row in scan(root, "crema_d")[0]}
    assert rows["1001_IEO_ANG_XX"]["soft_label"] == [0.6, 0.2, 0, 0, 0.2, 0]
    assert rows["1001_DFA_SAD_XX"]["label"] == "sad"
    assert rows["1002_DFA_SAD_XX"]["soft_label"] is None
    rows, found = scan(root, "crema_d", labels="perceived", raters="face")
    assert [(row["id"], row["label"]) for row in rows] == [("1001_IEO_ANG_XX", "happy")]
    assert kinds(found) == {"missing votes": len(names_of("crema_d")) - 1}
    rows, found = scan(root, "crema_d", labels="perceived")
    assert [(row["id"], row["label"]) for row in rows] == [("1001_IEO_ANG_XX", "angry")]
    assert kinds(found) == {"missing votes": len(names_of("crema_d")) - 2, "no majority": 1}
    assert scan(root, "crema_d", labels="perceived", raters="both")[0] == []


def test_ties_may_train_with_their_votes(tmp_path):
    root = make_acted(tmp_path / "copy", "crema_d")
    names = sorted(name.rpartition("/")[2].removesuffix(".wav") for name in names_of("crema_d"))
    tied = [name for name in names if name.startswith(("1001", "1049"))]
    write_votes(root, [("100001", (2, 0, 0, 0, 2, 0) if name in tied else (0, 0, 0, 0, 0, 3), name) for name in names])
    options = {"labels": "perceived", "keep_ties": True, "protocol": "published-split"}
    corpus = load_corpus("crema_d", root, **options | {"protocol": "speaker-folds", "fold": 2})
    free = {row["id"] for rows in corpus.values() for row in rows if row["label"] is None}
    assert free == {row["id"] for row in corpus["train"] if row["label"] is None}
    assert free == {
        name for name in tied if name.startswith("1001")
    }  # the other speaker is not in this training split
    assert next(row for row in corpus["train"] if row["id"] in tied)["soft_label"] == [0.5, 0, 0, 0, 0.5, 0]
    with pytest.raises(ValueError, match="CREMA-D has no usable row for the split 'validation'"):
        load_corpus("crema_d", root, **options)  # both of its utterances are tied
    with pytest.raises(ValueError, match="keep_ties is true, but labels is 'acted'"):
        get_corpus("crema_d").parse(keep_ties=True)


def test_perceived_labels_need_votes(tmp_path):
    root = make_acted(tmp_path / "copy", "crema_d")
    with pytest.raises(ValueError, match=r"has no tabulatedVotes.csv, which labels: perceived needs: copy it from"):
        load_corpus("crema_d", root, labels="perceived")


@pytest.mark.parametrize("votes", [("-1", *5 * [0]), ("1e3", *5 * [0]), ("", *5 * [0]), ("9999999", *5 * [0])])
def test_spoiled_votes_are_noted_or_refused(tmp_path, votes):
    root = make_acted(tmp_path / "copy", "crema_d")
    path = write_votes(root, [])
    with open(path, "a") as file:
        file.write(",".join(["100001", *map(str, votes), "1001_IEO_ANG_XX", "1", "1", "A"]) + "\n")
    rows, found = scan(root, "crema_d")
    assert kinds(found) == {"unreadable votes": 1}
    assert len(rows) == len(names_of("crema_d"))
    with pytest.raises(ValueError, match=r"tabulatedVotes\.csv, row 1, has votes that are not whole numbers: "):
        scan(root, "crema_d", labels="perceived")


def test_levels_of_crema_d_have_no_neutral(tmp_path):
    write_recordings(tmp_path, ["1001_IEO_ANG_HI.wav", "1001_IEO_ANG_XX.wav", "1001_IEO_NEU_XX.wav"])
    rows, found = scan(tmp_path, "crema_d", intensity="high")
    assert [row["id"] for row in rows] == ["1001_IEO_ANG_HI"]
    assert "neutral" not in found.labels
    assert get_corpus("crema_d").published_counts(get_corpus("crema_d").parse(intensity="high")) == {}
