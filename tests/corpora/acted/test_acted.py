"""The loader of acted corpora on all of them: names, folders, folds, counts, and copies with quirks."""

import warnings
from collections import Counter

import pytest
from emofusion.corpora import describe_corpus, export_folds, get_corpus, list_folds, load_corpus
from emofusion.corpora.acted.corpus import ACTED_CORPORA
from emofusion.corpora.acted.table import NAMED
from emofusion.corpora.folds import check_splits, write_folds
from emofusion.corpora.schema import SPLITS, features
from testing_acted import NAMES, SPEAKERS, kinds, make_acted, names_of, scan, write_recordings

NAMES_OF_CORPORA = [corpus.name for corpus in ACTED_CORPORA]
every_corpus = pytest.mark.parametrize("corpus", ACTED_CORPORA, ids=NAMES_OF_CORPORA)
every_name = pytest.mark.parametrize("name", NAMES_OF_CORPORA)
PROTOCOLS = [(corpus, protocol) for corpus in ACTED_CORPORA for protocol in corpus.table.protocols]
every_protocol = pytest.mark.parametrize(
    ("corpus", "protocol"), PROTOCOLS, ids=lambda value: getattr(value, "name", value)
)

# A row of each tree: id, text, label, speaker and gender.
ROWS = {
    "crema_d": ("1002_DFA_SAD_XX", "Don't forget a jacket.", "sad", "1002", "female"),
    "ravdess": ("01-05-01-02-01-03", "Dogs are sitting by the door.", "angry", "03", "male"),
    "emo_db": ("16b10Tb", "Die wird auf dem Platz sein, wo wir sie immer hinlegen.", "sad", "16", "female"),
    "savee": ("JK_sa15", None, "sad", "JK", "male"),
    "tess": ("OAF_back_angry", "Say the word back.", "angry", "OAF", "female"),
}


@pytest.fixture(autouse=True)
def no_silent_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@every_name
def test_rows_are_in_schema_in_splits_without_common_speakers(tmp_path, name):
    loaded = load_corpus(name, make_acted(tmp_path / "copy", name))
    assert all(
        rows.features == features(get_corpus(name).scan(tmp_path, get_corpus(name).parse()).labels)
        for rows in loaded.values()
    )
    rows = {row["id"]: row for split in loaded.values() for row in split}
    assert len(rows) == len(names_of(name))
    own, text, label, speaker, gender = ROWS[name]
    row, labels = rows[own], loaded["train"].features["label"]
    assert (row["text"], labels.int2str(row["label"]), row["speaker"], row["gender"]) == (text, label, speaker, gender)
    assert row["scripted"] is True
    assert row["audio"]["path"].endswith(".wav")
    assert row["session"] is row["dialogue"] is row["video"] is row["soft_label"] is None
    check_splits(loaded, describe_corpus(name)["speaker_independent"])


@every_name
def test_files_in_one_folder_or_deeper_are_found_by_their_names(tmp_path, name):
    flat, deep = tmp_path / "flat", tmp_path / "deep"
    names = [path.split("/") for path in names_of(name)]
    flat_names = [f"{path[-2]}_{path[-1]}" if name == "savee" else path[-1] for path in names]
    write_recordings(flat, flat_names)
    write_recordings(deep, ["/".join(["versions", "1", *path]) for path in names])
    ids = [row["id"] for row in scan(flat, name)[0]]
    assert ids == [row["id"] for row in scan(deep, name)[0]] == sorted(ids)
    assert len(set(ids)) == len(names)


@every_name
def test_case_of_names_does_not_matter(tmp_path, name):
    lower = write_recordings(tmp_path / "lower", [path.lower() for path in names_of(name)])
    usual = write_recordings(tmp_path / "usual", names_of(name))
    assert [row["id"] for row in scan(lower, name)[0]] == [row["id"] for row in scan(usual, name)[0]]


@pytest.mark.parametrize(
    ("name", "folder", "stem", "own"),
    [
        ("crema_d", "AudioWAV", "1040_ITH_SAD_X", "1040_ITH_SAD_XX"),
        ("crema_d", "AudioWAV", "1092_ITH_SAD_XX", None),
        ("crema_d", "AudioWAV", "1001_ITH_SUR_XX", None),
        ("ravdess", "Actor_12", "02-01-06-01-02-01-12", "01-06-01-02-01-12"),
        ("ravdess", "Actor_12", "03-01-06-01-02-03-12", None),
        ("ravdess", "Actor_25", "03-01-06-01-02-01-25", None),
        ("emo_db", "wav", "16b10Td", "16b10Td"),
        ("emo_db", "wav", "16b10Xd", None),
        ("savee", "KL", "su02", "KL_su02"),
        ("savee", "ALL", "KL_su02", "KL_su02"),
        ("savee", "AudioData", "su02", None),
        ("tess", "OAF_neutral", "OA_bite_neutral", "OAF_bite_neutral"),
        ("tess", "YAF_pleasant_surprised", "YAF_back_ps", "YAF_back_ps"),
        ("tess", "OAF_Pleasant_surprise", "OAF_back_pleasant_surprise", "OAF_back_ps"),
        ("tess", "OAF_neutral", "OAF_banana_neutral", None),
    ],
)
def test_name_of_file_becomes_id(name, folder, stem, own):
    table = get_corpus(name).table
    codes = table.parse(folder, stem)
    assert (codes and table.name.format(**codes)) == own
    assert own is None or table.parse("", own)["speaker"] == codes["speaker"]  # an id can be parsed, too


@every_name
def test_other_names_and_second_copies_are_counted_by_folder(tmp_path, name):
    root = make_acted(tmp_path / "copy", name)
    write_recordings(root / "music", ["song.wav", "song (1).mp3"])
    write_recordings(root / "zz_copy", names_of(name))
    rows, found = scan(root, name)
    assert len(rows) == len(names_of(name))
    assert all("zz_copy" not in row["audio"]["path"] for row in rows)
    whats = [problem["what"] for problem in found.problems]
    title = get_corpus(name).table.title
    assert f"music has 2 files whose names are none of {title}, such as song (1).mp3: they are left out." in whats
    assert len(whats) == 1 + len({path.rpartition("/")[0] for path in names_of(name)})
    first = names_of(name)[0].rpartition("/")[0]
    assert any(f"utterances that are also in {first}, such as" in what for what in whats)


def test_names_that_are_not_text_are_listed(tmp_path):
    root = make_acted(tmp_path / "copy", "savee")
    (root / b"\xff.wav".decode(errors="surrogateescape")).touch()
    (root / b"\xfe".decode(errors="surrogateescape")).mkdir()
    with pytest.warns(UserWarning, match="problems: 2 unreadable name"):
        load_corpus("savee", root)
    assert scan(root, "savee")[1].problems[0]["what"] == "? has a name that is not UTF-8: rename it."


@every_name
def test_wrong_root_is_refused_with_example(tmp_path, name):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.wav").touch()
    title = get_corpus(name).table.title
    with pytest.raises(
        ValueError, match=rf"music is not the root of {title}: it has no recordings such as .*\.wav\.$"
    ):
        load_corpus(name, tmp_path / "music")
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        load_corpus(name, tmp_path / "nowhere")
    with pytest.raises(ValueError, match=f"Give the folder of {title} as root"):
        load_corpus(name)


def test_circle_of_links_is_read_once(tmp_path):
    root = make_acted(tmp_path / "copy", "emo_db")
    (root / "wav" / "again").symlink_to(root, target_is_directory=True)
    rows, found = scan(root, "emo_db")
    assert (len(rows), found.problems) == (len(names_of("emo_db")), [])


def test_pointers_of_git_lfs_are_named(tmp_path):
    root = make_acted(tmp_path / "copy", "crema_d")
    for path in (root / "AudioWAV").glob("1001_*.wav"):
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 70000\n")
    rows, found = scan(root, "crema_d")
    assert kinds(found) == {"not fetched": 2}
    assert found.problems[0]["what"].endswith("content that Git LFS has not fetched; run `git lfs pull` there.")
    assert not any(row["speaker"] == "1001" for row in rows)


@pytest.mark.parametrize(
    ("name", "options", "total"),
    [
        *(("crema_d", {}, 7442), ("crema_d", {"labels": "perceived"}, 6798), ("ravdess", {}, 1440)),
        *(("ravdess", {"channel": "song"}, 1012), ("ravdess", {"channel": "all"}, 2452)),
        *(("ravdess", {"intensity": "strong"}, 672), ("ravdess", {"calm": "neutral"}, 1440)),
        *(("ravdess", {"calm": "dropped"}, 1248), ("emo_db", {}, 535), ("savee", {}, 480), ("tess", {}, 2800)),
    ],
)
def test_published_counts_have_published_total(name, options, total):
    corpus = get_corpus(name)
    parsed = corpus.parse(**options)
    published = corpus.published_counts(parsed)
    assert sum(sum(counts.values()) for counts in published.values()) == total
    labels = list(dict.fromkeys(corpus.table.label_by_code(parsed).values()))
    assert all(list(counts) == labels for counts in published.values())


@every_protocol
def test_every_utterance_is_in_one_split_and_tested_at_most_once(corpus, protocol):
    table, tested = corpus.table, Counter()
    sentences = list(table.codes["sentence"]) if corpus.name == "tess" else [None]
    folds = list_folds(corpus.name, protocol=protocol)
    for choice in folds:
        parts = corpus.parse(protocol=protocol, **choice).parts
        assert set(parts) == set(SPLITS)
        for speaker in table.codes["speaker"]:
            for sentence in sentences:
                homes = [
                    split
                    for split, part in parts.items()
                    if speaker in part.speakers and (part.sentences is None or sentence in part.sentences)
                ]
                assert len(homes) == 1
                tested[speaker, sentence] += homes == ["test"]
    assert set(tested.values()) == ({1} if len(folds) > 1 else {0, 1})


@every_protocol
def test_protocol_is_described(corpus, protocol):
    description = describe_corpus(corpus.name, protocol=protocol)
    words = description["protocol"]
    assert words.startswith(corpus.table.protocols[protocol].title)
    assert ": the test split has " in words
    assert words.count("speaker") <= NAMED
    assert description["speaker_independent"] is (corpus.name != "tess")
    assert "dimension_scale" not in description


def test_choices_are_named_in_title():
    assert describe_corpus("ravdess")["title"] == "RAVDESS"
    assert describe_corpus("crema_d", labels="perceived", fold=2)["title"] == "CREMA-D (labels perceived)"


def test_test_speaker_of_tess_is_unseen(tmp_path):
    root = make_acted(tmp_path / "copy", "tess")
    loaded = load_corpus("tess", root)
    assert {split: set(rows["speaker"]) for split, rows in loaded.items()} == {
        "train": {"YAF"},
        "validation": {"YAF"},
        "test": {"OAF"},
    }
    assert not set(loaded["train"]["text"]) & set(loaded["validation"]["text"])
    mixed = load_corpus("tess", root, protocol="leave-words-out")
    assert not set(mixed["train"]["text"]) & set(mixed["test"]["text"])
    assert set(mixed["test"]["speaker"]) == {"OAF", "YAF"}


def test_folds_are_written_and_read(tmp_path):
    root = make_acted(tmp_path / "copy", "savee")
    folds = export_folds("savee", root)
    write_folds(tmp_path / "folds.json", folds)
    loaded = load_corpus("savee", root, fold_file=tmp_path / "folds.json", fold=3)
    assert set(loaded["test"]["speaker"]) == {"JK"}
    assert list_folds("savee", fold_file=tmp_path / "folds.json") == [{"fold": number} for number in range(1, 5)]
    assert describe_corpus("savee", fold_file="folds.json", fold=3)["speaker_independent"] is False


def test_fold_without_test_speaker_is_named(tmp_path):
    names = [name.format(speaker) for speaker in ("DC", "JE", "JK") for name in NAMES["savee"]]
    root = write_recordings(tmp_path / "copy", names)
    with pytest.raises(ValueError, match="SAVEE has no usable row for the split 'test'"):
        load_corpus("savee", root, fold=4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("savee", {"fold": 5}, "fold must be from 1 to 4, the number of folds of leave-one-speaker-out, not 5"),
        ("savee", {"protocol": "random"}, "protocol must be one of leave-one-speaker-out, not 'random'"),
        ("ravdess", {"channel": "both"}, "channel must be one of speech, song, all, not 'both'"),
        ("ravdess", {"intensity": 2}, "intensity"),
        ("ravdess", {"video": False, "faces": True}, "faces is true and video is false"),
        ("crema_d", {"raters": "ears"}, "raters must be one of voice, face, both, not 'ears'"),
        ("emo_db", {"video": True}, "The corpus 'emo_db' has no option 'video'"),
    ],
)
def test_invalid_option_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        get_corpus(name).parse(**options)


def test_trees_have_speakers_of_corpora():
    for name, speakers in SPEAKERS.items():
        assert set(speakers) <= set(get_corpus(name).table.codes["speaker"])
