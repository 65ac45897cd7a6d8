"""One-modality baselines (the unimodal experiments of Krishna 2021, arXiv 2108.09669)."""

import torch

from ..configuration.configuration_unimodal import UnimodalConfig
from .fusion_branches import ConvBranch, RecurrentBranch
from .fusion_pooling import build_pooling
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .modeling_outputs import EmotionOutput
from .modeling_rows import Rows, Segments

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
        rows: dict[str, Rows],
        segments: dict[str, Segments],
        output_attentions: bool,
    ) -> EmotionOutput:
        """See [`EmoFusionModel.fuse`]."""
        (rows,) = rows.values()
        hidden_states = self.branch(states[self.config.modality], rows)
        return EmotionOutput(embedding=self.pooling(rows.pack(hidden_states), rows))


class UnimodalForSequenceClassification(EmoFusionForSequenceClassification):
    """One-modality baseline with a classification head."""

    config: UnimodalConfig
    model_class = UnimodalModel
