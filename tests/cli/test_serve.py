"""`emofusion serve`: arguments, and one server in a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys

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
    assert complaint("serve", tmp_path, "--port", 0, "--device", "tpu9").startswith("--device tpu9 cannot be used: ")
    assert "holds no model" in complaint("serve", tmp_path, "--port", 0)


def test_served_model_answers_and_ends_at_sigterm(tmp_path):
    make_model_folder(tmp_path / "my-model")
    (tmp_path / "uploads").mkdir()
    command = [
        sys.executable,
        "-P",
        "-m",
        "emofusion",
        "serve",
        str(tmp_path / "my-model"),
        "--port",
        "0",
        "--device",
        "cpu",
    ]
    environment = os.environ | {"TMPDIR": str(tmp_path / "uploads"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = process.stdout.readline()
            address = re.match(r"my-model is served at (http://127\.0\.0\.1:\d+) ", said)[1]
            with httpx2.Client(base_url=address, trust_env=False, timeout=60) as client:
                answer = client.post("/recognise", **form(text="hello")).json()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (answer["model"], answer["text"]) == ("my-model", "hello")
    assert answer["version"].startswith("sha256:")
    assert sum(entry["score"] for entry in answer["scores"]) == pytest.approx(1)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "uploads").iterdir())
