"""Configuration of multi-level fusion (Zhao 2022)."""

from dataclasses import field
from typing import ClassVar, Literal

from .configuration_checks import MOST_LAYERS, checked, positive, share, whole
from .configuration_emofusion import EmoFusionConfig
from .modalities import SPAN_LEVELS

# Fine to coarse.
GRANULARITIES = ("frame", *reversed(SPAN_LEVELS))


@checked
class MultiLevelFusionConfig(EmoFusionConfig):
    r"""Coattention between speech and text, with speech as frames, phones, syllables and words.

    After Zhao, Wang and Wang, "Multi-level Fusion of Wav2vec 2.0 and BERT for Multimodal Emotion Recognition" (arXiv
    2207.04697). The form of the blocks and all sizes are ours; the paper's were not available.

    Args:
        granularities (`list[str]`, *optional*, defaults to `["frame", "phone", "syllable", "word"]`):
            The speech streams, each with its own blocks: `"frame"`, and `"phone"`, `"syllable"` and `"word"`, which
            need an alignment in the batch. A row without an alignment passes through these blocks as frames.
        fusion (`str`, *optional*, defaults to `"coattention"`):
            `"coattention"`, or the control `"concat"`, which has no blocks and concatenates the means of the streams
            and of the text.
        pooling (`str`, *optional*, defaults to `"mean"`):
            `"mean"`, or `"attentive_statistics"`: mean and standard deviation, weighted by an attention over the
            positions (Okabe 2018), which doubles the width of the utterance embedding.
        hidden_size (`int`, *optional*, defaults to 768):
            Width of all streams. The states of an encoder of another width are projected.
        num_coattention_layers (`int`, *optional*, defaults to 2):
            Coattention blocks per granularity.
        num_attention_heads (`int`, *optional*, defaults to 8):
            Attention heads of the blocks.
        intermediate_size (`int`, *optional*, defaults to 3072):
            Width inside the feed-forward layers of the blocks.
        attention_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the attention weights of the blocks.
        hidden_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the outputs of attentions and feed-forward layers before the residual connection.
        layer_norm_eps (`float`, *optional*, defaults to 1e-5):
            Epsilon of the layer normalisations.

    The other arguments are those of [`EmoFusionConfig`]; `classifier_proj_size` defaults to 256 and
    `classifier_dropout` to 0.3 here.
    """

    model_type = "emofusion_multi_level"
    paper: ClassVar[dict | None] = {
        "title": "Multi-level Fusion of Wav2vec 2.0 and BERT for Multimodal Emotion Recognition",
        "authors": "Zihan Zhao and Yanfeng Wang and Yu Wang",
        "year": 2022,
        "url": "https://arxiv.org/abs/2207.04697",
        "stated": "pretrained wav2vec 2.0 and BERT, coattention as early fusion, speech as frames, phones, syllables and words",
        "ours": "the sizes of the encoders, the form of the coattention, the means over segments and utterances, the head, "
        "all numbers",
    }

    granularities: list[Literal["frame", "phone", "syllable", "word"]] = field(
        default_factory=lambda: list(GRANULARITIES)
    )
    fusion: Literal["coattention", "concat"] = "coattention"
    pooling: Literal["mean", "attentive_statistics"] = "mean"
    hidden_size: int = whole(1, 768)
    num_coattention_layers: int = whole(1, 2, most=MOST_LAYERS)
    num_attention_heads: int = whole(1, 8)
    intermediate_size: int = whole(1, 3072)
    attention_dropout: int | float = share(0.1)
    hidden_dropout: int | float = share(0.1)
    layer_norm_eps: int | float = positive(1e-5)
    classifier_proj_size: int | None = whole(1, 256)
    classifier_dropout: int | float = share(0.3)

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if not self.granularities or len(set(self.granularities)) < len(self.granularities):
            raise ValueError(
                f"granularities is {self.granularities}; name at least one of {', '.join(GRANULARITIES)}, each once."
            )
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size is {self.hidden_size}; it must divide by num_attention_heads ({self.num_attention_heads})."
            )

    @property
    def span_levels(self) -> tuple[str, ...]:
        """The granularities that need an alignment."""
        return tuple(name for name in self.granularities if name != "frame")

    @property
    def embedding_size(self) -> int:
        """Width of the utterance embedding: the pooled speech and text of every granularity."""
        return 2 * self.hidden_size * len(self.granularities) * (1 if self.pooling == "mean" else 2)
