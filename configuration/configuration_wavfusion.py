"""Configuration of WavFusion (Li 2024)."""

from typing import ClassVar, Literal

from huggingface_hub.dataclasses import strict

from .configuration_emofusion import EmoFusionConfig

AUXILIARY = ("text", "video")


@strict
class WavFusionConfig(EmoFusionConfig):
    r"""Speech asks text and video inside the last layers of a wav2vec 2.0 encoder.

    After Li, Luo and Xia, "WavFusion: Towards wav2vec 2.0 Multimodal Speech Emotion Recognition" (arXiv 2412.05558).
    The paper's abstract names wav2vec 2.0, gated cross-modal attention and homogeneous feature discrepancy learning.
    What is marked "notes" below is from a third party's reading notes of the paper; all else is ours.

    Args:
        auxiliary_modalities (`list[str]`, *optional*, defaults to `["text", "video"]`):
            What speech is fused with (notes: text and video). An empty list leaves speech alone.
        num_fusion_layers (`int`, *optional*, defaults to 3):
            The speech encoder's last layers, in which the modalities meet (notes). They are trainable, whatever
            `freeze_audio_layers` says; it counts only the layers below.
        fusion (`str`, *optional*, defaults to `"gated"`):
            `"gated"` replaces the self-attention of those layers by gated cross-modal attention (notes). `"concat"` is
            the fair control: the same layers keep their self-attention, and the means of all modalities are
            concatenated at the end.
        gate_self_attention (`bool`, *optional*, defaults to `True`):
            With one auxiliary modality only: whether the gate weighs it against the layer's self-attention, which is
            then kept. Otherwise the cross-modal attention stands alone, without a gate.
        use_visual_center (`bool`, *optional*, defaults to `True`):
            Whether a learnable visual center stands beside the recurrent part of the visual encoder (notes). Without
            it that part is as wide as both were.
        num_codewords (`int`, *optional*, defaults to 64):
            Codewords of the learnable visual center.
        text_hidden_size (`int`, *optional*, defaults to 768):
            Width of the text that speech asks (notes).
        visual_hidden_size (`int`, *optional*, defaults to 64):
            Width of the video that speech asks (notes).
        num_attention_heads (`int`, *optional*, defaults to 8):
            Heads of the self-attention behind the GRUs. Cross-modal attention has those of the speech encoder.
        attention_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the attention weights behind the GRUs.
        hidden_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on that attention's output before it is added.
        layer_norm_eps (`float`, *optional*, defaults to 1e-5):
            Epsilon of the layer normalisations behind the GRUs and in the visual center.
        discrepancy_weight (`float`, *optional*, defaults to 1.0):
            Weight lambda of discrepancy learning in the loss (notes: 1 was best). 0 leaves it out.
        margin (`float`, *optional*, defaults to 0.2):
            Margin theta of discrepancy learning.
        freeze_audio_layers (`int`, *optional*, defaults to -1):
            As in [`EmoFusionConfig`], of the layers below the fusion: all of them (notes).
        freeze_text_layers (`int`, *optional*, defaults to -1 if there is text):
            As in [`EmoFusionConfig`]: all (notes).
        text_config (`dict` or `PreTrainedConfig`, *optional*):
            As in [`EmoFusionConfig`]. Defaults to `RobertaConfig()` (notes: RoBERTa).

    The other arguments are those of [`EmoFusionConfig`].
    """

    model_type = "emofusion_wavfusion"
    paper: ClassVar[dict | None] = {
        "title": "WavFusion: Towards wav2vec 2.0 Multimodal Speech Emotion Recognition",
        "authors": "Feng Li and Jiusong Luo and Wanjun Xia",
        "year": 2024,
        "url": "https://arxiv.org/abs/2412.05558",
    }

    auxiliary_modalities: list[str] | tuple[str, ...] = AUXILIARY
    num_fusion_layers: int = 3
    fusion: Literal["gated", "concat"] = "gated"
    gate_self_attention: bool = True
    use_visual_center: bool = True
    num_codewords: int = 64
    text_hidden_size: int = 768
    visual_hidden_size: int = 64
    num_attention_heads: int = 8
    attention_dropout: float = 0.1
    hidden_dropout: float = 0.1
    layer_norm_eps: float = 1e-5
    discrepancy_weight: int | float = 1.0
    margin: float = 0.2
    freeze_audio_layers: int = -1
    freeze_text_layers: int | None = None

    def __post_init__(self, **kwargs):
        chosen = set(self.auxiliary_modalities)
        if not chosen <= set(AUXILIARY) or len(chosen) < len(self.auxiliary_modalities):
            raise ValueError(
                f"auxiliary_modalities is {list(self.auxiliary_modalities)}; name any of {', '.join(AUXILIARY)}, each once."
            )
        self.auxiliary_modalities = [name for name in AUXILIARY if name in chosen]
        if self.freeze_text_layers is None:
            self.freeze_text_layers = -1 if "text" in chosen else 0
        if self.text_config is None and "text" in chosen:
            self.text_config = {"model_type": "roberta"}
        super().__post_init__(**kwargs)
        self._check_fusion_layers()
        self._check_widths()
        if self.use_weighted_layer_sum:
            raise ValueError(
                "use_weighted_layer_sum is True, but the fusion goes on inside the speech encoder; set it to False."
            )

    def _check_fusion_layers(self) -> None:
        layers, fused = self.audio_config.num_hidden_layers, self.num_fusion_layers
        if not 0 <= fused < layers:
            raise ValueError(
                f"num_fusion_layers is {fused}; the audio encoder has {layers} layers, of which one must be left below."
            )
        if not fused and self.fusion == "gated" and self.auxiliary_modalities:
            raise ValueError(
                'num_fusion_layers is 0, so that nothing would be fused; set it to 1 or more, or fusion to "concat".'
            )

    def _check_widths(self) -> None:
        parts = 4 if self.use_visual_center else 2
        for name, divisors in (
            ("text_hidden_size", (2, self.num_attention_heads)),
            ("visual_hidden_size", (parts, parts // 2 * self.num_attention_heads)),
        ):
            width = getattr(self, name)
            if any(width % divisor for divisor in divisors):
                raise ValueError(
                    f"{name} is {width}; it must divide by {divisors[0]} for the GRU's directions, and by {divisors[1]} "
                    f"for num_attention_heads ({self.num_attention_heads})."
                )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Speech, and what it is fused with."""
        return ("audio", *self.auxiliary_modalities)

    def num_encoder_layers(self, modality: str) -> int:
        """How many layers the encoder of speech or text has; of speech, those below the fusion."""
        return super().num_encoder_layers(modality) - (self.num_fusion_layers if modality == "audio" else 0)

    @property
    def stream_sizes(self) -> dict[str, int]:
        """Width of each auxiliary modality as it is fused."""
        widths = {"text": self.text_hidden_size, "video": self.visual_hidden_size}
        return {name: widths[name] for name in self.auxiliary_modalities}

    @property
    def embedding_size(self) -> int:
        """Mean of the fused speech; with `"concat"`, means of all modalities."""
        return self.state_size("audio") + (sum(self.stream_sizes.values()) if self.fusion == "concat" else 0)
