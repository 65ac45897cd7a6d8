"""The protocol of a corpus, and the functions that find one by its name."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest
from emofusion.corpora import CORPORA, describe_corpus, get_corpus, list_folds, load_corpus, prepare_corpus
from emofusion.corpora.corpus import DiskCorpus

every_corpus = pytest.mark.parametrize("corpus", CORPORA.values(), ids=list(CORPORA))


@every_corpus
def test_every_option_has_default_and_help_text(corpus):
    assert is_dataclass(corpus.options)
    for option in fields(corpus.options):
        assert option.metadata["help"].endswith("."), option.name
    with pytest.raises(FrozenInstanceError):
        corpus.parse().fold = 2


@every_corpus
def test_every_corpus_has_description(corpus):
    description = describe_corpus(corpus.name)
    assert description["name"] == corpus.name
    assert {"title", "protocol", "demonstration"} <= description.keys()


@every_corpus
def test_unknown_option_is_refused_with_choices(corpus):
    known = ", ".join(option.name for option in fields(corpus.options))
    for call in (load_corpus, describe_corpus, list_folds):
        with pytest.raises(ValueError, match=f"The corpus '{corpus.name}' has no option 'size'; it has {known}.$"):
            call(corpus.name, size=3)


@every_corpus
def test_options_of_scan_are_options_of_corpus(corpus):
    if isinstance(corpus, DiskCorpus):
        assert issubclass(corpus.options, corpus.scan_options)
        assert "max_seconds" in {option.name for option in fields(corpus.scan_options)}
        assert "fold" not in {option.name for option in fields(corpus.scan_options)}


def test_unknown_corpus_is_refused_with_choices():
    with pytest.raises(ValueError, match=rf"There is no corpus 'nothing'; choose one of {', '.join(CORPORA)}\."):
        get_corpus("nothing")


def test_corpus_that_is_not_on_disk_is_not_prepared(tmp_path):
    with pytest.raises(ValueError, match="The corpus 'spoken' needs no preparation"):
        prepare_corpus("spoken", tmp_path)


def test_folds_are_listed_for_any_fold():
    assert list_folds("iemocap", fold=99) == [{"fold": number} for number in range(1, 6)]
    assert list_folds("spoken", speaker_folds=3) == [{"fold": 1}, {"fold": 2}, {"fold": 3}]
    assert list_folds("meld") == [{}]


def test_registry_is_imported_quickly():
    code = (
        "import sys, emofusion.corpora.registry\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pyarrow', 'matplotlib', 'av', 'soundfile'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
