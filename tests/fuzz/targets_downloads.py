"""Downloads from servers on this machine that break the protocol."""

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from random import Random

from .spoil_bytes import spoil_bytes
from .spoil_text import spoil_lines
from .target import Spoiled, Target

BODY = b"R" * 1000
TIMEOUT = 1.0  # seconds that a slow download may take
ENOUGH = 15.0  # seconds that any other download may take, on a busy machine
PATIENCE = 30.0  # seconds after which the limit was clearly not kept, on a busy machine
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"
HEADS = {
    "a redirect to itself": "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
    "a redirect to a file": "HTTP/1.1 302 Found\r\nLocation: file:///proc/version\r\n\r\n",
    "a redirect to nowhere": "HTTP/1.1 302 Found\r\n\r\n",
    "a redirect to no port": "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\n\r\n",
    "a redirect to no address": "HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n",
    "a compressed body": HEAD.replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n"),
    "a body of 2^62 bytes": HEAD.replace("1000", str(2**62)),
    "a negative length": HEAD.replace("1000", "-1"),
    "no length": HEAD.replace("Content-Length: 1000\r\n", ""),
    "two lengths": HEAD.replace("\r\n\r\n", "\r\nContent-Length: 7\r\n\r\n"),
    "wrong chunks": HEAD.replace("Content-Length: 1000", "Transfer-Encoding: chunked"),
    "endless headers": "HTTP/1.1 200 OK\r\n" + "X-Header: x\r\n" * 5000,
    "a long header": f"HTTP/1.1 200 OK\r\nX: {'x' * 200_000}\r\n\r\n",
    "provisional answers": "HTTP/1.1 100 Continue\r\n\r\n" * 200,
    "an error of the server": "HTTP/1.1 500 Broken\r\n\r\n",
    "no content": "HTTP/1.1 204 No Content\r\n\r\n",
    "no protocol": "hello\r\n\r\n",
    "a reason of several lines": "HTTP/1.1 404 \x1b[31mNot\tFound\r\n\r\n",
}


def build_response(folder: Path) -> dict:
    return {"response": HEAD.encode() + BODY, "pause": 0.0}


def spoil_response(random: Random, valid: dict, into: Path) -> Spoiled:
    """Spoil what the server answers, or let it answer slowly."""
    if random.random() < 0.15:
        return Spoiled("one byte every 0.1 s", valid | {"pause": 0.1}, keeps=True)
    if random.random() < 0.5:
        name = random.choice(list(HEADS))
        return Spoiled(name, valid | {"response": HEADS[name].encode() + BODY})
    if random.random() < 0.5:
        what, head = spoil_lines(random, HEAD)
        return Spoiled(what, valid | {"response": head + BODY})
    what, response = spoil_bytes(random, valid["response"])
    return Spoiled(what, valid | {"response": response})


@contextmanager
def serve(response: bytes, pause: float):
    """Serve the same bytes to everybody; the address is yielded."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    client, _ = server.accept()
                    with client:
                        client.recv(65536)
                        for place in range(0, len(response), 1 if pause else len(response)):
                            client.sendall(response[place : place + 1] if pause else response)
                            time.sleep(pause)
                except OSError:
                    if server.fileno() < 0:
                        return

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.wav"


def load(given: dict) -> list[int]:
    """Return the number of bytes of the download."""
    from emofusion.processing.download import download

    start, timeout = time.monotonic(), TIMEOUT if given["pause"] else ENOUGH
    with serve(given["response"], given["pause"]) as url:
        try:
            return [len(download(url, timeout, allow_private_urls=True))]
        finally:
            assert time.monotonic() - start < PATIENCE, "the time limit was not kept"


TARGETS = [Target("download", "inference", build_response, spoil_response, load, weight=2)]
