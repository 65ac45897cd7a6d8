"""Cross-modal attention fusion (Krishna 2021, arXiv 2108.09669)."""

import torch

from ..configuration.configuration_cross_attention import CrossAttentionFusionConfig
from .fusion_attention import CrossModalAttention
from .fusion_branches import ConvBranch, RecurrentBranch
from .fusion_pooling import statistics_pooling
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .modeling_lengths import Lengths
from .modeling_outputs import EmotionOutput


class CrossAttentionFusionModel(EmoFusionModel):
    """Speech attends to text and text to speech; statistics of both results form the utterance embedding.

        A = BiLSTM(Linear(ReLU(Conv1d(speech))))      T = ReLU(Conv1d(text))
        H1 = LN(A + MHA(Q=A, K=V=T))                  H2 = LN(T + MHA(Q=T, K=V=A))
        u = [mean(H1) ; std(H1) ; mean(H2) ; std(H2)]

    Cross-modal attention, statistics pooling and early fusion are the paper's; the branches, the widths and the
    normalisation are ours.
    """

    config: CrossAttentionFusionConfig

    def __init__(self, config: CrossAttentionFusionConfig, **encoders):
        super().__init__(config, **encoders)
        width, kernel = config.hidden_size, config.conv_kernel_size
        self.audio_branch = RecurrentBranch(config.audio_config.hidden_size, width, kernel)
        self.text_branch = ConvBranch(config.text_config.hidden_size, width, kernel)
        attention = (
            width,
            config.num_attention_heads,
            config.attention_dropout,
            config.hidden_dropout,
            config.layer_norm_eps,
        )
        self.audio_text_attention = CrossModalAttention(*attention)
        self.text_audio_attention = CrossModalAttention(*attention)
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
        audio = self.audio_branch(states["audio"], masks["audio"])
        text = self.text_branch(states["text"], masks["text"])
        from_text, audio_text = self.audio_text_attention(audio, text, masks["text"], output_attentions)
        from_audio, text_audio = self.text_audio_attention(text, audio, masks["audio"], output_attentions)
        embedding = torch.cat(
            [statistics_pooling(from_text, masks["audio"]), statistics_pooling(from_audio, masks["text"])], dim=-1
        )
        maps = {"audio_text": audio_text, "text_audio": text_audio} if output_attentions else None
        return EmotionOutput(embedding=embedding, cross_attentions=maps)


class CrossAttentionFusionForSequenceClassification(EmoFusionForSequenceClassification):
    """Cross-modal attention fusion with a classification head."""

    config: CrossAttentionFusionConfig
    model_class = CrossAttentionFusionModel
