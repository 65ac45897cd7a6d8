"""Configuration of late fusion (Padi 2022, Zhao 2022)."""

from typing import Any, Literal, get_args

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .configuration_checks import build_config, check_labels, checked
from .configuration_cross_attention import CrossAttentionFusionConfig
from .configuration_emofusion import FORMAT, EmoFusionConfig
from .configuration_multi_level import MultiLevelFusionConfig
from .configuration_speaker_resnet import SpeakerResNetConfig
from .configuration_unimodal import UnimodalConfig
from .configuration_wavfusion import WavFusionConfig
from .modalities import MODALITIES

# Listed here because the Auto classes do not know our model types where emofusion is not installed.
MEMBER_CONFIGS: dict[str, type[EmoFusionConfig]] = {
    config.model_type: config
    for config in (
        UnimodalConfig,
        CrossAttentionFusionConfig,
        MultiLevelFusionConfig,
        SpeakerResNetConfig,
        WavFusionConfig,
    )
}
# Papers with a late fusion, by a member that only they have, and what is stated there.
PAPERS: dict[type[EmoFusionConfig], str] = {
    SpeakerResNetConfig: "late fusion of the scores of the speech model and of a fine-tuned BERT",
    MultiLevelFusionConfig: "late fusion with the models trained on both embeddings, which may mean models of one of them, "
    "or of both",
}
# Fields of a saved configuration that depend on where, or in which dtype, it was saved; they are those of the fusion.
LOCATION_FIELDS = ("_name_or_path", "auto_map", "custom_pipelines", "transformers_version", "dtype")
# Combinations of dimensions. Those of classes are all others, and the first two.
OF_VALUES = ("mean", "weighted", "linear")

# Fields of other variants that a late fusion must leave out, at their defaults.
UNUSED = {"modality_dropout": 0.0, "classifier_dropout": 0.0, "classifier_proj_size": None, "auxiliary_labels": None}
UNUSED |= {"context_layers": 0}


@checked
class LateFusionConfig(EmoFusionConfig):
    r"""Late fusion: complete models whose log-probabilities, or values of dimensions, are combined.

    After Padi, Sadjadi, Manocha and Sriram (arXiv 2202.08974), who fuse the scores of a speech and a text model, and
    Zhao, Wang and Wang (arXiv 2207.04697), whose late fusion includes models of both modalities. Everything below is
    ours.

    Args:
        member_configs (`list[dict | PreTrainedConfig]`, *optional*):
            Configurations of the members, at least one: any variant of emofusion, and any classifier of waveforms or
            text in transformers. A dict names its `model_type`. All members have the same labels, in any order.
            Defaults to two `UnimodalConfig()`, for speech and for text.
        problem_type (`str`, *optional*):
            `"regression"` combines the dimensions of the members, which have the same ones, in any order, and one
            scale; a member may have classes as well. Defaults to it if any member has dimensions alone. Otherwise the
            classes are combined, and dimensions of the members are not used. Regressors of transformers, which state no
            scale, cannot be members.
        combination (`str`, *optional*, defaults to `"mean"`):
            `"mean"`, the mean of the members' log-probabilities; `"weighted"`, with non-negative weights that sum to
            1; `"mean_probability"` and `"weighted_probability"`, the same of the members' probabilities; or
            `"logistic"`, multinomial logistic regression on the log-probabilities. For dimensions: `"mean"` and
            `"weighted"` of their values, or `"linear"`, linear regression of each dimension on the members' values of it.
        freeze_members (`bool`, *optional*, defaults to `True`):
            Whether to freeze the members and train only the combination.

    The labels (`id2label`), or the dimensions and their scale, default to those of the first member. The arguments of [`EmoFusionConfig`] for encoders,
    dropout and the classification head do not apply: each member has its own.
    """

    model_type = "emofusion_late_fusion"

    member_configs: list[dict | PreTrainedConfig] | None = None
    combination: Literal["mean", "weighted", "mean_probability", "weighted_probability", "logistic", "linear"] = "mean"
    freeze_members: bool = True
    classifier_dropout: int | float = 0.0

    def __post_init__(self, **kwargs):
        if self.member_configs is None:
            shared = self._learned_fields(kwargs)
            self.member_configs = [UnimodalConfig(modality=name, **shared) for name in ("audio", "text")]
        if not self.member_configs:
            raise ValueError("member_configs is empty; a late fusion needs at least one member.")
        self.member_configs = [
            as_member_config(member, f"member_configs[{number}]") for number, member in enumerate(self.member_configs)
        ]
        self._complete_from_members()
        super().__post_init__(**kwargs)
        for name, unset in UNUSED.items():
            self._check_unused(name, unset)
        for number, member in enumerate(self.member_configs):
            (self._check_dimensions if self.is_regression else self._check_labels)(number, member)

    def _learned_fields(self, others: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of new members that say what they learn."""
        names = {"id2label": self.id2label} if self.id2label else {}
        if self.is_regression:
            fields = {name: getattr(self, name) for name in ("problem_type", "dimensions", "dimension_scale")}
            return names | fields
        return names or {"num_labels": others.get("num_labels", 2)}

    def _complete_from_members(self) -> None:
        """Take what the fusion predicts from the members where it is not given."""
        if self.problem_type is None and any(member.problem_type == "regression" for member in self.member_configs):
            self.problem_type = "regression"
        first = self.member_configs[0]
        if self.is_regression:
            for number, member in enumerate(self.member_configs):
                self._check_has_dimensions(number, member)
            if self.id2label is None:
                self.id2label = dict(enumerate(self.dimensions or first.dimensions))
            if self.dimension_scale is None:
                self.dimension_scale = first.dimension_scale
        elif self.id2label is None:
            self.id2label = dict(first.id2label)

    def _match_fields(self) -> None:
        super()._match_fields()
        if self.dimensions and not self.is_regression:
            raise ValueError(
                "dimensions is given, but a late fusion combines either classes or dimensions; leave it out, or set "
                "problem_type to 'regression'."
            )
        kinds = get_args(type(self).__dataclass_fields__["combination"].type)
        known = OF_VALUES if self.is_regression else [kind for kind in kinds if kind != "linear"]
        if self.combination not in known:
            raise ValueError(
                f"combination is {self.combination!r}, which does not combine "
                f"{'dimensions' if self.is_regression else 'classes'}; choose one of {', '.join(known)}."
            )

    @staticmethod
    def _check_has_dimensions(number: int, member: PreTrainedConfig) -> None:
        if not isinstance(member, EmoFusionConfig):
            raise ValueError(
                f"Member {number} ({member.model_type}) is a model of transformers, which states no scale of dimensions; a "
                "late fusion of dimensions needs models of emofusion."
            )
        if not member.dimensions:
            raise ValueError(
                f"Member {number} ({member.model_type}) has classes only, and the fusion combines dimensions; give members "
                "that predict dimensions."
            )

    def _check_dimensions(self, number: int, member: PreTrainedConfig) -> None:
        for name, wanted, known in (
            ("dimensions", sorted(self.dimensions), sorted(member.dimensions)),
            ("dimension_scale", self.dimension_scale, member.dimension_scale),
        ):
            if wanted != known:
                raise ValueError(
                    f"Member {number} ({member.model_type}) has the {name} {', '.join(map(str, known))}, and the fusion "
                    f"{', '.join(map(str, wanted))}; give members with the same dimensions, in any order, and one scale."
                )

    def _check_labels(self, number: int, member: PreTrainedConfig) -> None:
        if member.problem_type in ("regression", "multi_label_classification"):
            raise ValueError(
                f"Member {number} has problem_type {member.problem_type!r}; a late fusion of classes needs single-label "
                "classification."
            )
        wanted, known = list(self.id2label.values()), list(member.id2label.values())
        if sorted(wanted) != sorted(known):
            raise ValueError(
                f"Member {number} ({member.model_type}) has the labels {', '.join(known)}, and the fusion "
                f"{', '.join(wanted)}; give members with the same labels, in any order."
            )

    @property
    def paper(self) -> dict:
        """The paper whose late fusion this is, by the members: Padi's with a speaker network, Zhao's with its own models."""
        types = {member.model_type for member in self.member_configs}
        for config, stated in PAPERS.items():
            if config.model_type in types:
                about = {name: config.paper[name] for name in ("title", "authors", "year", "url")}
                return {**about, "stated": stated, "ours": "the choice of the members, the combination"}
        return {"ours": "the choice of the members, the combination"}

    @property
    def sub_configs(self) -> dict[str, type]:
        """The members, named so that transformers passes `dtype` and similar settings on to them."""
        return {f"member_{number}_config": AutoConfig for number in range(len(self.member_configs or ()))}

    def __getattr__(self, name: str) -> Any:
        if name in self.sub_configs:
            return self.member_configs[int(name.split("_")[1])]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that any member uses, in the order of the forward contract."""
        used = {modality for member in self.member_configs for modality in member_modalities(member)}
        return tuple(modality for modality in MODALITIES if modality in used)

    @property
    def encoders(self) -> tuple[str, ...]:
        """Empty: the encoders belong to the members."""
        return ()

    @property
    def history(self) -> int:
        """The number of earlier utterances of a dialogue that the scores of any member depend on."""
        return max(getattr(member, "history", 0) for member in self.member_configs)

    @property
    def embedding_size(self) -> int:
        """Width of the utterance embedding: the log-probabilities, or values of dimensions, of all members."""
        return len(self.member_configs) * self.num_labels

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with the members as dicts without location and dtype."""
        members = [
            {name: value for name, value in member.to_dict().items() if name not in LOCATION_FIELDS}
            for member in self.member_configs
        ]
        return super().to_dict() | {"member_configs": members}


def as_member_config(value: dict[str, Any] | PreTrainedConfig, place: str = "A member") -> PreTrainedConfig:
    """Return a member's configuration as an object.

    Args:
        value: A configuration, or its fields with `model_type`.
        place: What an error names.

    Raises:
        ValueError: If it cannot be a member, or has a checkpoint format that this code does not read.
    """
    if not isinstance(value, PreTrainedConfig):
        fields = {name: field for name, field in value.items() if name not in LOCATION_FIELDS}
        model_type = fields.pop("model_type", None)
        if not isinstance(model_type, str) or (model_type not in MEMBER_CONFIGS and model_type not in CONFIG_MAPPING):
            raise ValueError(
                f"{place} has the model_type {model_type!r}, which neither emofusion nor transformers knows; name a classifier of one of them."
            )
        config_class = MEMBER_CONFIGS.get(model_type) or CONFIG_MAPPING[model_type]
        if issubclass(config_class, EmoFusionConfig):
            # Members in a saved fusion have a format number, members in a recipe have none.
            fields = {"emofusion_format": FORMAT} | fields
            value = config_class.from_dict(fields)
        else:
            value = build_config(place, config_class.from_dict, fields)
    member_modalities(value)
    check_labels(value.id2label)
    return value


def member_modalities(config: PreTrainedConfig) -> tuple[str, ...]:
    """Return the modalities of a member: those of an emofusion variant, or audio or text for a transformers model.

    Raises:
        ValueError: If the model type cannot be a member.
    """
    if config.model_type in MEMBER_CONFIGS:
        return config.modalities
    if config.model_type == LateFusionConfig.model_type:
        raise ValueError("A late fusion cannot be a member of another; name its members instead.")
    from transformers import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    if type(config) in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        return ("text",)
    if type(config) in MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING:
        if hasattr(config, "conv_kernel"):  # the others take spectrograms
            return ("audio",)
        raise ValueError(
            f"{config.model_type} cannot be a member of a late fusion: it does not take waveforms; choose a model "
            "with a convolutional front end, such as wav2vec2, hubert or wavlm."
        )
    raise ValueError(f"{config.model_type} cannot be a member of a late fusion: it classifies neither audio nor text.")
