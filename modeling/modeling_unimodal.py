"""One-modality baselines (the unimodal experiments of Krishna 2021, arXiv 2108.09669)."""

import torch

from ..configuration.configuration_unimodal import UnimodalConfig
from .fusion_branches import ConvBranch, RecurrentBranch
from .fusion_pooling import build_pooling
from .fusion_rows import lay_out
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .modeling_lengths import Lengths
from .modeling_outputs import EmotionOutput

BRANCHES = {"audio": RecurrentBranch, "text": ConvBranch, "video": RecurrentBranch}


class UnimodalModel(EmoFusionModel):
    """One encoder and its branch of the cross-modal attention model: `u = [mean(H) ; std(H)]`."""

    config: UnimodalConfig

    def __init__(self, config: UnimodalConfig, **encoders):
        super().__init__(config, **encoders)
        self.branch = BRANCHES[config.modality](
            config.state_size(config.modality), config.hidden_size, config.conv_kernel_size
        )
        self.pooling = build_pooling(config.pooling, config.hidden_size)
        self.post_init()

    def fuse(
        self,
        states: dict[str, torch.Tensor],
        masks: dict[str, torch.Tensor],
        lengths: dict[str, Lengths],
        spans: dict[str, torch.Tensor],
        output_attentions: bool,
    ) -> EmotionOutput:
        """See [`EmoFusionModel.fuse`]."""
        states, rows = lay_out(states, masks, lengths)
        (rows,) = rows.values()
        hidden_states = self.branch(states[self.config.modality], rows)
        return EmotionOutput(embedding=self.pooling(rows.pack(hidden_states), rows))


class UnimodalForSequenceClassification(EmoFusionForSequenceClassification):
    """One-modality baseline with a classification head."""

    config: UnimodalConfig
    model_class = UnimodalModel
