"""The smallest spoken corpus, synthesised once per session."""

import pytest
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK


@pytest.fixture(scope="session")
def corpus_root(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="session")
def corpus(corpus_root):
    return load_corpus("spoken", corpus_root, utterances=BLOCK)
