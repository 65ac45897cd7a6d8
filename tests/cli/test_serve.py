"""`emofusion serve`: arguments, and a server that answers and ends."""

import importlib
import os
import re
import signal
import socket
import sys
import threading

import pytest

pytest.importorskip("fastapi_offline", reason="the server is not installed (pip install 'emofusion[serve]')")
import httpx2
from testing_model_folder import make_model_folder
from testing_serving import form


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--port", "65536", "'65536' is not a port from 0 to 65535"),
        ("--max-wait-ms", "-1", "'-1' is not a positive number"),
        ("--allow-host", "https://a.org", "'https://a.org' is not a name such as voice.example.org"),
        ("--allow-host", "a.org:443", "without https:// and port"),
        ("--queue", "0", "'0' is not a positive whole number"),
    ],
)
def test_wrong_option_is_refused(complaint, option, value, sentence):
    assert sentence in complaint("serve", "runs/none", f"{option}={value}", status=2)


def test_missing_library_is_named(complaint, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("emofusion.inference.serving")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert complaint("serve", "runs/none") == (
        "uvicorn is not installed; install it with: pip install 'emofusion[serve]'"
    )


def test_port_that_is_taken_and_unknown_device_are_named(complaint, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        message = complaint("serve", tmp_path, "--port", number)
    assert message.startswith(f"The server cannot listen at 127.0.0.1, port {number}: ")
    assert complaint("serve", "a/b", "--port", 0, "--device", "tpu9").startswith("The device tpu9 cannot be used: ")
    assert "holds no model" in complaint("serve", tmp_path, "--port", 0)


@pytest.fixture
def keep_signals():
    """Restores the signal handlers that a command replaces."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_served_model_answers_and_ends_at_sigterm(call, keep_signals, tmp_path, monkeypatch):
    make_model_folder(tmp_path / "my-model")
    (tmp_path / "uploads").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "uploads"))
    serving, sockets, answers = importlib.import_module("emofusion.inference.serving"), [], []

    def listen(*address):
        sockets.append(make_socket(*address))
        thread.start()
        return sockets[0]

    def ask():
        # The socket listens: the request waits for the server.
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/recognise"
        try:
            answers.append(httpx2.post(url, **form(text="hello"), trust_env=False, timeout=120).json())
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread, make_socket = threading.Thread(target=ask), serving.listen
    monkeypatch.setattr(serving, "listen", listen)
    printed = call("serve", tmp_path / "my-model", "--port", 0, "--device", "cpu")
    thread.join()
    port = re.search(r"127.0.0.1:(\d+)", printed)[1]
    assert printed.startswith(f"my-model is served at http://127.0.0.1:{port} (http://127.0.0.1:{port}/docs ")
    (answer,) = answers
    assert (answer["model"], answer["text"]) == ("my-model", "hello")
    assert answer["version"].startswith("sha256:")
    assert sum(entry["score"] for entry in answer["scores"]) == pytest.approx(1)
    assert not list((tmp_path / "uploads").iterdir())
