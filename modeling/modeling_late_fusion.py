"""Late fusion of any number of models (Padi 2022, arXiv 2202.08974; Zhao 2022, arXiv 2207.04697)."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from ..configuration.configuration_late_fusion import LateFusionConfig
from ..configuration.modalities import MODALITIES
from .fusion_dialogue import count_asked
from .fusion_late_members import build_member, load_member, run_member, select_inputs
from .head_score_combination import COMBINATIONS
from .head_value_combination import VALUE_COMBINATIONS
from .modeling_dtype import set_dtype, weight_dtype
from .modeling_emofusion import EmoFusionForSequenceClassification
from .modeling_lengths import zero_rows
from .modeling_outputs import EmotionOutput
from .modeling_pretrained import EmoFusionPreTrainedModel, pack_encoders

# The inputs of classifiers. In a batch their names may have the prefix `member_<number>_`.
INPUT_SUFFIXES = tuple(name for modality in MODALITIES.values() for name in modality.inputs)


class LateFusionPreTrainedModel(EmoFusionPreTrainedModel):
    """Initialisation and loading for both models of late fusion."""

    config: LateFusionConfig

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, (*COMBINATIONS.values(), *VALUE_COMBINATIONS.values())):
            module.reset_parameters()

    @classmethod
    def from_members_pretrained(
        cls, members: Sequence[str | PreTrainedModel], dtype: str | torch.dtype | None = None, **kwargs
    ) -> "LateFusionPreTrainedModel":
        """Build a late fusion of trained models, in evaluation mode.

        Args:
            members: Hub ids or folders, or the models themselves; at least one.
            dtype: The dtype of all weights, whatever the members were saved in; float32 if None.
            **kwargs: Fields of [`LateFusionConfig`].

        Raises:
            ValueError: If a model cannot be a member, lacks weights, or has other labels or dimensions, or `dtype` is
                no dtype of real numbers.
        """
        dtype = weight_dtype(dtype)
        models = [
            member if isinstance(member, PreTrainedModel) else load_member(str(member), dtype) for member in members
        ]
        config = cls.config_class(member_configs=[model.config for model in models], **kwargs)
        return set_dtype(cls(config, members=models), dtype).eval()


class LateFusionModel(LateFusionPreTrainedModel):
    """The members of a late fusion. The utterance embedding is the concatenation of their outputs.

    Args:
        config: The configuration of the fusion.
        members: Trained models; None builds new ones from the configuration.
    """

    def __init__(self, config: LateFusionConfig, members: Sequence[PreTrainedModel] | None = None):
        super().__init__(config)
        self.members = nn.ModuleList(members or map(build_member, config.member_configs))
        pack_encoders(self)  # building the configuration of the fusion has reset those of its members
        self.freeze()
        self.post_init()

    def freeze(self) -> None:
        """Freeze the members if `freeze_members` is set. Members that are frozen already stay frozen."""
        self.train(self.training)

    def train(self, mode: bool = True) -> "LateFusionModel":
        """Set training mode for all but frozen members."""
        super().train(mode)
        if self.config.freeze_members:
            self.members.requires_grad_(False).eval()
        return self

    def encode(self, **batch: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Return the output of the first stage: `scores` of frozen members, or the inputs of trainable members.

        Args:
            **batch: The inputs of [`EmoFusionModel.encode`]; keys that begin with `member_<number>_` are for that
                member only.

        Raises:
            ValueError: If the batch has no input for any member.
        """
        if self.config.freeze_members:
            with torch.no_grad():
                return {"scores": self._scores(batch)}
        names = [name for name in batch if name.endswith(INPUT_SUFFIXES) or name in ("lengths", "dialogues")]
        return {name: batch[name] for name in names if batch[name] is not None}

    def forward(
        self,
        encoded: dict[str, torch.Tensor] | None = None,
        return_dict: bool | None = None,
        **batch: torch.Tensor | None,
    ) -> EmotionOutput | tuple:
        """Compute the log-probabilities, or the values of dimensions, of all members.

        Args:
            encoded: The result of `encode`, which replaces the batch.
            return_dict: Whether to return an [`EmotionOutput`] instead of a tuple.
            **batch: See `encode`. Hidden states and attention maps of the members are not returned.

        Returns:
            The output, with `embedding`, labels or dimensions in the fusion's order. For classes, log-probabilities
            `(batch, members * classes)`, zeros where a row has no input for a member; for dimensions, values in the scale
            `(batch, members * dimensions)`, float32, NaN where a row has no input for a member.

        Raises:
            ValueError: If the batch has no input for any member.
        """
        encoded = self.encode(**batch) if encoded is None else encoded
        embedding = encoded["scores"] if self.config.freeze_members else self._scores(encoded)
        output = EmotionOutput(embedding=embedding)
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    def _scores(self, batch: dict[str, torch.Tensor | None]) -> torch.Tensor:
        scores, has_values = {}, self.config.is_regression
        asked = count_asked(batch.get("dialogues"))
        for number, member in enumerate(self.members):
            if inputs := select_inputs(number, member.config, batch):
                outputs, has_input = (rows[:asked] for rows in run_member(member, inputs, has_values))
                names = member.config.dimensions if has_values else labels_of(member.config)
                outputs = put_in_order(outputs, names, labels_of(self.config))
                if has_values:
                    scores[number] = _mark_missing(outputs, has_input)
                else:
                    scores[number] = zero_rows(outputs.float().log_softmax(dim=-1).to(outputs.dtype), has_input)
        if not scores:
            inputs = " or ".join(MODALITIES[name].main_input for name in self.config.modalities)
            raise ValueError(f"The batch has no input for {type(self).__name__}; give {inputs}.")
        missing = torch.full_like(next(iter(scores.values())), torch.nan if has_values else 0.0)
        return torch.cat([scores.get(number, missing) for number in range(len(self.members))], dim=-1)


def labels_of(config: PreTrainedConfig) -> list[str]:
    """Return the labels of a classifier in the order of its outputs."""
    return [label for _, label in sorted(config.id2label.items())]


def put_in_order(outputs: torch.Tensor, names: Sequence[str], wanted: Sequence[str]) -> torch.Tensor:
    """Return the columns of outputs, which have names, in another order."""
    order = [names.index(name) for name in wanted]
    # A list as an index would be copied to the device, which blocks.
    return outputs if order == sorted(order) else torch.stack([outputs[:, place] for place in order], dim=-1)


def _mark_missing(values: torch.Tensor, has_input: Sequence[bool]) -> torch.Tensor:
    """Return values with NaN in rows without input. Any other NaN, which is a fault, becomes infinite."""
    values = values.nan_to_num(torch.inf, torch.inf, -torch.inf)
    if all(has_input):
        return values
    return values.where(torch.tensor(has_input).to(values.device, non_blocking=True)[:, None], torch.nan)


class LateFusionForSequenceClassification(LateFusionPreTrainedModel, EmoFusionForSequenceClassification):
    """Late fusion: the logits are the combined log-probabilities, or values of dimensions, of the members.

    Where a row has no input for a member, `logistic` uses a uniform distribution for it, and `linear` the mean of the
    other members; the other combinations leave that member out and scale up the weights of the others. A member with
    several modalities handles missing ones itself as long as the row has one of them.
    """

    model_class = LateFusionModel

    def _build_classifier(self) -> nn.Module:
        config = self.config
        return COMBINATIONS[config.combination](len(config.member_configs), config.num_labels)

    def _build_dimension_head(self) -> nn.Module:
        config = self.config
        combination, scale = VALUE_COMBINATIONS[config.combination], config.dimension_scale
        return combination(len(config.member_configs), config.num_labels, scale)
