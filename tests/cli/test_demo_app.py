"""`emofusion demo-app` up to the server; the page itself is tested in a browser, in `tests/inference`."""

import importlib
import sys

import pytest
from emofusion.inference import app
from testing_model_folder import make_model_folder


@pytest.fixture
def model(tmp_path):
    make_model_folder(tmp_path / "my-model")
    return tmp_path / "my-model"


def test_missing_gradio_is_named_before_model_is_loaded(complaint, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "gradio" in complaint("demo-app", "runs/none")


def test_folder_without_model_is_refused(complaint, monkeypatch, tmp_path):
    monkeypatch.setattr(app, "require_gradio", lambda: None)
    assert "holds no model" in complaint("demo-app", tmp_path)


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_port_out_of_range_is_refused(complaint, port):
    assert f"{port!r} is not a port from 1 to 65535" in complaint("demo-app", "runs/none", "--port", port, status=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_space_shows_page_of_model_that_variable_names(model, monkeypatch):
    pytest.importorskip("gradio", reason="gradio is not installed (pip install 'emofusion[app]')")
    monkeypatch.setenv("EMOFUSION_MODEL", str(model))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "restored at the end of the test")
    space = importlib.reload(importlib.import_module("emofusion.hub_cards.space.app"))
    page = space.build()
    try:
        config = str(page.blocks.get_config_file())
        assert "my-model" in config
        assert str(model.parent) not in config
    finally:
        page.close()
