"""The smallest spoken corpus, and runs that read it once per module and do not render their pictures."""

import gc

import pytest
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK


@pytest.fixture(scope="session")
def corpus(corpus_root):
    return load_corpus("spoken", corpus_root, utterances=BLOCK)


@pytest.fixture(scope="module", autouse=True)
def quick_runs(unrendered_pictures, spoken_read_once):
    """All runs are quick: every one collects garbage several times, among what was imported or made since the freezing."""
    gc.collect()
    gc.freeze()
