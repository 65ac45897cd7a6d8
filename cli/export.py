"""`emofusion export`: write a model in a form that runs without torch."""

from pathlib import Path

from ..configuration.plain_text import format_size
from .commands import Parser
from .loading import check_model
from .model_options import add_model_options
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Export a model, and print how well the graph agrees with it."""
    parser = Parser("export")
    add_model_options(parser, device=False, dtype=False, transcriber=False)
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="form of the graph (default: %(default)s)")
    parser.add_argument(
        "--int8", action="store_true", help="quantise weights to int8: smaller, and on most processors faster"
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="new folder (default: the name of MODEL and -onnx)")
    arguments = parser.parse_args(argv)
    model = Path(arguments.folder)
    name = f"{model.resolve().name if model.is_dir() else model.name}-{arguments.format}"
    out = arguments.out or (model.resolve().parent / name if model.is_dir() else Path(name))

    from transformers.utils import logging

    from ..inference.export import GRAPH, SCRIPT, export_model
    from ..inference.export_card import HEADINGS, format_value

    logging.disable_progress_bar()
    check_model(arguments.folder)
    since = announce(f"Exporting {arguments.folder}", out)
    report = export_model(arguments.folder, out, arguments.int8, arguments.revision or "main")
    for precision, agreement in report["agreement"].items():
        values = [
            f"{heading} {format_value(entry, agreement[entry])}"
            for entry, heading in HEADINGS.items()
            if entry in agreement
        ]
        print(f"{precision} against torch on {agreement['rows']} random rows: {', '.join(values)}.")
    size = format_size(sum(file["bytes"] for name, file in report["files"].items() if name.startswith(GRAPH)))
    conclude(
        f"Exported {arguments.folder}",
        since,
        f"{out} holds {GRAPH} ({size}), which runs without torch.",
        [f"python {out / SCRIPT} {out} recording.wav"],
    )
