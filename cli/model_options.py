"""The options of a command for its model, and the line with which the command says where the model runs."""

import os
import sys

from .commands import Parser
from .loading import AUTO, DTYPES


def add_model_options(
    parser: Parser, *, device: bool = True, dtype: bool = True, transcriber: bool = True, choice: str = ""
) -> None:
    """Add the argument for the model, and a group with `--revision` and other options of its loading.

    Args:
        parser: The parser of the command.
        device: Whether to add `--device`.
        dtype: Whether to add `--dtype`.
        transcriber: Whether to add `--transcriber`.
        choice: What the help adds on when `auto` chooses.
    """
    parser.add_argument("folder", metavar="MODEL", help="folder of a trained model, or its name on the Hub")
    group = parser.add_argument_group("model")
    group.add_argument("--revision", help="branch, tag or commit of a model on the Hub")
    if device:
        group.add_argument(
            "--device", help="where it runs, such as cpu or cuda:1; by default on a GPU if there is one"
        )
    if dtype:
        group.add_argument(
            "--dtype",
            choices=DTYPES,
            default=AUTO,
            help="dtype of its weights. auto (the default): the one that was saved, but bfloat16 for a large model on a CPU that "
            f"is faster with it, if the scores of a test stay nearly the same{choice}",
        )
    if transcriber:
        group.add_argument(
            "--transcriber",
            metavar="RECOGNISER",
            help="folder of a speech recogniser, or its name on the Hub, for missing transcripts",
        )


def say(sentence: str) -> None:
    """Print a sentence on the error stream, beside the answers; of several processes only the first does."""
    if os.environ.get("RANK", "0") == "0" and sys.stderr is not None:
        print(sentence, file=sys.stderr, flush=True)
