"""What every fusion variant's configuration has in common."""

import math
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

# Of checkpoints, written into each `config.json`. It is raised whenever code that knows the number before would read some
# new checkpoint wrongly: a weight gets another name or shape, a field another meaning or default, or there is a new field
# or a new habit of the processor that changes answers. `from_dict` then goes on reading what has a lower number.
FORMAT = 1

# modality -> the field that configures its encoder
ENCODER_CONFIGS = {"audio": "audio_config", "text": "text_config", "video": "vision_config"}
# What a bare `XxxConfig()` is built from: the encoders of the papers.
DEFAULT_ENCODERS = {"audio": "wav2vec2", "text": "bert", "video": "efficientnet"}

# Fields in which vision encoders say how wide their vectors are; the first that there is counts.
VISION_WIDTHS = ("hidden_sizes", "hidden_dim", "hidden_size")


@strict
class EmoFusionConfig(PreTrainedConfig):
    r"""Base configuration: the encoders, what of them is frozen, and the classification head.

    Args:
        audio_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of the speech encoder: wav2vec 2.0, HuBERT, WavLM, data2vec-audio, or Whisper, of which the
            encoder is used. Defaults to `Wav2Vec2Config()`.
        text_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of the text encoder: BERT (MiniLM is one), RoBERTa, XLM-RoBERTa, DeBERTa-v2 or ModernBERT.
            Defaults to `BertConfig()`.
        vision_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of the encoder of single video frames. Defaults to `EfficientNetConfig()`.
        freeze_feature_encoder (`bool`, *optional*, defaults to `True`):
            Whether the convolutional front end of the speech encoder stays as it was pre-trained.
        freeze_audio_layers (`int`, *optional*, defaults to 0):
            How many of the speech encoder's first transformer layers are frozen, together with everything below
            them. -1 freezes the whole encoder.
        freeze_text_layers (`int`, *optional*, defaults to 0):
            The same for the text encoder, whose embeddings are frozen with the first layer. -1 freezes all.
        freeze_vision_encoder (`bool`, *optional*, defaults to `True`):
            Whether the vision encoder stays as it was pre-trained.
        use_weighted_layer_sum (`bool`, *optional*, defaults to `False`):
            Whether the fusion reads, instead of an encoder's last layer, a sum of all its layers with learned weights
            (a softmax; speech and text each have their own).
        modality_dropout (`float`, *optional*, defaults to 0.0):
            Probability that a training utterance loses some of its modalities, so that the model learns to do
            without: of those it has it keeps a random part, never nothing.
        classifier_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the utterance embedding before the classification head, and inside it.
        classifier_proj_size (`int`, *optional*):
            Width of a hidden layer with a ReLU in the classification head. `None` makes the head one linear layer.
        class_weights (`list[float]`, *optional*):
            Weight of each class in the cross-entropy. `None` weighs every utterance the same.
        label_smoothing (`float`, *optional*, defaults to 0.0):
            Share of what is wanted of the classes that is spread evenly over all of them (Szegedy 2016).
        focal_gamma (`float`, *optional*, defaults to 0.0):
            Exponent of the focal loss (Lin 2017), by which utterances count less that the model is sure of. 0.0 is
            cross-entropy.
    """

    sub_configs: ClassVar[dict] = dict.fromkeys(ENCODER_CONFIGS.values(), AutoConfig)
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "embedding",
        "losses",
        "cross_attentions",
        "gates",
        "modality_embeddings",
        "fallbacks",
        "hidden_states",
        "attentions",
    ]

    # What the variant comes from (title, authors, year, url), for the model card; None where it is no paper's method.
    paper: ClassVar[dict | None] = None

    audio_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    vision_config: dict | PreTrainedConfig | None = None
    freeze_feature_encoder: bool = True
    freeze_audio_layers: int = 0
    freeze_text_layers: int = 0
    freeze_vision_encoder: bool = True
    use_weighted_layer_sum: bool = False
    modality_dropout: float = 0.0
    classifier_dropout: float = 0.1
    classifier_proj_size: int | None = None
    class_weights: list[int | float] | None = None
    label_smoothing: int | float = 0.0
    focal_gamma: int | float = 0.0
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs):
        for modality, name in ENCODER_CONFIGS.items():
            if modality in self.encoders:
                setattr(self, name, _as_config(name, getattr(self, name), DEFAULT_ENCODERS[modality]))
            else:
                self._refuse_unused(name, None)
        for modality in ("audio", "text"):
            if modality in self.layered_encoders:
                self.set_frozen_layers(modality, getattr(self, f"freeze_{modality}_layers"))
            else:
                self._refuse_unused(f"freeze_{modality}_layers", 0)
        if not {"audio", "text"} & set(self.encoders):
            self._refuse_unused("use_weighted_layer_sum", False)
        if not 0.0 <= self.modality_dropout < 1.0:
            raise ValueError(f"modality_dropout is {self.modality_dropout}; it must be at least 0 and below 1.")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; it must be at least 0 and below 1.")
        if not 0.0 <= self.focal_gamma < math.inf:
            raise ValueError(f"focal_gamma is {self.focal_gamma}; it must be a number of at least 0.")
        if __name__.startswith("emofusion."):
            # The package has registered its own pipeline: that of a checkpoint would be preferred, and ask to be trusted.
            kwargs.pop("custom_pipelines", None)
        # Without a wish of its own, transformers would make encoders that exist forget their attention implementation.
        super().__post_init__(**{"attn_implementation": {}} | kwargs)
        if self.class_weights is not None and len(self.class_weights) != self.num_labels:
            raise ValueError(
                f"class_weights has {len(self.class_weights)} numbers for {self.num_labels} labels; give one per label."
            )

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs) -> "EmoFusionConfig":
        """As transformers', but what later code has written is not misread.

        Raises:
            ValueError: if the checkpoint is of a format that this code does not know yet.
        """
        fields = dict(config_dict)
        number = fields.pop("emofusion_format", 1)
        if number not in range(1, FORMAT + 1):
            source = kwargs.get("name_or_path") or fields.get("_name_or_path") or "This checkpoint"
            raise ValueError(
                f"{source} has the emofusion_format {number}, and this code knows formats up to {FORMAT}: upgrade it "
                "(pip install --upgrade emofusion), or do not import emofusion and load with trust_remote_code=True, "
                "which runs the code in the checkpoint's own folder."
            )
        return super().from_dict(fields, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """As transformers', with the format."""
        return super().to_dict() | {"emofusion_format": FORMAT}

    def _refuse_unused(self, name: str, unset) -> None:
        if getattr(self, name) != unset:
            reads = f"looks at {' and '.join(self.encoders)} only" if self.encoders else "has no encoder that it sets"
            raise ValueError(f"{name} is given, but this {type(self).__name__} {reads}; leave it out.")

    def set_frozen_layers(self, modality: str, count: int) -> None:
        """Set how many layers of a modality's encoder are frozen.

        Raises:
            ValueError: if the variant has no such encoder, or it has fewer layers.
        """
        name = f"freeze_{modality}_layers"
        if modality not in self.layered_encoders:
            raise ValueError(f"{name} cannot be set: this {type(self).__name__} has no encoder of {modality}.")
        layers = self.num_encoder_layers(modality)
        if not -1 <= count <= layers:
            raise ValueError(f"{name} is {count}; the {modality} encoder has {layers} layers, and -1 means all.")
        setattr(self, name, count)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the variant looks at, in the order of the forward contract."""
        return ("audio", "text")

    @property
    def encoders(self) -> tuple[str, ...]:
        """Those of the modalities that a sub-configuration describes the encoder of."""
        return self.modalities

    @property
    def layered_encoders(self) -> tuple[str, ...]:
        """The modalities of whose encoder the first layers can be frozen: speech and text, not single frames."""
        return tuple(modality for modality in self.encoders if modality != "video")

    @property
    def span_levels(self) -> tuple[str, ...]:
        """The levels of alignment (`"word"`, `"syllable"`, `"phone"`) that the fusion reads."""
        return ()

    @property
    def num_audio_layers(self) -> int:
        """How many layers of the speech encoder run before the fusion."""
        return self.num_encoder_layers("audio")

    def num_encoder_layers(self, modality: str) -> int:
        """How many layers the encoder of speech or text has."""
        return getattr(self, ENCODER_CONFIGS[modality]).num_hidden_layers

    def state_size(self, modality: str) -> int:
        """Width of the states that a modality brings to the fusion."""
        config = getattr(self, ENCODER_CONFIGS[modality])
        return vision_size(config) if modality == "video" else config.hidden_size

    @property
    def embedding_size(self) -> int:
        """Size of the fused utterance embedding."""
        raise NotImplementedError(f"{type(self).__name__} does not say how large its utterance embedding is.")


def vision_size(config: PreTrainedConfig) -> int:
    """Width of an image's vector: that of the last stage, or of what the encoder, as EfficientNet does, ends with."""
    sizes = [getattr(config, name) for name in VISION_WIDTHS if getattr(config, name, None)]
    return sizes[0] if isinstance(sizes[0], int) else sizes[0][-1]


def _as_config(name: str, value: dict | PreTrainedConfig | None, default_type: str) -> PreTrainedConfig:
    """`value` as a configuration object; a dict without `model_type` is one of `default_type`."""
    if isinstance(value, PreTrainedConfig):
        return value
    fields = dict(value or {})
    model_type = fields.pop("model_type", default_type)
    try:
        return AutoConfig.for_model(model_type, **fields)
    except ValueError as error:
        raise ValueError(f"{name} names the model_type {model_type!r}, which transformers does not know.") from error
