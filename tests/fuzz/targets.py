"""All targets."""

from importlib.util import find_spec

from . import (
    targets_checkpoints,
    targets_commands,
    targets_corpora,
    targets_downloads,
    targets_media,
    targets_results,
    targets_scoring,
    targets_timelines,
    targets_training,
    targets_windows,
)

MODULES = (
    *(targets_media, targets_downloads, targets_checkpoints, targets_corpora),
    *(targets_training, targets_results, targets_scoring, targets_commands, targets_timelines, targets_windows),
)
if find_spec("fastapi_offline"):  # the extra `serve`
    from . import targets_serving

    MODULES = (*MODULES, targets_serving)
TARGETS = [target for module in MODULES for target in module.TARGETS]
