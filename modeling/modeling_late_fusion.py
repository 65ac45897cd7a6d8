"""Late fusion of any number of classifiers (Padi 2022, arXiv 2202.08974; Zhao 2022, arXiv 2207.04697)."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from ..configuration.configuration_late_fusion import LateFusionConfig
from .fusion_late_members import INPUTS, ask_member, build_member, load_member, select_inputs
from .head_score_combination import COMBINATIONS
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionPreTrainedModel
from .modeling_outputs import EmotionOutput

# How the names end of all in a batch that a classifier may look at.
ENDINGS = tuple(name for names in INPUTS.values() for name in names)


class LateFusionPreTrainedModel(EmoFusionPreTrainedModel):
    """What both models of late fusion share."""

    config: LateFusionConfig

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, tuple(COMBINATIONS.values())):
            module.reset_parameters()

    @classmethod
    def from_members_pretrained(
        cls, members: Sequence[str | PreTrainedModel], **kwargs
    ) -> "LateFusionPreTrainedModel":
        """A late fusion of trained classifiers, in evaluation mode.

        Args:
            members: Hub ids or folders, or the classifiers themselves; one or more.
            **kwargs: fields of [`LateFusionConfig`].

        Raises:
            ValueError: if one cannot be a member, lacks weights, or has other labels.
        """
        models = [member if isinstance(member, PreTrainedModel) else load_member(str(member)) for member in members]
        config = cls.config_class(member_configs=[model.config for model in models], **kwargs)
        return cls(config, members=models).eval()


class LateFusionModel(LateFusionPreTrainedModel):
    """The members. The utterance embedding is their log-probabilities, side by side.

    Args:
        config: configuration of the fusion.
        members: trained classifiers to use instead of new ones.
    """

    def __init__(self, config: LateFusionConfig, members: Sequence[PreTrainedModel] | None = None):
        super().__init__(config)
        self.members = nn.ModuleList(members or map(build_member, config.member_configs))
        self.freeze()
        self.post_init()

    def freeze(self) -> None:
        """Freeze the members, if the configuration says so. What is frozen once stays so."""
        self.train(self.training)

    def train(self, mode: bool = True) -> "LateFusionModel":
        """Training mode, but not for frozen members."""
        super().train(mode)
        if self.config.freeze_members:
            self.members.requires_grad_(False).eval()
        return self

    def encode(self, **batch: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """First stage: the `log_probabilities` of frozen members; of others, what they look at.

        Args:
            **batch: on the forward contract, as in [`EmoFusionModel.encode`]; keys that begin with `member_<number>_`
                are for that member alone.

        Raises:
            ValueError: if the batch holds nothing that any member looks at.
        """
        if self.config.freeze_members:
            with torch.no_grad():
                return {"log_probabilities": self._ask(batch)}
        return {name: value for name, value in batch.items() if value is not None and name.endswith(ENDINGS)}

    def forward(
        self,
        encoded: dict[str, torch.Tensor] | None = None,
        return_dict: bool | None = None,
        **batch: torch.Tensor | None,
    ) -> EmotionOutput | tuple:
        """The members' log-probabilities.

        Args:
            encoded: result of `encode`, instead of the batch.
            return_dict: whether to return an [`EmotionOutput`] rather than a tuple.
            **batch: as in `encode`. The members' inner states are not returned.

        Returns:
            The embedding `(batch, members * classes)`, the labels in the fusion's order; zeros where a row holds
            nothing that a member looks at.

        Raises:
            ValueError: if the batch holds nothing that any member looks at.
        """
        encoded = self.encode(**batch) if encoded is None else encoded
        embedding = encoded["log_probabilities"] if self.config.freeze_members else self._ask(encoded)
        output = EmotionOutput(embedding=embedding)
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    def _ask(self, batch: dict[str, torch.Tensor | None]) -> torch.Tensor:
        answers = {}
        for number, member in enumerate(self.members):
            if inputs := select_inputs(number, member.config, batch):
                logits, present = ask_member(member, inputs)
                places = {label: place for place, label in member.config.id2label.items()}
                logits = logits[:, [places[label] for _, label in sorted(self.config.id2label.items())]]
                answers[number] = logits.float().log_softmax(dim=-1).to(logits.dtype) * present[:, None]
        if not answers:
            wanted = " or ".join(INPUTS[modality][0] for modality in self.config.modalities)
            raise ValueError(f"The batch holds nothing that {type(self).__name__} looks at; give it {wanted}.")
        silence = torch.zeros_like(next(iter(answers.values())))
        return torch.cat([answers.get(number, silence) for number in range(len(self.members))], dim=-1)


class LateFusionForSequenceClassification(LateFusionPreTrainedModel, EmoFusionForSequenceClassification):
    """Late fusion: the logits are the log-probabilities that the combination makes of those of the members.

    On a row that holds nothing that a member looks at, the others decide: it is left out of `mean` and `weighted`,
    whose weights are scaled up, and counts as undecided in `logistic`. A member that looks at several modalities
    copes by itself where it finds one of them.
    """

    model_class = LateFusionModel

    @staticmethod
    def _build_classifier(config: LateFusionConfig) -> nn.Module:
        return COMBINATIONS[config.combination](len(config.member_configs), config.num_labels)
