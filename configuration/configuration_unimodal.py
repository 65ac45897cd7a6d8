"""Configuration of the one-modality baselines."""

from typing import ClassVar, Literal

from .configuration_checks import checked, whole
from .configuration_emofusion import EmoFusionConfig


@checked
class UnimodalConfig(EmoFusionConfig):
    r"""One encoder, one branch, statistics pooling: the baseline for the fusion variants.

    After the unimodal experiments of Krishna D N (arXiv 2108.09669): the branch is that of the cross-modal attention
    model for the same modality. Video, which that model does not have, gets the branch of speech (ours).

    Args:
        modality (`str`, *optional*, defaults to `"audio"`):
            The modality that the model uses: `"audio"`, `"text"` or `"video"`. Inputs of the others are accepted and
            ignored.
        hidden_size (`int`, *optional*, defaults to 256):
            Width of the branch. The width of the utterance embedding is twice this.
        conv_kernel_size (`int`, *optional*, defaults to 3):
            Kernel size of the branch's first convolution; odd, so that the number of frames stays the same.
        pooling (`str`, *optional*, defaults to `"statistics"`):
            `"statistics"`, or `"attentive_statistics"`, whose mean and standard deviation are weighted by an attention
            over the positions (Okabe 2018).

    The other arguments are those of [`EmoFusionConfig`].
    """

    model_type = "emofusion_unimodal"
    # A baseline of all papers, and the system of none.
    paper: ClassVar[dict | None] = {
        "ours": "the whole model, which is one branch of our cross-modal attention model with its statistics pooling",
    }

    modality: Literal["audio", "text", "video"] = "audio"
    hidden_size: int = whole(1, 256)
    conv_kernel_size: int = whole(1, 3)
    pooling: Literal["statistics", "attentive_statistics"] = "statistics"

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.hidden_size % 2:
            raise ValueError(f"hidden_size is {self.hidden_size}; it must be even, for the LSTM's two directions.")
        if self.conv_kernel_size % 2 == 0:
            raise ValueError(f"conv_kernel_size is {self.conv_kernel_size}; it must be odd.")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality of the model."""
        return (self.modality,)

    @property
    def embedding_size(self) -> int:
        """Width of the utterance embedding: mean and standard deviation of the branch."""
        return 2 * self.hidden_size
