"""Helpers for the tests with several processes."""

from pathlib import Path

import emofusion
from accelerate import FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import load_config_from_file

ACCELERATE = Path(emofusion.__file__).parent / "recipes" / "accelerate"


def fsdp_plugin() -> FullyShardedDataParallelPlugin:
    """Return the FSDP plugin that accelerate builds from `recipes/accelerate/fsdp2.yaml`."""
    options = load_config_from_file(str(ACCELERATE / "fsdp2.yaml")).fsdp_config
    return FullyShardedDataParallelPlugin(
        fsdp_version=options["fsdp_version"],
        auto_wrap_policy=options["fsdp_auto_wrap_policy"],
        reshard_after_forward=options["fsdp_reshard_after_forward"],
        state_dict_type=options["fsdp_state_dict_type"],
        cpu_ram_efficient_loading=options["fsdp_cpu_ram_efficient_loading"],
    )
