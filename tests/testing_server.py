"""A local web server for downloads, and ports for others."""

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Below the ports that the system gives to whoever asks for any, so that nobody gets one of these in the meantime.
_ports = itertools.count(20_000 + os.getpid() % 1000 * 10)


def free_port() -> int:
    """Return a port at which a server that takes no socket can listen."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("No port is free.")


@contextmanager
def serve(pages: dict[str, bytes | str | Callable]) -> Iterator[str]:
    """Serve pages while the context is open, and yield the URL of the server.

    Args:
        pages: For each path its content, a URL to redirect to, or a function of the handler that responds.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path)
            if callable(page):
                page(self)
            elif isinstance(page, str):
                self.send_response(302)
                self.send_header("Location", page)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Length", str(len(page or b"")))
                self.end_headers()
                self.wfile.write(page or b"")

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
