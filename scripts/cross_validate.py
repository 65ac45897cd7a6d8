"""Train every fold of a protocol: `python scripts/cross_validate.py recipe.yaml [--seeds 0 1 2] [--option value ...]`.

Also under `accelerate launch`. Runs that are finished are kept, and one that was interrupted goes on where it was.
"""

import sys
from pathlib import Path

from emofusion.training.console import show_run
from emofusion.training.cross_validation.runs import (
    cross_validate,
    find_states,
    format_plan,
    plan_runs,
)
from emofusion.training.cross_validation.summary import format_results
from emofusion.training.recipe import CROSS_VALIDATION, parse_recipe


def main() -> None:
    """Read the recipe, say what is to be done, do it, print what was measured."""
    try:
        recipe = parse_recipe(groups=CROSS_VALIDATION)
        is_first = recipe.training.process_index == 0
        runs = plan_runs(recipe)
        states = find_states(runs)
        if is_first:
            print(format_plan(runs, states), flush=True)
        results = cross_validate(runs, states, tell if is_first else None, show_run)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"cross_validate.py: {error}")
    if is_first:
        folder = Path(recipe.training.output_dir)
        print(f"\n{format_results(results)}")
        print(f"\nMeasured on {results['corpus']['title']}. {results['corpus']['selection']}")
        print(f"\n{folder} has the page (README.md), results.json and the pictures {', '.join(results['pictures'])};")
        print("every folder in it is a model of its own. Against another system:")
        print(f"  python scripts/compare.py {folder} OTHER")


def tell(line: str) -> None:
    """Print a line at once."""
    print(f"\n{line}\n", flush=True)


if __name__ == "__main__":
    main()
