"""Search for better settings: `python scripts/search.py recipe.yaml [--trials 20] [--option value ...]`.

The recipe says by a mapping `search` what is tried. The same command goes on with a search that was interrupted, and takes part
in one that runs.
"""

import sys

from emofusion.training.recipe import SEARCH, parse_recipe
from emofusion.training.search.report import format_search
from emofusion.training.search.trials import search


def main() -> None:
    """Read the recipe, search, print what was found."""
    try:
        recipe = parse_recipe(groups=SEARCH)
        found = search(recipe, tell)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"search.py: {error}")
    print(f"\n{format_search(found, recipe.training.output_dir)}")


def tell(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
