"""The dtype and the device that each command gives to the loading of its model, and the line that says them."""

import importlib

import numpy as np
import pytest
import soundfile
from emofusion.cli.main import main
from emofusion.cli.model_options import say
from testing_model_folder import make_model_folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, and a short and a long recording."""
    place = tmp_path_factory.mktemp("commands")
    make_model_folder(place / "model")
    for name, seconds in (("short.wav", 1), ("long.wav", 25)):
        soundfile.write(place / name, np.random.default_rng(0).normal(0, 0.1, 8000 * seconds), 8000)
    return place


@pytest.mark.parametrize(
    ("command", "arguments", "dtype"),
    [
        ("predict", ["short.wav"], None),  # a check takes longer than it saves
        ("predict", ["short.wav", "--dtype", "bfloat16"], "bfloat16"),
        ("predict", ["long.wav"], "auto"),
        ("predict", ["long.wav", "--timeline", "a.png"], "auto"),
        ("predict", ["short.wav", "--out", "a.csv"], "auto"),
        ("predict", ["short.wav", "--out", "a.csv", "--dtype", "float32"], "float32"),
        ("explain", ["short.wav"], "float32"),
        ("serve", ["--port", "0"], "auto"),
        ("serve", ["--port", "0", "--dtype", "float16"], "float16"),
        ("demo-app", [], "auto"),
        ("demo-app", ["--dtype", "float32"], "float32"),
    ],
)
def test_commands_that_answer_take_the_fastest_dtype_where_it_pays_off(
    place, complaint, monkeypatch, command, arguments, dtype
):
    given = {}

    def load(folder, revision=None, transcriber=None, device=None, dtype="default", report=None):
        given.update(device=device, dtype=dtype, reports=report is not None)
        raise ValueError("Loaded.")

    monkeypatch.chdir(place)
    if command == "serve":
        pytest.importorskip("fastapi_offline", reason="the server is not installed (pip install 'emofusion[serve]')")
    if command == "demo-app":
        monkeypatch.setattr("emofusion.inference.app.require_gradio", lambda: None)
    module = importlib.import_module(f"emofusion.cli.{command.replace('-', '_')}")
    monkeypatch.setattr(module, "load_pipeline", load)
    assert complaint(command, "model", *arguments, "--device", "cpu") == "Loaded."
    assert given == {"device": "cpu", "dtype": dtype, "reports": True}


@pytest.mark.parametrize(
    ("command", "options", "dtype"), [("predict", ["--dtype", "float16"], "float16"), ("explain", [], "float32")]
)
def test_line_on_device_and_dtype_is_beside_the_answer(place, capfd, command, options, dtype):
    assert main([command, str(place / "model"), str(place / "short.wav"), *options, "--device", "cpu"]) == 0
    printed = capfd.readouterr()
    assert printed.err.splitlines()[0] == f"model runs on the CPU in {dtype}."
    assert "runs on" not in printed.out


def test_only_the_first_process_says_it(monkeypatch, capfd):
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        say(f"Process {rank}.")
    assert capfd.readouterr().err == "Process 0.\n"
