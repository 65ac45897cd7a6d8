"""Add adapters into the weights of their base: `python scripts/merge_adapter.py ADAPTER OUT [--base BASE]`."""

import argparse
import sys

import emofusion  # noqa: F401 (lets the Auto classes know the models)
from emofusion.training.adapters.merge import merge_adapter
from transformers.utils import logging


def main() -> None:
    """Merge, and tell where the model is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", metavar="ADAPTER", help="the folder of a model that was trained with lora")
    parser.add_argument("out", metavar="OUT", help="a new folder, for a checkpoint that needs neither base nor peft")
    parser.add_argument("--base", help="folder or Hub id of the base model, if it is not where the adapters say")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    try:
        model = merge_adapter(arguments.adapter, arguments.out, arguments.base)
    except (OSError, ValueError) as error:
        sys.exit(f"merge_adapter.py: {error}")
    total = sum(weight.numel() for weight in model.parameters())
    print(f"{type(model).__name__}, {total:,} parameters, is in {arguments.out}.")


if __name__ == "__main__":
    main()
