"""Configuration of WavFusion (Li 2024)."""

from typing import ClassVar, Literal

from .configuration_checks import MOST_LAYERS, checked, number, positive, share, whole
from .configuration_emofusion import EmoFusionConfig

AUXILIARY = ("text", "video")


@checked
class WavFusionConfig(EmoFusionConfig):
    r"""Speech attends to text and video inside the last layers of a wav2vec 2.0 encoder.

    After Li, Luo and Xia, "WavFusion: Towards wav2vec 2.0 Multimodal Speech Emotion Recognition" (arXiv 2412.05558).
    The paper's abstract names wav2vec 2.0, gated cross-modal attention and homogeneous feature discrepancy learning.
    Facts marked "notes" below are from a third party's reading notes of the paper; everything else is ours.

    Args:
        auxiliary_modalities (`list[str]`, *optional*, defaults to `["text", "video"]`):
            Modalities fused with speech (notes: text and video). An empty list makes a speech-only model.
        num_fusion_layers (`int`, *optional*, defaults to 3):
            Number of last layers of the speech encoder in which the modalities are fused (notes). They are trainable;
            `freeze_audio_layers` counts only the layers below.
        fusion (`str`, *optional*, defaults to `"gated"`):
            `"gated"` replaces the self-attention of these layers by gated cross-modal attention (notes). The control
            `"concat"` keeps their self-attention and concatenates the means of all modalities at the end.
        pooling (`str`, *optional*, defaults to `"mean"`):
            `"mean"`, or `"attentive_statistics"`: mean and standard deviation, weighted by an attention over the
            positions (Okabe 2018), which doubles the width of the utterance embedding.
        gate_self_attention (`bool`, *optional*, defaults to `True`):
            With one auxiliary modality: whether to keep the layer's self-attention and let the gate weigh the two.
            `False` uses the cross-modal attention alone, without a gate. No effect with two auxiliary modalities.
        use_visual_center (`bool`, *optional*, defaults to `True`):
            Whether the video branch has a learnable visual center next to its recurrent part (notes). Without it the
            recurrent part takes the whole width.
        num_codewords (`int`, *optional*, defaults to 64):
            Number of codewords of the learnable visual center.
        text_hidden_size (`int`, *optional*, defaults to 768):
            Width of the text branch's output (notes).
        visual_hidden_size (`int`, *optional*, defaults to 64):
            Width of the video branch's output (notes).
        num_attention_heads (`int`, *optional*, defaults to 8):
            Attention heads of the self-attention after the GRUs. Cross-modal attention uses the heads of the speech
            encoder.
        attention_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the attention weights after the GRUs.
        hidden_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the output of this attention before the residual connection.
        layer_norm_eps (`float`, *optional*, defaults to 1e-5):
            Epsilon of the layer normalisations after the GRUs and in the visual center.
        discrepancy_weight (`float`, *optional*, defaults to 1.0):
            Weight lambda of discrepancy learning in the loss (notes: 1 was best). 0 turns it off. It compares classes,
            so a model of dimensions alone does not have it.
        margin (`float`, *optional*, defaults to 0.2):
            Margin theta of discrepancy learning.
        freeze_audio_layers (`int`, *optional*, defaults to -1):
            As in [`EmoFusionConfig`], counting the layers below the fusion; the default freezes all of them (notes).
        freeze_text_layers (`int`, *optional*, defaults to -1 with text, 0 without):
            As in [`EmoFusionConfig`]; the default freezes all layers (notes).
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
        "stated": "wav2vec 2.0 as the backbone, gated cross-modal attention, homogeneous feature discrepancy learning",
        "noted": "the encoders and branches of text and video, the frozen and the trained layers, the gate, the margin loss",
        "ours": "the choice of EfficientNet, the inner form of the visual center, the margin, the gate with one auxiliary "
        "modality, the numbers that the notes do not give",
    }

    auxiliary_modalities: list[str] | tuple[str, ...] = AUXILIARY
    num_fusion_layers: int = whole(0, 3, most=MOST_LAYERS)
    fusion: Literal["gated", "concat"] = "gated"
    pooling: Literal["mean", "attentive_statistics"] = "mean"
    gate_self_attention: bool = True
    use_visual_center: bool = True
    num_codewords: int = whole(1, 64)
    text_hidden_size: int = whole(1, 768)
    visual_hidden_size: int = whole(1, 64)
    num_attention_heads: int = whole(1, 8)
    attention_dropout: int | float = share(0.1)
    hidden_dropout: int | float = share(0.1)
    layer_norm_eps: int | float = positive(1e-5)
    discrepancy_weight: int | float = number(1.0)
    margin: int | float = number(0.2)
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
                "use_weighted_layer_sum is True, but the fusion happens inside the speech encoder; set it to False."
            )

    def _match_fields(self) -> None:
        if "discrepancy" in (self.loss_weights or {}):
            raise ValueError("loss_weights names discrepancy, whose weight is discrepancy_weight; leave it out.")
        super()._match_fields()

    def _check_fusion_layers(self) -> None:
        layers, fused = self.audio_config.num_hidden_layers, self.num_fusion_layers
        if not 0 <= fused < layers:
            raise ValueError(
                f"num_fusion_layers is {fused}; the audio encoder has {layers} layers, and at least one must stay below the fusion."
            )
        if not fused and self.fusion == "gated" and self.auxiliary_modalities:
            raise ValueError(
                'num_fusion_layers is 0, so nothing would be fused; set it to 1 or more, or set fusion to "concat".'
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
                    f"{name} is {width}; it must be divisible by {divisors[0]} for the GRU's directions, and by {divisors[1]} "
                    f"for num_attention_heads ({self.num_attention_heads})."
                )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Speech and the auxiliary modalities."""
        return ("audio", *self.auxiliary_modalities)

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """See [`EmoFusionConfig`]; with discrepancy learning if there are classes and modalities to compare."""
        is_learned = self.discrepancy_weight and self.auxiliary_modalities and not self.is_regression
        return super().loss_parts + ("discrepancy",) * bool(is_learned)

    def num_encoder_layers(self, modality: str) -> int:
        """Return the number of layers of the speech or text encoder; for speech, those below the fusion."""
        return super().num_encoder_layers(modality) - (self.num_fusion_layers if modality == "audio" else 0)

    @property
    def stream_sizes(self) -> dict[str, int]:
        """Width of the branch of each auxiliary modality."""
        widths = {"text": self.text_hidden_size, "video": self.visual_hidden_size}
        return {name: widths[name] for name in self.auxiliary_modalities}

    @property
    def pooled_sizes(self) -> dict[str, int]:
        """Width of the states of each modality that is pooled."""
        return {"audio": self.state_size("audio")} | (self.stream_sizes if self.fusion == "concat" else {})

    @property
    def embedding_size(self) -> int:
        """Width of the utterance embedding: the pooled speech after fusion; with `"concat"`, all pooled modalities."""
        return sum(self.pooled_sizes.values()) * (1 if self.pooling == "mean" else 2)
