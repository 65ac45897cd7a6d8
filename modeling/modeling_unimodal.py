"""One-modality baselines (the unimodal experiments of Krishna 2021, arXiv 2108.09669)."""

import torch

from ..configuration.configuration_unimodal import UnimodalConfig
from .branches import ConvBranch, RecurrentBranch
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .pooling import statistics_pooling

BRANCHES = {"audio": RecurrentBranch, "text": ConvBranch}


class UnimodalModel(EmoFusionModel):
    """One encoder and its branch of the cross-modal attention model: `u = [mean(H) ; std(H)]`."""

    config: UnimodalConfig

    def __init__(self, config: UnimodalConfig, **encoders):
        super().__init__(config, **encoders)
        encoder_config = getattr(config, f"{config.modality}_config")
        self.branch = BRANCHES[config.modality](
            encoder_config.hidden_size, config.hidden_size, config.conv_kernel_size
        )
        self.post_init()

    def fuse(
        self, states: dict[str, torch.Tensor], masks: dict[str, torch.Tensor], output_attentions: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See [`EmoFusionModel.fuse`]."""
        modality = self.config.modality
        hidden_states = self.branch(states[modality], masks[modality])
        return statistics_pooling(hidden_states, masks[modality]), {}


class UnimodalForSequenceClassification(EmoFusionForSequenceClassification):
    """One-modality baseline with an emotion head."""

    config: UnimodalConfig
    model_class = UnimodalModel
