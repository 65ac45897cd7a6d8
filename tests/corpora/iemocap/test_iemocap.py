"""Rows, classes and folds of IEMOCAP."""

import shutil
import warnings
from collections import Counter
from itertools import islice

import pytest
from emofusion.corpora import describe_corpus, load_corpus
from emofusion.corpora.folds import check_speaker_independent, write_folds
from emofusion.corpora.iemocap.corpus import IEMOCAP, PROTOCOLS, PUBLISHED
from emofusion.corpora.iemocap.scan import EMOTIONS
from emofusion.corpora.iemocap.turns import read_evaluation
from emofusion.corpora.schema import features
from emofusion.corpora.words import words
from emofusion.processing.alignment_spans import SILENCE
from emofusion.processing.media import load_audio
from emofusion.processing.video import load_video
from testing_iemocap import DIALOGUES, HEADER, LENGTH, PAUSE, TURNS, block, build_dialogue, build_iemocap

FIRST = "Ses01F_impro01_F000"


def scan(root, classes=4, **options):
    return IEMOCAP.scan(root, IEMOCAP.parse(classes=classes, **options))


def published(classes):
    return IEMOCAP.published_counts(IEMOCAP.parse(classes=classes))


def read(root, *args, **options):
    found = scan(root, *args, **options)
    return list(found.rows), found.problems


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build_iemocap(tmp_path_factory.mktemp("licensed"))


@pytest.fixture(scope="module")
def scanned(root):
    return read(root, "all")


@pytest.fixture(scope="module")
def rows(scanned):
    return {row["id"]: row for row in scanned[0]}


@pytest.fixture
def copy(root, tmp_path):
    """A copy to damage."""
    return shutil.copytree(root, tmp_path / "IEMOCAP" / "IEMOCAP_full_release")


def load(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # eleven dialogues have no video
        return load_corpus("iemocap", *args, **options)


def kinds(problems):
    return Counter(problem["kind"] for problem in problems)


def test_every_numbered_turn_is_row_once(rows):
    names = {f"Ses0{n}{dialogue}_{field}" for n in range(1, 6) for dialogue in DIALOGUES for field, *_ in TURNS}
    assert set(rows) == names | {"Ses03F_impro07_M030", "Ses03M_impro03_M001"}


def test_speaker_is_read_from_last_field(rows):
    assert rows["Ses01F_impro01_M000"]["speaker"] == "Ses01M"
    assert rows["Ses04M_script01_1b_F001"]["speaker"] == "Ses04F"
    assert len({row["speaker"] for row in rows.values()}) == 10
    assert {(row["speaker"][-1], row["gender"]) for row in rows.values()} == {("F", "female"), ("M", "male")}


def test_session_and_dialogue_come_from_name(rows):
    row = rows["Ses05M_script01_1b_F001"]
    assert (row["session"], row["dialogue"]) == ("Ses05", "Ses05M_script01_1b")


def test_turns_are_numbered_in_order_of_time(rows):
    for number, (field, *_) in enumerate(TURNS):
        row, start = rows[f"Ses02F_impro01_{field}"], number * (LENGTH + PAUSE)
        assert (row["turn"], row["start"]) == (number, pytest.approx(start))
        assert row["end"] == pytest.approx(start + LENGTH)


def test_texts_keep_colons_and_latin_letters_without_events(rows):
    for field, _, text in TURNS:
        assert rows[f"Ses01F_impro01_{field}"]["text"] == text.removeprefix("[LAUGHTER] ")


def test_events_are_stripped_from_text_as_from_spoken_words_of_alignment(tmp_path):
    texts = ("[BREATHING] We could (laughs), [LAUGHTER] walk.", "[LAUGHTER] [GARBAGE]", "We could [I think] walk.")
    turns = [(f"F{number:03}", "hap", text) for number, text in enumerate(texts)]
    build_dialogue(tmp_path / "Session1", "Ses01F_impro01", turns)
    rows, problems = read(tmp_path)
    assert [row["text"] for row in rows] == ["We could, walk.", "", "We could [I think] walk."]
    symbols = rows[0]["alignment"]["word"]["symbol"]
    assert words(rows[0]["text"]) == words(" ".join(symbol for symbol in symbols if not SILENCE.fullmatch(symbol)))
    (found,) = (problem for problem in problems if problem["kind"] == "only events")
    assert (found["id"], found["known"], found["dropped"]) == ("Ses01F_impro01_F001", True, False)
    assert [row["text"] for row in read(tmp_path, keep_events=True)[0]] == [*texts]


def test_ratings_are_valence_arousal_and_dominance(rows):
    assert rows["Ses01F_impro01_M000"]["vad"] == {"valence": 2.5, "arousal": 3.0, "dominance": 3.5}
    assert rows[FIRST]["vad"] is None


def test_single_missing_rating_is_none(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(HEADER + block(FIRST, 0, 1, "neu", "[2.5000, , 0.0000]"))
    assert read_evaluation(path)[0][0].vad == {"valence": 2.5, "arousal": None, "dominance": None}


def test_recording_belongs_to_turn(rows, root):
    for name in (FIRST, "Ses05M_script01_1b_M003"):
        assert rows[name]["audio"]["path"].endswith(f"{rows[name]['dialogue']}/{name}.wav")
        assert len(load_audio(rows[name]["audio"], 16000)) == round(LENGTH * 16000)


def test_prefix_actor_is_on_the_left(rows, root):
    prefix, other = rows[FIRST]["video"], rows["Ses01F_impro01_M000"]["video"]
    assert (prefix["crop"], other["crop"]) == ("left", "right")
    assert load_video(prefix, 5)[..., 0].mean() > 200 > 50 > load_video(prefix, 5)[..., 2].mean()  # red
    assert load_video(other, 5)[..., 2].mean() > 200  # blue
    assert (other["start"], other["end"]) == (rows["Ses01F_impro01_M000"]["start"], rows["Ses01F_impro01_M000"]["end"])
    swapped = {row["id"]: row for row in read(root, "all", prefix_half="right", faces=True)[0]}
    assert swapped[FIRST]["video"] == {**prefix, "crop": "right face"}


def test_dialogue_without_video_is_problem(rows, scanned):
    assert rows["Ses02F_impro01_F000"]["video"] is None
    assert kinds(scanned[1])["missing video"] == 11


def test_alignments_have_words_phones_and_syllables(rows):
    alignment = rows[FIRST]["alignment"]
    assert alignment["word"]["symbol"] == ["<s>", "WE", "COULD", "++LAUGHTER++", "WALK"]
    assert (alignment["word"]["start"][1], alignment["word"]["end"][1]) == (0.05, 0.15)
    assert alignment["phone"]["symbol"] == ["SIL", "W", "IY", "K", "UH", "D", "+LAUGHTER+", "W", "AO", "K"]
    assert alignment["syllable"]["symbol"] == ["SIL", "W IY", "K UH D", "W AO K"]


def test_syllables_are_derived_from_phones_without_file(rows):
    syllables = rows["Ses01F_impro01_M000"]["alignment"]["syllable"]
    assert syllables["symbol"] == ["SIL", "W IY", "K UH D", "+LAUGHTER+", "W AO K"]


def test_turns_published_without_words_have_phones_only(rows, scanned):
    alignment = rows["Ses03F_impro07_M030"]["alignment"]
    assert alignment["word"] is alignment["syllable"] is None
    assert alignment["phone"]
    assert kinds(scanned[1])["published without words"] == 2


def test_alignments_are_shifted_by_offset(rows, root):
    shifted = {row["id"]: row for row in read(root, "all", alignment_offset=0.02)[0]}
    for level in ("word", "syllable", "phone"):
        before, after = rows[FIRST]["alignment"][level], shifted[FIRST]["alignment"][level]
        assert after["start"] == pytest.approx([start + 0.02 for start in before["start"]])
        assert after["end"] == pytest.approx([end + 0.02 for end in before["end"]])


def test_turn_without_any_alignment_has_none(copy):
    shutil.rmtree(copy / "Session1/sentences/ForcedAlignment")
    found, problems = read(copy, "all")
    assert next(row for row in found if row["id"] == FIRST)["alignment"] is None
    assert kinds(problems)["missing words"] == kinds(problems)["missing phones"] == 16


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (4, ["angry", "happy", "neutral", "sad"]),
        (6, ["neutral", "frustrated", "angry", "sad", "excited", "happy"]),
        ("all", list(EMOTIONS.values())),
    ],
)
def test_classes_are_named_in_fixed_order(root, classes, labels):
    assert load(root, classes=classes)["test"].features == features(labels)


def test_excited_counts_as_happy_in_four_classes_only(root):
    labels = {classes: {row["id"]: row["label"] for row in read(root, classes)[0]} for classes in (4, 6)}
    assert labels[4]["Ses01F_impro01_M002"] == "happy"
    assert labels[6]["Ses01F_impro01_M002"] == "excited"
    assert (len(labels[4]), len(labels[6])) == (62, 72)


def test_other_emotions_are_left_out_with_reason(root):
    found, problems = read(root, 4)
    left_out = {problem["id"]: problem["what"] for problem in problems if problem["kind"] == "other emotion"}
    assert len(left_out) == 20
    assert (
        left_out["Ses01F_impro01_F002"] == "Ses01F_impro01_F002 is dropped: fru (frustrated) is not among the classes."
    )
    assert not {row["id"] for row in found} & left_out.keys()


def test_other_emotions_are_kept_without_label_on_request(root, rows):
    found = {row["id"]: row for row in read(root, 4, keep_others=True)[0]}
    assert found.keys() == rows.keys()
    assert {name for name, row in found.items() if row["label"] is None} == {
        name for name in rows if name.endswith(("F002", "M003"))
    }
    assert found["Ses01F_impro01_M003"]["vad"] == {"valence": 4.0, "arousal": 1.5, "dominance": 4.5}
    with pytest.raises(ValueError, match="keep_others is given, but classes is 'all'"):
        scan(root, "all", keep_others=True)


@pytest.mark.parametrize("fold", range(1, 6))
def test_leave_one_session_out_validates_on_next_session(root, fold):
    corpus = load(root, fold=fold)
    assert set(corpus["test"]["session"]) == {f"Ses0{fold}"}
    assert set(corpus["validation"]["session"]) == {f"Ses0{fold % 5 + 1}"}
    assert {split: len(names) for split, names in check_speaker_independent(corpus).items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }


@pytest.mark.parametrize(("fold", "test", "validation"), [(1, "Ses01F", "Ses01M"), (10, "Ses05M", "Ses05F")])
def test_leave_one_speaker_out_validates_on_other_speaker(root, fold, test, validation):
    corpus = load(root, fold=fold, protocol="leave-one-speaker-out")
    speakers = check_speaker_independent(corpus)
    assert (speakers["test"], speakers["validation"], len(speakers["train"])) == ([test], [validation], 8)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_turn_is_tested_in_one_fold(root, protocol):
    folds = len(PROTOCOLS[protocol])
    tested = Counter(
        name for fold in range(1, folds + 1) for name in load(root, fold=fold, protocol=protocol)["test"]["id"]
    )
    assert tested == Counter(row["id"] for row in read(root)[0])


def test_fold_file_replaces_protocol(root, tmp_path):
    split = {"train": [FIRST], "validation": ["Ses02F_impro01_M000"], "test": ["Ses03F_impro01_F001", "Ses09F_x_F000"]}
    write_folds(tmp_path / "theirs.json", {"theirs": split})
    with (
        pytest.warns(UserWarning, match="11 missing video"),
        pytest.warns(UserWarning, match=r"theirs\.json, fold 1: 59 utterances are in none of its splits"),
        pytest.warns(UserWarning, match=r"fold 1: 1 of its utterances do not exist, for example Ses09F_x_F000"),
    ):
        corpus = load_corpus("iemocap", root, fold_file=tmp_path / "theirs.json")
    assert {name: rows["id"][:] for name, rows in corpus.items()} == split | {"test": ["Ses03F_impro01_F001"]}
    assert "fold 1 in theirs.json" in describe_corpus("iemocap", fold_file=tmp_path / "theirs.json")["protocol"]


def test_two_speakers_validate_and_six_train(root):
    corpus = load(root, validation="speakers", fold=4)
    assert {*corpus["validation"]["speaker"]} == {"Ses05F", "Ses01M"}
    assert {*corpus["test"]["session"]} == {"Ses04"}
    assert len({*corpus["train"]["speaker"]}) == 6


def test_fold_of_missing_session_is_refused(copy):
    shutil.rmtree(copy / "Session4")
    assert set(load(copy, fold=3)["validation"]["session"]) == {"Ses05"}
    with pytest.raises(ValueError, match=r"The test split of fold 4 is Ses04, but .* has no usable turn of it"):
        load(copy, fold=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 5}, "classes must be 4, 6 or 'all', not 5"),
        ({"fold": 0}, "fold must be from 1 to 5, not 0"),
        ({"fold": 11, "protocol": "leave-one-speaker-out"}, "fold must be from 1 to 10, not 11"),
        ({"protocol": "random"}, "protocol must be one of leave-one-session-out, leave-one-speaker-out, not 'random'"),
        ({"validation": "none"}, "validation must be one of session, speakers, not 'none'"),
        (
            {"validation": "speakers", "protocol": "leave-one-speaker-out"},
            "validation is 'speakers', which only leave-one-session-out has",
        ),
        ({"prefix_half": "top"}, "prefix_half must be 'left' or 'right', not 'top'"),
    ],
)
def test_invalid_option_gives_one_sentence(root, options, message):
    with pytest.raises(ValueError, match=message):
        load(root, **options)
    if "prefix_half" not in options:
        with pytest.raises(ValueError, match=message):
            describe_corpus("iemocap", **options)


def test_scripted_dialogues_are_recognised_by_name(rows):
    assert rows["Ses01M_script01_1b_F000"]["scripted"] is True
    assert rows[FIRST]["scripted"] is False


def test_votes_are_shared_among_classes(root, rows):
    by_classes = {classes: {row["id"]: row["soft_label"] for row in read(root, classes)[0]} for classes in (4, 6)}
    # Two raters chose anger, one of them and frustration too; one neutral; the actor's own sadness is not counted.
    assert by_classes[4][FIRST] == pytest.approx([1.5 / 2.5, 0, 1 / 2.5, 0])
    assert by_classes[6][FIRST] == pytest.approx([1 / 3, 0.5 / 3, 1.5 / 3, 0, 0, 0])
    assert all(sum(row["soft_label"]) == pytest.approx(1) for row in rows.values())


def test_soft_label_needs_vote_for_a_class(copy):
    path = copy / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line.replace("Anger", "Fear").replace("Neutral", "Other") for line in lines))
    found = {row["id"]: row["soft_label"] for row in read(copy)[0]}
    assert found[FIRST] is None
    assert found["Ses01M_script01_1b_F000"] is not None


def test_rows_are_read_one_by_one(copy):
    found = scan(copy)
    first = list(islice(found.rows, 3))
    (copy / "Session5/dialog/EmoEvaluation/Ses05F_impro01.txt").write_text(HEADER)
    assert len(first) + len(list(found.rows)) == 56  # six turns were emptied after the first was read


def test_sources_are_folders_that_are_read(copy):
    shutil.rmtree(copy / "Session2/dialog/avi")
    sources = scan(copy).sources
    assert len(sources) == 24
    assert {path.name for path in sources} == {"EmoEvaluation", "transcriptions", "DivX", "wav", "ForcedAlignment"}


def test_published_counts_match_literature():
    assert {code: sum(counts) for code, counts in PUBLISHED.items()} == {
        "ang": 1103, "hap": 595, "exc": 1041, "neu": 1708, "sad": 1084, "fru": 1849,
    }  # fmt: skip
    for classes, sessions in ((4, [1085, 1023, 1151, 1031, 1241]), (6, [1365, 1348, 1533, 1512, 1622])):
        assert [sum(labels.values()) for labels in published(classes).values()] == sessions


def test_published_counts_are_given_per_label():
    counts = published(4)
    assert counts["Ses01"] == {"angry": 229, "happy": 278, "neutral": 384, "sad": 194}
    assert sum(sum(labels.values()) for labels in counts.values()) == 5531
    six = {"neutral": 384, "frustrated": 381, "angry": 170, "sad": 245, "excited": 299, "happy": 143}
    assert published(6)["Ses05"] == six
    assert sum(sum(labels.values()) for labels in published(6).values()) == 7380
    assert published("all")["all"] == {"all": 10039}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fold": 2, "alignment_offset": 0.02}, "fold 2 of 5: session 2 is the test split"),
        ({"validation": "speakers", "fold": 4}, "the speakers Ses05F and Ses01M the validation split"),
        ({"protocol": "leave-one-speaker-out", "fold": 4}, "fold 4 of 10: the speaker Ses02M is the test split"),
    ],
)
def test_protocol_is_described_in_sentence(options, sentence):
    description = describe_corpus("iemocap", **options)
    assert sentence in description["protocol"]
    assert description["demonstration"] is False
    assert "University of Southern California" in description["license"]
