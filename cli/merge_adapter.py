"""`emofusion merge-adapter`: merge LoRA adapters into the weights of their base model."""

from .commands import Parser
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Merge, and print where the model is."""
    parser = Parser("merge-adapter")
    parser.add_argument("adapter", metavar="ADAPTER", help="folder of a model that was trained with lora")
    parser.add_argument("out", metavar="OUT", help="new folder, for a checkpoint that needs neither the base nor peft")
    parser.add_argument("--base", help="folder or Hub id of the base model, if it is not where the adapters say")
    arguments = parser.parse_args(argv)

    from transformers.utils import logging

    from ..training.adapters.merge import merge_adapter

    logging.disable_progress_bar()
    since = announce(f"Merging {arguments.adapter}", arguments.out)
    model = merge_adapter(arguments.adapter, arguments.out, arguments.base)
    total = sum(weight.numel() for weight in model.parameters())
    holds = f"{arguments.out} holds the merged {type(model).__name__}, {total:,} parameters."
    conclude(f"Merged {arguments.adapter}", since, holds)
