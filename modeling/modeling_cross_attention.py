"""Cross-modal attention fusion (Krishna 2021, arXiv 2108.09669)."""

import torch

from ..configuration.configuration_cross_attention import CrossAttentionFusionConfig
from .fusion_attention import CrossModalAttention
from .fusion_branches import ConvBranch, RecurrentBranch
from .fusion_pooling import build_pooling
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .modeling_outputs import EmotionOutput
from .modeling_rows import Rows, Segments


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
        self.audio_pooling = build_pooling(config.pooling, width)
        self.text_pooling = build_pooling(config.pooling, width)
        self.post_init()

    def fuse(
        self,
        states: dict[str, torch.Tensor],
        rows: dict[str, Rows],
        segments: dict[str, Segments],
        output_attentions: bool,
    ) -> EmotionOutput:
        """See [`EmoFusionModel.fuse`]."""
        audio_rows, text_rows = rows["audio"], rows["text"]
        audio = audio_rows.pack(self.audio_branch(states["audio"], audio_rows))
        text = text_rows.pack(self.text_branch(states["text"], text_rows))
        from_text, audio_text = self.audio_text_attention(audio, audio_rows, text, text_rows, output_attentions)
        from_audio, text_audio = self.text_audio_attention(text, text_rows, audio, audio_rows, output_attentions)
        embedding = torch.cat(
            [self.audio_pooling(from_text, audio_rows), self.text_pooling(from_audio, text_rows)], dim=-1
        )
        maps = {"audio_text": audio_text, "text_audio": text_audio} if output_attentions else None
        return EmotionOutput(embedding=embedding, cross_attentions=maps)


class CrossAttentionFusionForSequenceClassification(EmoFusionForSequenceClassification):
    """Cross-modal attention fusion with a classification head."""

    config: CrossAttentionFusionConfig
    model_class = CrossAttentionFusionModel
