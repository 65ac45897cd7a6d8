"""`emofusion compare`: test whether one system is better than another."""

from .commands import Parser
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Compare two systems on the utterances on which both were tested."""
    parser = Parser("compare")
    parser.add_argument("first", metavar="FOLDER", help="folder of a finished run or cross-validation")
    parser.add_argument("second", metavar="OTHER", help="folder of another, tested on the same utterances")
    arguments = parser.parse_args(argv)

    from ..evaluation.comparison import compare_systems

    what = f"{arguments.first} with {arguments.second}"
    since = announce(f"Comparing {what}")
    comparison = compare_systems(arguments.first, arguments.second)
    print(f"\n{comparison.format()}")
    conclude(f"Compared {what}", since, comparison.verdict)
