"""Configuration of cross-modal attention fusion (Krishna 2021)."""

from typing import ClassVar, Literal

from .configuration_checks import checked, positive, share, whole
from .configuration_emofusion import EmoFusionConfig


@checked
class CrossAttentionFusionConfig(EmoFusionConfig):
    r"""Cross-modal attention between a speech and a text encoder, statistics pooling, early fusion.

    After Krishna D N, "Using Large Pre-Trained Models with Cross-Modal Attention for Multi-Modal Emotion
    Recognition" (arXiv 2108.09669). All sizes below are ours; the paper's were not available.

    Args:
        hidden_size (`int`, *optional*, defaults to 256):
            Width of both branches between encoder and pooling. The width of the utterance embedding is four times this.
        num_attention_heads (`int`, *optional*, defaults to 8):
            Attention heads of the two cross-modal attentions.
        conv_kernel_size (`int`, *optional*, defaults to 3):
            Kernel size of each branch's first convolution; odd, so that the number of frames stays the same.
        pooling (`str`, *optional*, defaults to `"statistics"`):
            `"statistics"`, or `"attentive_statistics"`, whose mean and standard deviation are weighted by an attention
            over the positions (Okabe 2018).
        attention_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the cross-modal attention weights.
        hidden_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on each attention's output before the residual connection.
        layer_norm_eps (`float`, *optional*, defaults to 1e-5):
            Epsilon of the layer normalisations.

    The other arguments are those of [`EmoFusionConfig`].
    """

    model_type = "emofusion_cross_attention"
    paper: ClassVar[dict | None] = {
        "title": "Using Large Pre-Trained Models with Cross-Modal Attention for Multi-Modal Emotion Recognition",
        "authors": "Krishna D N",
        "year": 2021,
        "url": "https://arxiv.org/abs/2108.09669",
        "stated": "wav2vec 2.0 and BERT as encoders, cross-modal attention between their sequences, statistics pooling, early "
        "fusion",
        "ours": "the sizes of the encoders, the branches between encoders and attention, the residual connections, all "
        "numbers",
    }

    hidden_size: int = whole(1, 256)
    num_attention_heads: int = whole(1, 8)
    conv_kernel_size: int = whole(1, 3)
    pooling: Literal["statistics", "attentive_statistics"] = "statistics"
    attention_dropout: int | float = share(0.1)
    hidden_dropout: int | float = share(0.1)
    layer_norm_eps: int | float = positive(1e-5)

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size is {self.hidden_size}; it must divide by num_attention_heads ({self.num_attention_heads}) "
                "and by 2, for the two directions of the LSTM."
            )
        if self.conv_kernel_size % 2 == 0:
            raise ValueError(f"conv_kernel_size is {self.conv_kernel_size}; it must be odd.")

    @property
    def embedding_size(self) -> int:
        """Width of the utterance embedding: mean and standard deviation of both branches."""
        return 4 * self.hidden_size
