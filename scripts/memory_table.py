"""How much memory training takes: `python scripts/memory_table.py recipe.yaml ... [--processes 4] [--seconds 15]`.

A line for each recipe, in GB, as docs/scaling.md has it. Needs as much memory as the models have parameters, and no GPU.
"""

import argparse
import sys
from pathlib import Path

import torch
from emofusion.training.memory import build_recipe, format_memory, measure_memory

COLUMNS = ("recipe", "parameters (M)", "learning (M)", "batch", "weights", "gradients", "optimiser", "an utterance")
STRATEGIES = ("one GPU", "DDP", "ZeRO-2", "FSDP2")


def main() -> None:
    """Read the arguments, count, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", help="files, as in recipes/")
    parser.add_argument("--processes", type=int, default=4, help="GPUs that train together (4)")
    parser.add_argument("--seconds", type=float, help="length of an utterance; the recipe's max_seconds if not given")
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS + STRATEGIES)} |")
    print("|" + "---|" * len(COLUMNS + STRATEGIES))
    for path in arguments.recipes:
        torch.manual_seed(0)
        try:
            model, data_args, batch = build_recipe(path)
            memory = measure_memory(model, arguments.seconds or data_args.max_seconds or 15.0)
        except (OSError, ValueError) as error:
            sys.exit(f"memory_table.py: {error}")
        name = Path(path).with_suffix("").name
        print(f"| {' | '.join(format_memory(name, model, memory, batch, arguments.processes))} |", flush=True)


if __name__ == "__main__":
    main()
