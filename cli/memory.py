"""`emofusion memory`: estimate the GPU memory that training takes."""

from pathlib import Path

from .commands import Parser, positive, positive_int, read_recipe

COLUMNS = ("recipe", "parameters (M)", "trainable (M)", "batch", "weights", "gradients", "optimizer", "an utterance")
STRATEGIES = ("one GPU", "DDP", "ZeRO-2", "FSDP2")


def run(argv: list[str]) -> None:
    """Print a table with a row for each recipe."""
    parser = Parser("memory", "Runs on the CPU, in as much memory as the weights take.")
    parser.add_argument("recipes", metavar="RECIPE", nargs="+", help="recipe file")
    parser.add_argument("--processes", type=positive_int, default=4, help="number of GPUs (default: %(default)s)")
    parser.add_argument("--seconds", type=positive, help="length of an utterance (default: max_seconds of the recipe)")
    arguments = parser.parse_args(argv)

    import torch

    from ..training.memory import build_recipe, format_memory, measure_memory
    from ..training.recipe import TRAINING

    for path in arguments.recipes:
        read_recipe([path, "--use_cpu", "true"], TRAINING)  # a wrong recipe is reported before the others are measured
    print(f"| {' | '.join(COLUMNS + STRATEGIES)} |")
    print("|" + "---|" * len(COLUMNS + STRATEGIES))
    for path in arguments.recipes:
        torch.manual_seed(0)
        model, data_args, batch = build_recipe(path)
        memory = measure_memory(model, arguments.seconds or data_args.max_seconds or 15.0)
        name = Path(path).with_suffix("").name
        print(f"| {' | '.join(format_memory(name, model, memory, batch, arguments.processes))} |", flush=True)
