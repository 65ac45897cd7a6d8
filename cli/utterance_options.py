"""The options of a command with which an utterance is given."""

from argparse import Namespace
from typing import Any

from ..inference.earlier_turns import read_turn
from .commands import Parser


def add_utterance_options(parser: Parser) -> None:
    """Add `--text`, `--video`, `--context` and `--speaker`, and the option of URLs."""
    parser.add_argument("--text", help="transcript of the recording")
    parser.add_argument("--video", help="path or URL of a video of the speaker: mp4, mkv, avi, ...")
    parser.add_argument(
        "--context",
        metavar="TURN",
        nargs="+",
        help='earlier turns of the dialogue, oldest first, each "TEXT" or, with --speaker, "SPEAKER: TEXT"',
    )
    parser.add_argument("--speaker", help="speaker of the recording, as named in --context")
    parser.add_argument(
        "--allow-private-urls", action="store_true", help="let URLs lead to this machine and to private networks"
    )


def read_utterance(arguments: Namespace, audio: str | None) -> dict[str, Any]:
    """Return the utterance that the options give, as the pipeline takes it.

    Args:
        arguments: Values of the options.
        audio: Path or URL of the recording, None for none.
    """
    utterance = {"audio": audio, "text": arguments.text, "video": arguments.video}
    turns = [read_turn(turn, arguments.speaker) for turn in arguments.context or ()]
    return utterance | ({"context": turns, "speaker": arguments.speaker} if turns else {})
