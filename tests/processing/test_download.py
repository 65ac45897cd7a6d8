"""Downloads from a local server."""

import gzip
import socket
import threading

import numpy as np
import pytest
from emofusion.processing import checked_connection
from emofusion.processing import download as module
from emofusion.processing.checked_connection import is_public
from testing_server import serve

CONTENT = bytes(range(256)) * 1000
stop = threading.Event()
requested = []


def download(url, timeout):
    return module.download(url, timeout, allow_private_urls=True)


def fetch(source, timeout):
    return module.fetch(source, timeout, allow_private_urls=True)


def drip_headers(handler):
    """Send a header line that never ends, byte by byte."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not stop.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()
    except OSError:
        pass


def redirect_slowly(handler):
    """Redirect to the same page after a while."""
    stop.wait(0.1)
    handler.send_response(302)
    handler.send_header("Location", "/redirects")
    handler.end_headers()


def compressed(handler):
    """Send a small response that would be large if it were decompressed."""
    requested.append(handler.headers["Accept-Encoding"])
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.wfile.write(gzip.compress(bytes(2**20)))


def announced(handler):
    """Declare more bytes than are allowed."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**40))
    handler.end_headers()


def chunked(handler):
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for part in (CONTENT[:1000], CONTENT[1000:]):
        handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


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
        "/headers": drip_headers,
        "/redirects": redirect_slowly,
        "/compressed": compressed,
        "/announced": announced,
        "/chunked": chunked,
        "/garbage": lambda handler: handler.wfile.write(b"garbage\r\n"),
        "/a%20b.wav?x=%C3%A9": CONTENT,
    }
    stop.clear()
    with serve(pages) as address:
        yield address
        stop.set()


@pytest.mark.parametrize("page", ["a.wav", "near", "chunked", "a b.wav?x=\u00e9", "a.wav#part"])
def test_file_is_downloaded_after_redirect(server, page):
    assert download(f"{server}/{page}", timeout=60) == CONTENT


@pytest.mark.parametrize("page", ["far", "ftp", "round", "missing", "cut", "compressed", "garbage"])
def test_failed_download_gives_one_sentence(server, page):
    with pytest.raises(ValueError, match=rf"^{server}/{page} cannot be downloaded: .+") as caught:
        download(f"{server}/{page}", timeout=60)
    assert "\n" not in str(caught.value)
    assert page != "missing" or "404" in str(caught.value)


@pytest.mark.parametrize("source", ["file:///etc/hostname", "ftp://host/a.wav", "s3://bucket/a.wav", "hf://a/b.wav"])
def test_other_urls_are_refused(source):
    for given in (source, {"path": source}):
        with pytest.raises(ValueError, match="is not an http or https URL: download the file and give its path"):
            fetch(given, timeout=60)


@pytest.mark.parametrize("page", ["drip", "headers", "redirects"])
def test_slow_download_times_out(server, page):
    with pytest.raises(
        ValueError, match=rf"/{page} did not arrive within 0\.3 s: download the file, or give a longer"
    ):
        download(f"{server}/{page}", timeout=0.3)


def test_slow_look_up_times_out(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: stop.wait())
    with pytest.raises(ValueError, match=r"did not arrive within 0\.1 s"):
        download("http://slow.invalid/a.wav", timeout=0.1)


@pytest.mark.parametrize("page", ["endless", "announced"])
def test_large_file_is_refused(server, monkeypatch, page):
    monkeypatch.setattr(module, "MAX_BYTES", 2**21)
    with pytest.raises(ValueError, match=f"/{page} cannot be downloaded: it is larger than 2 MiB; get the file"):
        download(f"{server}/{page}", timeout=60)


def test_compression_is_not_asked_for_and_not_undone(server):
    requested.clear()
    with pytest.raises(ValueError, match=r"the server compresses it \(gzip\)"):
        download(f"{server}/compressed", timeout=60)
    assert requested == ["identity"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]"),
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.1.2.3", "172.16.0.1"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("[fe80::1]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "user:secret@127.0.0.1"),
    ],
)
def test_address_that_is_not_public_is_refused(host):
    for scheme in ("http", "HTTPS"):
        with pytest.raises(
            ValueError, match=r"leads to \S+, which is not a public address: give the path of"
        ) as caught:
            module.download(f"{scheme}://{host}/a.wav", timeout=60)
        assert "allow_private_urls=True" in str(caught.value)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_address_is_public(address):
    assert is_public(address)


def test_target_of_a_redirect_is_checked(server, monkeypatch):
    answers = iter([True, False])
    monkeypatch.setattr(checked_connection, "is_public", lambda address: next(answers))
    with pytest.raises(ValueError, match=r"/near leads to 127\.0\.0\.1, which is not a public address"):
        module.download(f"{server}/near", timeout=60)


def test_name_is_looked_up_once_and_every_address_checked(server, monkeypatch):
    """Otherwise the second look-up could give another address (DNS rebinding)."""
    port, look_up, names = server.rpartition(":")[2], socket.getaddrinfo, []

    def answer(host, *arguments, **options):
        names.append(host)
        found = look_up("127.0.0.1", *arguments, **options)
        return found if len(names) == 1 else []

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert download(f"http://rebinding.invalid:{port}/a.wav", timeout=60) == CONTENT
    assert names == ["rebinding.invalid"]
    both = [*look_up("8.8.8.8", 80, type=socket.SOCK_STREAM), *look_up("10.0.0.1", 80, type=socket.SOCK_STREAM)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: both)
    with pytest.raises(ValueError, match=r"leads to 10\.0\.0\.1, which is not a public address"):
        module.download("http://two.invalid/a.wav", timeout=60)


def test_second_address_is_tried(server, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()
    open_ = ("127.0.0.1", int(server.rpartition(":")[2]))
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in (closed, open_)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    assert download("http://two.invalid/a.wav", timeout=60) == CONTENT


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///a.wav", "http://[::1", "http://host:port/", "http://a..b/", "http://" + "x" * 300 + "/"],
)
def test_url_that_names_no_server_gives_one_sentence(url):
    with pytest.raises(ValueError, match="cannot be downloaded: ") as caught:
        module.download(url, timeout=60)
    assert "\n" not in str(caught.value)


def test_unreachable_server_is_named():
    with serve({}) as address:
        pass
    with pytest.raises(ValueError, match=f"^{address}/a.wav cannot be downloaded"):
        download(f"{address}/a.wav", timeout=60)


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
    assert fetch(f"{server}/a.wav", timeout=60) == {"path": f"{server}/a.wav", "bytes": CONTENT}
    assert fetch({"path": f"{server}/a.wav", "end": 1.0}, timeout=60) == {
        "path": f"{server}/a.wav",
        "end": 1.0,
        "bytes": CONTENT,
    }
    held = {"path": f"{server}/nowhere", "bytes": b"here"}
    assert fetch(held, timeout=60) is held
    assert fetch({"raw": array, "sampling_rate": 8000}, timeout=1)["array"] is array
