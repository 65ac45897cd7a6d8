"""All targets."""

from . import targets_checkpoints, targets_corpora, targets_media

TARGETS = [target for module in (targets_media, targets_checkpoints, targets_corpora) for target in module.TARGETS]
