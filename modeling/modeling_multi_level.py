"""Multi-level fusion (Zhao 2022, arXiv 2207.04697)."""

import torch
from torch import nn

from ..configuration.configuration_multi_level import MultiLevelFusionConfig
from ..configuration.modalities import SAMPLING_RATE
from .encoder_audio import frame_hop
from .fusion_coattention import CoattentionBlock
from .fusion_pooling import build_pooling
from .fusion_segments import segment_streams
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .modeling_outputs import EmotionOutput
from .modeling_rows import Rows, Segments


class MultiLevelFusionModel(EmoFusionModel):
    """Coattention of text with speech at several granularities.

        S_frame = speech          S_g = means of speech over the phones, syllables or words
        for each granularity g:   (S, X) = coattention blocks of g on (S_g, text)
        u = [mean(S) ; mean(X)] of every g

    Coattention and the granularities are the paper's; the form of the blocks, the means and the sizes are ours. A row
    without segments of a granularity passes through its blocks as frames; `fallbacks` in the output marks these rows.
    """

    config: MultiLevelFusionConfig

    def __init__(self, config: MultiLevelFusionConfig, **encoders):
        super().__init__(config, **encoders)
        self.audio_projection = _project(config.state_size("audio"), config.hidden_size)
        self.text_projection = _project(config.state_size("text"), config.hidden_size)
        layers = config.num_coattention_layers if config.fusion == "coattention" else 0
        self.coattention = nn.ModuleDict(
            {name: nn.ModuleList(_block(config) for _ in range(layers)) for name in config.granularities}
        )
        self.poolings = nn.ModuleDict(
            {
                name: nn.ModuleList(build_pooling(config.pooling, config.hidden_size) for _ in range(2))
                for name in config.granularities
            }
        )
        self.post_init()

    def fuse(
        self,
        states: dict[str, torch.Tensor],
        rows: dict[str, Rows],
        segments: dict[str, Segments],
        output_attentions: bool,
    ) -> EmotionOutput:
        """See [`EmoFusionModel.fuse`]. The attention maps are those of the last block of each granularity: in
        `"word_audio_text"`, `(batch, heads, words, tokens)`, words attend to text.
        """
        frames, tokens = self.audio_projection(states["audio"]), self.text_projection(states["text"])
        hop = frame_hop(self.config.audio_config) / SAMPLING_RATE
        streams = segment_streams(frames, rows["audio"], segments, hop)
        pooled, fallbacks, cross_attentions = [], {}, {}
        for granularity, blocks in self.coattention.items():
            audio, audio_rows, text, text_rows, maps = frames, rows["audio"], tokens, rows["text"], {}
            if granularity in streams:
                audio, audio_rows, fallbacks[granularity] = streams[granularity]
            elif granularity != "frame":
                fallbacks[granularity] = torch.ones(len(frames), dtype=torch.bool, device=frames.device)
            for block in blocks:
                audio, text, maps = block(audio, audio_rows, text, text_rows, output_attentions)
            pool_audio, pool_text = self.poolings[granularity]
            pooled += [pool_audio(audio, audio_rows), pool_text(text, text_rows)]
            cross_attentions |= {f"{granularity}_{name}": weights for name, weights in maps.items()}
        return EmotionOutput(
            embedding=torch.cat(pooled, dim=-1),
            cross_attentions=cross_attentions if output_attentions and cross_attentions else None,
            fallbacks=fallbacks or None,
        )


class MultiLevelFusionForSequenceClassification(EmoFusionForSequenceClassification):
    """Multi-level fusion with a classification head."""

    config: MultiLevelFusionConfig
    model_class = MultiLevelFusionModel


def _project(size: int, hidden_size: int) -> nn.Module:
    return nn.Identity() if size == hidden_size else nn.Linear(size, hidden_size)


def _block(config: MultiLevelFusionConfig) -> CoattentionBlock:
    return CoattentionBlock(
        config.hidden_size,
        config.num_attention_heads,
        config.intermediate_size,
        config.attention_dropout,
        config.hidden_dropout,
        config.layer_norm_eps,
    )
