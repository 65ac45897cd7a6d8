"""Every test run has a cache of its own, so that nobody's is read or written."""

import os
import tempfile

import pytest

CACHE = tempfile.TemporaryDirectory(prefix="emofusion-tests-")
os.environ["HF_DATASETS_CACHE"] = CACHE.name  # before anything imports `datasets`, which reads it once


@pytest.fixture
def hub(monkeypatch):
    """The Hub, for the client in this process."""
    from testing_hub_server import HubServer, connect

    with HubServer() as server:
        connect(monkeypatch, server)
        yield server
