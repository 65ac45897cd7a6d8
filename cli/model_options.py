"""The options of a command for its model, and the line with which the command says where the model runs."""

import os
import sys

from .commands import Parser
from .loading import AUTO, DTYPES


def add_device_option(parser: Parser) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device", help="device of the model, such as cpu or cuda:1; by default a GPU if there is one"
    )


def add_dtype_option(parser: Parser) -> None:
    """Add `--dtype`."""
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default=AUTO,
        help="dtype of the model. auto (the default) is the one that was saved, or bfloat16 for a large model on a CPU that "
        "computes it faster, if a check shows that the scores stay the same",
    )


def say(sentence: str) -> None:
    """Print a sentence on the error stream, beside the answers; of several processes only the first does."""
    if os.environ.get("RANK", "0") == "0" and sys.stderr is not None:
        print(sentence, file=sys.stderr, flush=True)
