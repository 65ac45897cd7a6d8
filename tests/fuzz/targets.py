"""All targets."""

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
)

MODULES = (
    *(targets_media, targets_downloads, targets_checkpoints, targets_corpora),
    *(targets_training, targets_results, targets_scoring, targets_commands, targets_timelines),
)
TARGETS = [target for module in MODULES for target in module.TARGETS]
