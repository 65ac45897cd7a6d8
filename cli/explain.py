"""`emofusion explain`: what the answer for a recording depends on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..configuration.plain_text import show_name
from .commands import Parser, positive_int
from .loading import check_model, load_pipeline
from .model_options import add_model_options, say
from .predict import format_entries
from .utterance_options import add_utterance_options, read_utterance

if TYPE_CHECKING:
    from ..inference.explanation_records import Explanation

PICTURE, TABLE = "explanation.png", "explanation.json"


def run(argv: list[str]) -> None:
    """Print contributions of inputs, members and words; write the picture and the JSON file."""
    parser = Parser("explain")
    add_model_options(parser, dtype=False, transcriber=False)
    parser.add_argument("audio", metavar="AUDIO", nargs="?", help="path or URL of a recording: wav, mp3, mp4, ...")
    add_utterance_options(parser)
    parser.add_argument("--target", metavar="NAME", help="class or dimension to explain (default: the answer)")
    parser.add_argument("--out", metavar="FOLDER", help=f"folder for {PICTURE} and {TABLE}, made if it does not exist")
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=positive_int,
        default=8,
        help="forms of the utterance in a batch (default: 8)",
    )
    arguments = parser.parse_args(argv)
    inputs = read_utterance(arguments, arguments.audio)
    check_model(arguments.folder)
    if arguments.out:
        from ..corpora.atomic_write import check_file, write_json
        from ..inference.explanation_picture import draw_explanation

        Path(arguments.out).mkdir(parents=True, exist_ok=True)
        for name in (PICTURE, TABLE):
            check_file(Path(arguments.out, name))
    from ..inference.explanation import explain

    # Contributions are small differences of scores, which half precision would round.
    recognise = load_pipeline(arguments.folder, arguments.revision, None, arguments.device, "float32", say)
    explanation = explain(
        recognise.model,
        recognise.processor,
        inputs,
        arguments.target,
        arguments.batch_size,
        arguments.allow_private_urls,
    )
    if arguments.out:
        notes = draw_explanation(Path(arguments.out, PICTURE), explanation)
        write_json(Path(arguments.out, TABLE), explanation.to_dict())
    print("\n".join(format_explanation(explanation)))
    if arguments.out:
        print(f"Picture: {Path(arguments.out, PICTURE)}\nAll numbers: {Path(arguments.out, TABLE)}")
        for note in notes:
            print(note)


def format_explanation(explanation: "Explanation") -> list[str]:
    """Return the answer, a line for each contribution, and the notes.

    Args:
        explanation: The explanation.
    """
    entries = explanation.answer
    entries = entries["scores"] + entries["dimensions"] if isinstance(entries, dict) else entries
    rows = [(part.name, part.changes) for part in explanation.parts]
    rows += [(f"member {one.number}: {one.name}", one.changes) for one in explanation.members if one.changes]
    rows += [
        (show_name(word.text) if word.turn is None else f"[turn {word.turn + 1}] {show_name(word.text)}", word.changes)
        for word in explanation.words
    ]
    lines = [*format_entries(entries), ""]
    if rows:
        names = [show_name(target.label) for target in explanation.targets]
        lines += [
            *_format_table([("contribution to", *names), *((name, *map(_signed, row)) for name, row in rows)]),
            "",
        ]
    return [*lines, *explanation.notes, explanation.limits]


def _signed(change: float) -> str:
    return f"{change:+.3f}"


def _format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join([f"{name:<{first}}", *(f"{cell:>{width}}" for cell, width in zip(cells, others, strict=True))])
        for name, *cells in rows
    ]
