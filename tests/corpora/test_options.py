"""Options of corpora: wrong types and senseless values are refused when they are given, in one sentence."""

import pytest
from emofusion.corpora import describe_corpus
from emofusion.corpora.registry import CORPORA

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        *(("folder", "max_seconds", value) for value in ("60", True, [60], NAN, INF, 1e-9, 0, -1, 10**400)),
        *(("folder", "labels", value) for value in ("sad", [], ["sad", "sad "], {"sad"}, ["sad", False], [" "], 3)),
        *(("folder", "language", value) for value in (False, "german language", ["de", 3], {"de": 1})),
        *(("folder", share, value) for share in ("test_share", "validation_share") for value in (0, 1, NAN, "0.1")),
        *(("folder", "speaker_folds", value) for value in (1, 10**9, 2.5, True, "3")),
        *(("folder", "seed", value) for value in ("x", 1.5, None)),
        *(("folder", "fold_file", value) for value in (3, ["folds.json"])),
        *(("iemocap", "alignment_offset", value) for value in (NAN, INF, 90, "0.02", None)),
        *(("iemocap", "classes", value) for value in (5, [4], None, True)),
        *(("iemocap", "fold", value) for value in (0, 6, True, 1.0, "1")),
        *(("iemocap", "keep_events", value) for value in ("yes", 1, None)),
        *(("iemocap", "protocol", value) for value in ("random", ["random"])),
        *(("iemocap", "prefix_half", value) for value in ("upper", None)),
        *(("meld", "labels", value) for value in ("mood", ["emotion"], None)),
        *(("meld", "twins", value) for value in ("no", 0)),
        *(("spoken", "utterances", value) for value in (104.0, 100, 0, "104")),
        *(("spoken", "speaker_folds", value) for value in (1, 10**9)),
        *(("spoken", "video", value) for value in ("yes", 1)),
    ],
)
def test_senseless_value_is_refused_by_name(name, option, value):
    with pytest.raises(ValueError, match=option) as error:
        CORPORA[name].parse(**{option: value})
    assert "\n" not in str(error.value)


def test_equal_numbers_are_equal_options():
    assert repr(CORPORA["folder"].parse(max_seconds=60)) == repr(CORPORA["folder"].parse())


def test_names_of_labels_lose_outer_spaces_like_cells():
    assert CORPORA["folder"].parse(labels=("sad ", "glad")).labels == ["sad", "glad"]


@pytest.mark.parametrize("name", ["iemocap", "meld", "spoken"])
def test_language_of_published_corpora_is_english(name):
    assert describe_corpus(name)["language"] == ["en"]


@pytest.mark.parametrize(
    ("given", "languages"), [(None, []), ("de", ["de"]), (["pt-BR", "zh-Hant-TW"], ["pt-BR", "zh-Hant-TW"])]
)
def test_language_of_folder_is_option(given, languages):
    assert describe_corpus("folder", language=given)["language"] == languages
