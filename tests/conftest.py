"""Fixtures of all tests. The cache of `datasets` is a temporary folder, so that no test reads or writes the user's."""

import gc
import os
import tempfile

import pytest

CACHE = tempfile.TemporaryDirectory(prefix="emofusion-tests-")
os.environ["HF_DATASETS_CACHE"] = CACHE.name  # before anything imports `datasets`, which reads it once


def pytest_collection_finish():
    """Leave libraries and tests out of the search for garbage, which goes through all objects after every training."""
    gc.freeze()


@pytest.fixture
def hub(monkeypatch):
    """A server in place of the Hub, for the client in this process."""
    from testing_hub_server import HubServer, connect

    with HubServer() as server:
        connect(monkeypatch, server)
        yield server


@pytest.fixture(scope="session")
def corpus_root(tmp_path_factory):
    """A folder for the smallest spoken corpus, which is synthesised once per session."""
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="module")
def unrendered_pictures(request):
    """Make figures but save one pixel of each, which takes a third off a run; not in a module with `RENDERED`.

    Its value saves a whole figure, for the one run of a module whose pictures are looked at.
    """
    from matplotlib.figure import Figure

    whole = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "RENDERED", False):
            patch.setattr(Figure, "savefig", save_pixel)
        yield whole


def save_pixel(figure, file, **_):
    from PIL import Image

    Image.new("RGB", (1, 1)).save(file)


@pytest.fixture(scope="module")
def spoken_read_once():
    """Read each folder of the spoken corpus once for all runs of a module, which change no row."""
    from datasets import DatasetDict
    from emofusion.corpora.demo import spoken_folder

    read, found = spoken_folder.read_spoken, {}

    def read_once(folder, labels):
        key = folder, tuple(labels)
        if key not in found:
            found[key] = read(*key)
        return DatasetDict(found[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spoken_folder, "read_spoken", read_once)
        yield
