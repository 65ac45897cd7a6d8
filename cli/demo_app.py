"""`emofusion demo-app`: open a page on this machine on which a model is tried."""

import signal
from pathlib import Path

from .commands import Parser, port
from .loading import load_pipeline
from .model_options import add_device_option, add_dtype_option, say


def run(argv: list[str]) -> None:
    """Open the page, and serve it until the command is interrupted."""
    parser = Parser("demo-app", note="Only this machine can open the page; Ctrl+C closes it.")
    parser.add_argument("folder", metavar="FOLDER", help="folder of a trained model, or its name on the Hub")
    parser.add_argument(
        "--transcriber",
        metavar="MODEL",
        help="speech recogniser that makes missing transcripts: its name on the Hub, or a folder",
    )
    parser.add_argument("--revision", help="branch, tag or commit of the Hub repository")
    add_device_option(parser)
    add_dtype_option(parser)
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
