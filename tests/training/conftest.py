"""The smallest spoken corpus, synthesised once per session and read once per module, and pictures that are not rendered."""

import pytest
from datasets import DatasetDict
from emofusion.corpora import load_corpus
from emofusion.corpora.demo import spoken_folder
from emofusion.corpora.demo.spoken import BLOCK
from PIL import Image


@pytest.fixture(scope="session")
def corpus_root(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="session")
def corpus(corpus_root):
    return load_corpus("spoken", corpus_root, utterances=BLOCK)


def save_pixel(figure, file, **_):
    Image.new("RGB", (1, 1)).save(file)


@pytest.fixture(scope="module", autouse=True)
def unrendered_pictures(request):
    """Make figures but save one pixel of each, which takes a third off a run; not in a module with `RENDERED`."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "RENDERED", False):
            patch.setattr("matplotlib.figure.Figure.savefig", save_pixel)
        yield


@pytest.fixture(scope="module", autouse=True)
def spoken_read_once():
    """Read each folder of the spoken corpus once for all runs of a module, which change no row."""
    read, found = spoken_folder.read_spoken, {}

    def read_once(folder, labels):
        key = folder, tuple(labels)
        if key not in found:
            found[key] = read(*key)
        return DatasetDict(found[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spoken_folder, "read_spoken", read_once)
        yield
