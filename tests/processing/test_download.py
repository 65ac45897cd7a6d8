"""Downloads from a local server."""

import threading

import numpy as np
import pytest
from emofusion.processing import download as module
from emofusion.processing.download import download, fetch
from testing_server import serve

CONTENT = bytes(range(256)) * 1000
stop = threading.Event()


def drip(handler):
    """Declare a length of 1000 bytes and send them slowly."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    try:
        while not stop.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()
    except OSError:  # the client has closed the connection
        pass


def endless(handler):
    """Send endless data without declaring a length."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while not stop.is_set():
            handler.wfile.write(CONTENT)
    except OSError:
        pass


def cut_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    secret = tmp_path_factory.mktemp("secret") / "secret.wav"
    secret.write_bytes(b"secret")
    pages = {
        "/a.wav": CONTENT,
        "/near": "/a.wav",
        "/far": f"file://{secret}",
        "/ftp": "ftp://127.0.0.1/a.wav",
        "/round": "/round",
        "/drip": drip,
        "/endless": endless,
        "/cut": cut_off,
    }
    stop.clear()
    with serve(pages) as address:
        yield address
        stop.set()


@pytest.mark.parametrize("page", ["a.wav", "near"])
def test_file_is_downloaded_after_redirect(server, page):
    assert download(f"{server}/{page}", timeout=10) == CONTENT


@pytest.mark.parametrize("page", ["far", "ftp", "round", "missing", "cut"])
def test_failed_download_gives_one_sentence(server, page):
    with pytest.raises(ValueError, match=rf"^{server}/{page} cannot be downloaded: .+") as caught:
        download(f"{server}/{page}", timeout=10)
    assert "\n" not in str(caught.value)
    assert page != "missing" or "404" in str(caught.value)


@pytest.mark.parametrize("source", ["file:///etc/hostname", "ftp://host/a.wav", "s3://bucket/a.wav", "hf://a/b.wav"])
def test_other_urls_are_refused(source):
    for given in (source, {"path": source}):
        with pytest.raises(ValueError, match="is not an http or https URL: download the file and give its path"):
            fetch(given, timeout=10)


def test_slow_download_times_out(server):
    with pytest.raises(ValueError, match=r"/drip did not arrive within 0\.3 s"):
        download(f"{server}/drip", timeout=0.3)


def test_large_file_is_refused(server, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 2**21)
    with pytest.raises(ValueError, match="/endless is larger than 2 MiB"):
        download(f"{server}/endless", timeout=10)


def test_unreachable_server_is_named():
    with serve({}) as address:
        pass
    with pytest.raises(ValueError, match=f"^{address}/a.wav cannot be downloaded"):
        download(f"{address}/a.wav", timeout=10)


def test_only_urls_are_fetched(server, tmp_path):
    array = np.zeros(3, np.float32)
    for source in (
        "a.wav",
        "C:/a.wav",
        "http_a.wav",
        tmp_path,
        b"bytes",
        {"path": "a.wav", "start": 1.0},
        array,
        None,
    ):
        assert fetch(source, timeout=1) is source
    assert fetch(f"{server}/a.wav", timeout=10) == {"path": f"{server}/a.wav", "bytes": CONTENT}
    assert fetch({"path": f"{server}/a.wav", "end": 1.0}, timeout=10) == {
        "path": f"{server}/a.wav",
        "end": 1.0,
        "bytes": CONTENT,
    }
    held = {"path": f"{server}/nowhere", "bytes": b"here"}
    assert fetch(held, timeout=10) is held
    assert fetch({"raw": array, "sampling_rate": 8000}, timeout=1)["array"] is array
