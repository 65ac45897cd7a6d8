"""Maps from the labels of several corpora to common classes."""

import pytest
from emofusion.corpora.joining.label_map import complete_maps, keep_labels, list_classes, read_label_map

LABELS = {"a": ["happy", "sad", "bored"], "b": ["joy", "sad"]}


def test_labels_of_all_corpora_and_names_of_classes_need_no_entry():
    maps = complete_maps(LABELS, {"a": {"happy": "joy", "bored": None}})
    assert maps == {"a": {"happy": "joy", "sad": "sad", "bored": None}, "b": {"joy": "joy", "sad": "sad"}}
    assert list_classes(maps.values()) == ["joy", "sad"]


def test_equal_labels_need_no_map():
    labels = {"a": ["x", "y"], "b": ["y", "x"]}
    assert complete_maps(labels, {}) == {"a": {"x": "x", "y": "y"}, "b": {"y": "y", "x": "x"}}


def test_labels_of_one_corpus_keep_their_names():
    assert complete_maps({"a": LABELS["a"]}, {"a": {"bored": None}})["a"] == {
        "happy": "happy",
        "sad": "sad",
        "bored": None,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"has no class for happy, bored of a; joy of b: map each label to a class \(sad\), or to null"),
        ({"a": {"happy": "joy"}}, r"has no class for bored of a: map each label to a class \(joy, sad\)"),
        # One corpus gives the shared label another name: the other corpus has to say what its label is.
        ({"a": {"happy": "joy", "bored": None, "sad": "low"}}, "has no class for sad of b"),
        ({"a": {"hapy": "joy"}}, r"has the label 'hapy', which a lacks \(did you mean 'happy'\?\)"),
    ],
)
def test_incomplete_maps_are_refused_with_all_missing_labels(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        complete_maps(LABELS, given)
    assert "\n" not in str(caught.value)


def test_labels_keep_their_names_where_no_classes_are_learned():
    maps = keep_labels(LABELS, {"a": {"happy": "joy"}})
    assert list_classes(maps.values()) == ["joy", "sad", "bored"]
    with pytest.raises(ValueError, match=r"has the label 'hapy', which a lacks \(did you mean 'happy'\?\)"):
        keep_labels(LABELS, {"a": {"hapy": "joy"}})


def test_numbers_are_names():
    assert read_label_map({"a": {1: 2, "x": None}}, ["a"]) == {"a": {"1": "2", "x": None}}
    assert read_label_map(None, ["a"]) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"c": {}}, "label_map has 'c', which the run does not have; it has a, b"),
        ({"a": ["x"]}, r"label_map.a is \['x'\]; it must be a mapping"),
        ({"a": {"x": False}}, "has the class False; write a name, in quotes"),
        ({"a": {True: "x"}}, "has the label True; write a name, in quotes"),
        ({"a": {"x": " "}}, "has the class ' '; write a name"),
        ({"a": {"x": 0.5}}, "has the class 0.5"),
        ({"a": {None: "x"}}, "has the label None"),
    ],
)
def test_other_forms_are_refused(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_label_map(given, ["a", "b"])
    assert "\n" not in str(caught.value)
