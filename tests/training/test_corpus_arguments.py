"""Arguments that select corpora: of one corpus as they are, of several by corpus."""

import pytest
from emofusion.training.arguments import DataArguments


def test_arguments_of_one_corpus_are_its_own():
    data = DataArguments(
        corpus="iemocap", corpus_root="x", corpus_options={"fold": 2}, label_map={"iemocap": {"sad": None}}
    )
    chosen = data.selection
    assert (chosen.names, chosen.roots, chosen.options) == (["iemocap"], {"iemocap": "x"}, {"iemocap": {"fold": 2}})
    assert (data.fold, data.corpus_name) == (2, "iemocap")
    assert data.options_of({"iemocap": {"fold": 3}}) == {"fold": 3}
    assert DataArguments(corpus=["meld"]).corpus == "meld"


def test_arguments_of_several_corpora_are_by_corpus():
    options = {"iemocap": {"fold": 2, "classes": 4}}
    data = DataArguments(
        corpus=["iemocap", "meld"],
        test_corpora=["folder:calls"],
        corpus_root={"meld": "m", "iemocap": None},
        corpus_options=options,
        text_column={"meld": "asr_text"},
    )
    chosen = data.selection
    assert (chosen.names, chosen.tested, chosen.roots) == (["iemocap", "meld"], ["folder:calls"], {"meld": "m"})
    assert (chosen.options, chosen.texts) == (options, {"meld": "asr_text"})
    assert (data.fold, data.corpus_name) == (2, "iemocap and meld")
    assert data.options_of({"iemocap": {"fold": 5}, "meld": {"x": 1}}) == {
        "iemocap": {"fold": 5, "classes": 4},
        "meld": {"x": 1},
    }
    assert DataArguments(corpus=["iemocap", "meld"], text_column="asr_text").selection.texts == {
        "iemocap": "asr_text",
        "meld": "asr_text",
    }


def test_null_takes_an_entry_of_a_corpus_out():
    gone = {"meld": {"a": "b"}, "iemocap": None}
    data = DataArguments(corpus="meld", corpus_root={"iemocap": None, "meld": "x"}, label_map=gone)
    assert (data.selection.roots, data.label_map) == ({"meld": "x"}, {"meld": {"a": "b"}})


def test_labels_need_classes_only_where_classes_are_learned():
    assert DataArguments().selection.needs_labels
    assert not DataArguments(task="dimensions").selection.needs_labels
    assert DataArguments(task="multi_task").selection.needs_labels


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"corpus": []}, "corpus is an empty list"),
        (
            {"corpus": ["meld", "meld"]},
            "corpus has 'meld' twice; name two copies of a corpus meld:first and meld:second",
        ),
        ({"corpus": "folder:"}, "corpus has 'folder:'; after the colon, write letters, digits, _ and - only, such as"),
        ({"corpus": ["meld", "folder:/../x"]}, "corpus has 'folder:/../x'; after the colon"),
        ({"corpus": "meld", "test_corpora": ["folder:a b"]}, "test_corpora has 'folder:a b'; after the colon"),
        ({"corpus": "meld", "test_corpora": ["folder:a:b"]}, "test_corpora has 'folder:a:b'; after the colon"),
        ({"corpus": ["meld", "mled"]}, r"corpus has 'mled', which is no corpus \(did you mean 'meld'"),
        ({"corpus": ["meld", "iemocap"], "corpus_root": "x"}, "corpus_root is 'x', but the run has several corpora"),
        (
            {"corpus": ["meld", "iemocap"], "corpus_options": {"fold": 1}},
            "corpus_options has 'fold', which the run does not have",
        ),
        (
            {"corpus": ["meld", "iemocap"], "corpus_options": {"meld": 3}},
            "corpus_options.meld is 3; it must be a mapping",
        ),
        ({"corpus": ["meld", "iemocap"], "corpus_options": {"meld": {"root": 1}}}, "use corpus_root"),
        ({"corpus": ["meld", "iemocap"], "text_column": {"meld": "words"}}, "text_column is 'words'; choose one of"),
        (
            {"corpus": "meld", "corpus_root": {"iemocap": "x"}},
            "corpus_root has 'iemocap', which the run does not have; it has meld",
        ),
        ({"corpus": "meld", "test_corpora": ["meld"]}, "test_corpora has 'meld', which is learned from"),
        (
            {"label_map": {"meld": {}, "iemocap": {}}},
            r"label_map has 'meld', 'iemocap', which the run does not have; it has spoken \(null as label_map.meld takes",
        ),
        ({"dimension_scale": [1.0]}, "dimension_scale is .*; give the lowest and the highest value"),
        ({"dimension_scale": [5.0, 1.0]}, "give the lowest and the highest value"),
        ({"dimension_scale": [1.0, float("inf")]}, "give the lowest and the highest value"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        DataArguments(**given)
    assert "\n" not in str(caught.value)
