"""The configuration that all fusion variants share."""

import os
from typing import Any, ClassVar, Literal

from transformers import AutoConfig, PreTrainedConfig

from .configuration_checks import (
    DTYPES,
    MOST_LABELS,
    check_auxiliary_labels,
    check_class_weights,
    check_labels,
    checked,
    number,
    share,
    whole,
)
from .dimensions import DEFAULT_SCALE, check_dimensions, check_loss_weights, check_scale
from .encoder_fields import as_encoder_config, vision_hidden_size
from .folder_checks import check_folder
from .modalities import MODALITIES
from .plain_text import reason_of, show_dtype, show_value

# Number of the checkpoint format, written into each `config.json`. Raise it when older code would misread a new
# checkpoint: a weight has another name or shape, a field another meaning or default, or a new field or behaviour of the
# processor changes predictions. Raise `OLDEST_FORMAT` when this code can no longer read the older checkpoints.
FORMAT = 2
OLDEST_FORMAT = 2

MOST_CONTEXT_LAYERS = 64
MOST_EARLIER = 1000  # utterances of a `context_window`

# Fields of the loss of classes, which a model without classes must leave out, at their defaults.
CLASS_FIELDS = {"class_weights": None, "label_smoothing": 0.0, "focal_gamma": 0.0}
# Fields that describe dimensions, which a model without them must leave out, at their defaults.
DIMENSION_FIELDS = {"dimension_scale": None, "dimension_loss": "ccc"}


@checked
class EmoFusionConfig(PreTrainedConfig):
    r"""Base configuration: the encoders, their frozen layers, the heads and their losses.

    A model learns classes (`id2label`), dimensions (`problem_type="regression"`, with `id2label` naming the dimensions),
    or both (`dimensions` beside the classes of `id2label`).

    Args:
        audio_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of the speech encoder: wav2vec 2.0, HuBERT, WavLM, data2vec-audio, or Whisper (only its
            encoder is used). Defaults to `Wav2Vec2Config()`.
        text_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of the text encoder: BERT (including MiniLM), RoBERTa, XLM-RoBERTa, DeBERTa-v2 or ModernBERT.
            Defaults to `BertConfig()`.
        vision_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of the encoder of single video frames. Defaults to `EfficientNetConfig()`.
        freeze_feature_encoder (`bool`, *optional*, defaults to `True`):
            Whether to freeze the convolutional front end of the speech encoder.
        freeze_audio_layers (`int`, *optional*, defaults to 0):
            Number of transformer layers of the speech encoder to freeze, counted from the input, together with
            everything below them. -1 freezes the whole encoder.
        freeze_text_layers (`int`, *optional*, defaults to 0):
            The same for the text encoder; its embeddings are frozen with the first layer.
        freeze_vision_encoder (`bool`, *optional*, defaults to `True`):
            Whether to freeze the vision encoder.
        use_weighted_layer_sum (`bool`, *optional*, defaults to `False`):
            Whether the fusion reads a weighted sum of all layers of an encoder instead of the last layer. The weights
            are learned (a softmax), separately for speech and text.
        modality_dropout (`float`, *optional*, defaults to 0.0):
            Probability that a training utterance loses some of its modalities, so that the model learns to work
            without them. A random subset remains, never an empty one.
        classifier_dropout (`float`, *optional*, defaults to 0.1):
            Dropout on the utterance embedding before the classification head, and inside the head.
        classifier_proj_size (`int`, *optional*):
            Width of a hidden ReLU layer in the classification head. `None` makes the head one linear layer.
        class_weights (`list[float]`, *optional*):
            Weight of each class in the cross-entropy. `None` weighs all classes equally.
        label_smoothing (`float`, *optional*, defaults to 0.0):
            Share of the target that is spread evenly over all classes (Szegedy 2016).
        focal_gamma (`float`, *optional*, defaults to 0.0):
            Exponent of the focal loss (Lin 2017), which reduces the weight of utterances that the model classifies
            with high confidence. 0.0 is cross-entropy.
        context_layers (`int`, *optional*, defaults to 0):
            Number of layers of a causal transformer (ours) between the utterance embedding and the head, in which an
            utterance attends to earlier utterances of its dialogue. 0 means that every utterance is classified alone.
        context_heads (`int`, *optional*, defaults to 4):
            Number of attention heads of that transformer; divides `context_hidden_size`.
        context_hidden_size (`int`, *optional*, defaults to 256):
            Width of that transformer.
        context_window (`int`, *optional*, defaults to 8):
            Number of earlier utterances that an utterance attends to in each layer.
        context_dropout (`float`, *optional*, defaults to 0.1):
            Dropout in that transformer.
        dimensions (`list[str]`, *optional*):
            Names of the dimensions to learn, some of `"valence"`, `"arousal"` and `"dominance"`. With
            `problem_type="regression"` they are the names in `id2label`, and may be left out. `None` otherwise means none.
        dimension_scale (`list[float]`, *optional*):
            Lowest and highest value of the dimensions, in labels and in predictions. Defaults to `[1, 5]` if dimensions are
            learned.
        dimension_loss (`str`, *optional*, defaults to `"ccc"`):
            Loss of the dimensions: `"ccc"`, 1 minus the concordance correlation coefficient (Lin 1989), or `"mse"`, the
            squared error where the scale is 0 to 1.
        loss_weights (`dict[str, float]`, *optional*):
            Weights of the parts of the loss by name: `cross_entropy`, `dimensions`, and `auxiliary_<name>` for each auxiliary
            head. A part without one has the weight 1. The discrepancy of WavFusion has `discrepancy_weight` instead.
        auxiliary_labels (`dict[str, list[str]]`, *optional*):
            Names of the classes of auxiliary heads, by name of the head, such as `{"gender": ["female", "male"]}`. The
            part of the loss is `auxiliary_gender`, with a weight in `loss_weights`.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the normal distribution that initialises linear layers and embeddings.
    """

    sub_configs: ClassVar[dict] = {modality.config_field: AutoConfig for modality in MODALITIES.values()}
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "embedding",
        "losses",
        "auxiliary_logits",
        "cross_attentions",
        "gates",
        "modality_embeddings",
        "fallbacks",
        "hidden_states",
        "attentions",
    ]

    # For the model card: the paper behind the variant (title, authors, year, url), and which parts of the method are stated
    # in its abstract or on its page, are noted by a third party who read it, or are ours.
    paper: ClassVar[dict | None] = None

    audio_config: PreTrainedConfig | dict | None = None
    text_config: PreTrainedConfig | dict | None = None
    vision_config: PreTrainedConfig | dict | None = None
    freeze_feature_encoder: bool = True
    freeze_audio_layers: int = 0
    freeze_text_layers: int = 0
    freeze_vision_encoder: bool = True
    use_weighted_layer_sum: bool = False
    modality_dropout: int | float = share(0.0)
    classifier_dropout: int | float = share(0.1)
    classifier_proj_size: int | None = whole(1, None)
    class_weights: list[int | float] | None = None
    label_smoothing: int | float = share(0.0)
    focal_gamma: int | float = number(0.0)
    context_layers: int = whole(0, 0, MOST_CONTEXT_LAYERS)
    context_heads: int = whole(1, 4)
    context_hidden_size: int = whole(1, 256)
    context_window: int = whole(1, 8, MOST_EARLIER)
    context_dropout: int | float = share(0.1)
    dimensions: list[str] | tuple[str, ...] | None = None
    dimension_scale: list[int | float] | tuple[int | float, ...] | None = None
    dimension_loss: Literal["ccc", "mse"] = "ccc"
    loss_weights: dict[str, int | float] | None = None
    auxiliary_labels: dict[str, list[str]] | None = None
    initializer_range: int | float = number(0.02)
    # Fields of transformers, whose types not every version checks. The labels are checked by `check_labels`.
    id2label: Any = None
    architectures: list[str] | None = None
    return_dict: bool | None = True
    output_hidden_states: bool | None = False
    is_encoder_decoder: bool = False
    chunk_size_feed_forward: int = whole(0, 0)
    transformers_version: str | None = None
    label2id: dict | None = None
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = None

    def __post_init__(self, **kwargs):
        for name, modality in MODALITIES.items():
            if name in self.encoders:
                field = modality.config_field
                setattr(self, field, as_encoder_config(field, getattr(self, field), modality.default_encoder))
            else:
                self._check_unused(modality.config_field, None)
            if name in self.layered_encoders:
                self.set_frozen_layers(name, getattr(self, modality.freeze_field))
            elif modality.has_layers:
                self._check_unused(modality.freeze_field, 0)
        if not any(MODALITIES[name].has_layers for name in self.encoders):
            self._check_unused("use_weighted_layer_sum", False)
        if self.context_hidden_size % self.context_heads:
            raise ValueError(
                f"context_heads is {self.context_heads}; it must divide context_hidden_size, {self.context_hidden_size}."
            )
        self._check_labels_and_dtype(kwargs)
        if self.is_regression and self.id2label is None and self.dimensions:
            self.id2label = dict(enumerate(self.dimensions))
        if __name__.startswith("emofusion."):
            # The package registers its own pipeline. With this field transformers would prefer the checkpoint's code
            # and require `trust_remote_code`.
            kwargs.pop("custom_pipelines", None)
        # Without this key transformers resets the attention implementation of existing encoder configurations.
        super().__post_init__(**{"attn_implementation": {}} | kwargs)
        self._match_fields()
        if self.class_weights is not None:
            check_class_weights(self.class_weights, self.num_labels)

    def _check_labels_and_dtype(self, kwargs: dict[str, Any]) -> None:
        if self.id2label is not None:
            check_labels(self.id2label)
        labels = kwargs.get("num_labels")
        if labels is not None and not (type(labels) is int and 0 < labels <= MOST_LABELS):
            raise ValueError(f"num_labels is {show_value(labels)}; it must be from 1 to {MOST_LABELS}.")
        if not isinstance(kwargs.get("output_attentions", False), bool | None):
            raise ValueError(
                f"output_attentions is {show_value(kwargs['output_attentions'])}; it must be true or false."
            )
        dtype = self.dtype if self.dtype is not None else kwargs.get("torch_dtype")
        if dtype is not None and show_dtype(dtype) not in DTYPES:
            raise ValueError(f"dtype is {show_value(dtype)}; it must be one of {', '.join(DTYPES)}.")

    def _match_fields(self) -> None:
        """Complete and check the fields that depend on each other: labels, dimensions and parts of the loss."""
        check_labels(self.id2label)
        self.label2id = {label: index for index, label in self.id2label.items()}
        if self.is_regression:
            self._match_regression()
        if self.dimensions is None:
            for name, unset in DIMENSION_FIELDS.items():
                if getattr(self, name) != unset:
                    raise ValueError(f"{name} is given, but no dimensions are learned; name them in dimensions.")
        else:
            check_dimensions(self.dimensions)
            scale = DEFAULT_SCALE if self.dimension_scale is None else self.dimension_scale
            check_scale(scale)
            self.dimensions, self.dimension_scale = list(self.dimensions), [float(value) for value in scale]
        if self.auxiliary_labels is not None:
            check_auxiliary_labels(self.auxiliary_labels)
        if self.loss_weights is not None:
            check_loss_weights(self.loss_weights, self.loss_parts)

    def _match_regression(self) -> None:
        names = [name for _, name in sorted(self.id2label.items())]
        check_dimensions(names, "problem_type is 'regression', and the list of names in id2label")
        if self.dimensions is None:
            self.dimensions = names
        if list(self.dimensions) != names:
            raise ValueError(
                f"problem_type is 'regression', and id2label has the names {', '.join(names)}, but dimensions is "
                f"{show_value(self.dimensions)}; give both the same names in the same order, or leave one out."
            )
        for name, unset in CLASS_FIELDS.items():
            if getattr(self, name) != unset:
                raise ValueError(f"{name} is given, but a model of dimensions alone has no classes; leave it out.")

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> tuple[dict, dict]:
        """Read the fields of a `config.json` as transformers does, after a check of the folder.

        Args:
            pretrained_model_name_or_path: A folder or Hub id.
            **kwargs: As in transformers.

        Raises:
            ValueError: If a file of the folder is no plain file, or not the JSON that its name says.
        """
        check_folder(pretrained_model_name_or_path, kwargs.get("subfolder"))
        return super().get_config_dict(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> "EmoFusionConfig":
        """Load a configuration as transformers does; errors name the folder.

        Args:
            pretrained_model_name_or_path: A folder or Hub id.
            **kwargs: As in transformers.

        Raises:
            ValueError: As [`EmoFusionConfig.from_dict`].
        """
        source = pretrained_model_name_or_path
        return super().from_pretrained(source, **{"name_or_path": source} | kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs) -> "EmoFusionConfig":
        """Build a configuration from the fields of a `config.json`.

        Args:
            config_dict: The fields, with the number of the checkpoint format.
            **kwargs: As in `PreTrainedConfig.from_dict`.

        Raises:
            ValueError: If the number is missing, or this code cannot read that format, or a field is wrong.
        """
        fields = dict(config_dict)
        source = kwargs.get("name_or_path") or fields.get("_name_or_path")
        number = fields.pop("emofusion_format", None)
        if number not in range(OLDEST_FORMAT, FORMAT + 1):
            found = "no emofusion_format" if number is None else f"the emofusion_format {number}"
            older = number is None or number in range(OLDEST_FORMAT)
            remedy = "train it again" if older else "upgrade emofusion (pip install --upgrade emofusion)"
            raise ValueError(
                f"{source or 'This checkpoint'} has {found}, and this code reads format {FORMAT}: {remedy}, or do not import emofusion and load "
                "with trust_remote_code=True, which runs the code in the checkpoint's own folder."
            )
        place = f"config.json of {source}: " if source else ""
        try:
            cls._check_names(fields)
            if "id2label" in kwargs:
                check_labels(kwargs["id2label"])
            loaded = super().from_dict(fields, **kwargs)
            config = loaded[0] if isinstance(loaded, tuple) else loaded
            config._match_fields()  # some may have been given as keyword arguments
            return loaded
        except ValueError as error:
            raise ValueError(f"{place}{error}") from error
        except Exception as error:  # whatever transformers raises for a value that it does not expect
            raise ValueError(f"{place}a field is wrong: {type(error).__name__}: {reason_of(error)}.") from error

    @classmethod
    def _check_names(cls, fields: dict[str, Any]) -> None:
        if (model_type := fields.get("model_type", cls.model_type)) != cls.model_type:
            raise ValueError(f"model_type is {show_value(model_type)}; {cls.__name__} is for {cls.model_type}.")
        for name in set(fields) - set(cls.__dataclass_fields__):
            attribute = getattr(cls, name, None)
            if callable(attribute) or (isinstance(attribute, property) and attribute.fset is None):
                raise ValueError(f"{show_value(name)} is no field of a {cls.__name__}; leave it out.")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with the number of the checkpoint format; all parts have the one dtype of the model."""
        fields = super().to_dict() | {"emofusion_format": FORMAT}
        for modality in MODALITIES.values():
            (fields[modality.config_field] or {}).pop("dtype", None)
        return fields

    def _check_unused(self, name: str, unset) -> None:
        if getattr(self, name) != unset:
            reads = f"uses {' and '.join(self.encoders)} only" if self.encoders else "has no encoder for it"
            raise ValueError(f"{name} is given, but this {type(self).__name__} {reads}; leave it out.")

    def set_frozen_layers(self, modality: str, count: int) -> None:
        """Set the number of frozen layers of an encoder.

        Args:
            modality: `"audio"` or `"text"`.
            count: The number of layers; -1 means all.

        Raises:
            ValueError: If the variant has no such encoder, or it has fewer layers.
        """
        name = MODALITIES[modality].freeze_field
        if modality not in self.layered_encoders:
            raise ValueError(f"{name} cannot be set: this {type(self).__name__} has no {modality} encoder.")
        layers = self.num_encoder_layers(modality)
        if not -1 <= count <= layers:
            raise ValueError(f"{name} is {count}; the {modality} encoder has {layers} layers, and -1 means all.")
        setattr(self, name, count)

    @property
    def is_regression(self) -> bool:
        """Whether the logits are values of dimensions instead of scores of classes."""
        return self.problem_type == "regression"

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss, as in `output.losses`; each may have a weight in `loss_weights`."""
        classes = () if self.is_regression else ("cross_entropy",)
        dimensions = ("dimensions",) if self.dimensions else ()
        return (*classes, *dimensions, *(f"auxiliary_{name}" for name in self.auxiliary_labels or ()))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the variant uses, in the order of the forward contract."""
        return ("audio", "text")

    @property
    def encoders(self) -> tuple[str, ...]:
        """The modalities whose encoder is described by a sub-configuration."""
        return self.modalities

    @property
    def layered_encoders(self) -> tuple[str, ...]:
        """The modalities whose encoder can be frozen layer by layer."""
        return tuple(name for name in self.encoders if MODALITIES[name].has_layers)

    @property
    def span_levels(self) -> tuple[str, ...]:
        """The levels of an alignment (`"word"`, `"syllable"`, `"phone"`) that the fusion reads."""
        return ()

    @property
    def history(self) -> int:
        """The number of earlier utterances of a dialogue that the scores of an utterance depend on."""
        return self.context_layers * self.context_window

    @property
    def num_audio_layers(self) -> int:
        """Number of layers of the speech encoder below the fusion."""
        return self.num_encoder_layers("audio")

    def num_encoder_layers(self, modality: str) -> int:
        """Return the number of layers of the encoder of a `modality`, "audio" or "text"."""
        return getattr(self, MODALITIES[modality].config_field).num_hidden_layers

    def state_size(self, modality: str) -> int:
        """Return the width of the encoder states of a `modality`."""
        config = getattr(self, MODALITIES[modality].config_field)
        return vision_hidden_size(config) if modality == "video" else config.hidden_size

    @property
    def embedding_size(self) -> int:
        """Width of the fused utterance embedding."""
        raise NotImplementedError(f"{type(self).__name__} does not define embedding_size.")
