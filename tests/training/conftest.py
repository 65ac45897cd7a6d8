"""The smallest spoken corpus, synthesised once per session, and pictures that are not rendered."""

from pathlib import Path

import pytest
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK


@pytest.fixture(scope="session")
def corpus_root(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="session")
def corpus(corpus_root):
    return load_corpus("spoken", corpus_root, utterances=BLOCK)


@pytest.fixture(scope="module", autouse=True)
def unrendered_pictures(request):
    """Make figures but write an empty file for each, which takes a third off a run; not in a module with `RENDERED`."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "RENDERED", False):
            patch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **_: Path(file).touch())
        yield
