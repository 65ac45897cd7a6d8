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
