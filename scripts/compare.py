"""Is one system better than another? `python scripts/compare.py FOLDER OTHER`, folders of train.py or cross_validate.py."""

import argparse
import sys

from emofusion.evaluation.comparison import compare_systems, format_comparison


def main() -> None:
    """Compare two systems on the utterances that both were tested on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", help="folder of a finished run or cross-validation")
    parser.add_argument("second", help="another, tested on the same utterances")
    arguments = parser.parse_args()
    try:
        comparison = compare_systems(arguments.first, arguments.second)
    except (OSError, ValueError) as error:
        sys.exit(f"compare.py: {error}")
    print(format_comparison(comparison))
    print(f"\n{comparison['verdict']}")


if __name__ == "__main__":
    main()
