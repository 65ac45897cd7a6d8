"""`emofusion demo-app`: open a page on this machine on which a model is tried."""

import signal
from pathlib import Path

from .commands import Parser, port
from .loading import load_pipeline
from .model_options import add_model_options, say


def run(argv: list[str]) -> None:
    """Open the page, and serve it until the command is interrupted."""
    parser = Parser("demo-app", note="Only this machine can open the page; Ctrl+C closes it.")
    add_model_options(parser)
    parser.add_argument("--port", type=port(1), help="port of the page; by default the first free one from 7860")
    arguments = parser.parse_args(argv)
    from ..inference.app import Page, require_gradio

    require_gradio()
    recognise = load_pipeline(
        *(arguments.folder, arguments.revision, arguments.transcriber, arguments.device, arguments.dtype, say)
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that recordings are removed then, too
    page = Page(recognise, Path(arguments.folder).resolve().name)
    try:
        print(f"The page is at {page.open('127.0.0.1', arguments.port)} (Ctrl+C closes it).")
        page.wait()
    finally:
        page.close()
