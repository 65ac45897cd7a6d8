"""`emofusion serve`: answer requests over HTTP with a trained model."""

import argparse
import contextlib
import signal

from .commands import Parser, port, positive, positive_int
from .loading import load_pipeline
from .model_options import add_model_options, say


def run(argv: list[str]) -> None:
    """Serve a model until the command is interrupted."""
    parser = Parser("serve", note="Ctrl+C or SIGTERM finishes the requests in progress, and ends the server.")
    add_model_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument(
        "--port", type=port(0), default=8000, help="port to listen at, 0 for a free one (default: %(default)s)"
    )
    batching = parser.add_argument_group("batches")
    batching.add_argument(
        "--batch-size",
        metavar="N",
        type=positive_int,
        default=8,
        help="most recordings or windows in a batch of the model (default: %(default)s)",
    )
    batching.add_argument(
        "--batch-seconds",
        metavar="SECONDS",
        type=positive,
        default=120,
        help="most seconds of audio in a batch (default: %(default)s)",
    )
    batching.add_argument(
        "--max-wait-ms",
        metavar="MS",
        type=not_negative,
        default=10,
        help="milliseconds for which the model waits for others (default: %(default)s)",
    )
    limits = parser.add_argument_group("limits of a request")
    limits.add_argument(
        "--max-megabytes", metavar="MB", type=positive, default=100, help="size in MB (default: %(default)s)"
    )
    limits.add_argument(
        "--max-seconds",
        metavar="SECONDS",
        type=positive,
        default=600,
        help="length of a recording in seconds (default: %(default)s)",
    )
    limits.add_argument(
        "--request-seconds",
        metavar="SECONDS",
        type=positive,
        default=120,
        help="seconds until the answer (default: %(default)s)",
    )
    limits.add_argument(
        "--queue", metavar="N", type=positive_int, default=32, help="most requests in progress (default: %(default)s)"
    )
    parser.add_argument("--allow-urls", action="store_true", help="download recordings from public addresses")
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        type=host,
        action="append",
        default=[],
        help="name by which a proxy or a client calls the server, besides those of this machine; may be repeated. With "
        "another --host than that of this machine alone, and without this option, any name is accepted",
    )
    arguments = parser.parse_args(argv)
    from ..inference.serving import LOOPBACK, Server, listen, run_server
    from ..inference.serving_requests import Limits

    is_named = arguments.host in LOOPBACK or bool(arguments.allow_host)
    with listen(arguments.host, arguments.port) as listening:
        server = Server(
            load_pipeline(
                *(arguments.folder, arguments.revision, arguments.transcriber, arguments.device, arguments.dtype, say)
            ),
            arguments.folder,
            Limits(arguments.max_megabytes, arguments.max_seconds, arguments.request_seconds, arguments.queue),
            arguments.batch_size,
            arguments.batch_seconds,
            arguments.max_wait_ms / 1000,
            arguments.allow_urls,
            (*LOOPBACK, arguments.host, *arguments.allow_host) if is_named else None,
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # both signals end the command in the same way
        name = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
        address = f"http://{name}:{listening.getsockname()[1]}"
        print(f"{server.name} is served at {address} ({address}/docs describes it; Ctrl+C ends it).", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            run_server(server, listening)


def host(text: str) -> str:
    """Return the name of a host in small letters.

    Raises:
        argparse.ArgumentTypeError: If it is empty, a URL, or has a port.
    """
    name = text.lower()
    is_address = name.startswith("[") and name.endswith("]")
    if name and not set(name) & set("/*@ ") and (is_address or ":" not in name):
        return name
    raise argparse.ArgumentTypeError(f"{text!r} is not a name such as voice.example.org, without https:// and port")


def not_negative(text: str) -> float:
    """Return a number that may be 0.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    return 0.0 if text == "0" else positive(text)
