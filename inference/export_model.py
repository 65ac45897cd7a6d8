"""Classifiers as modules that torch can export: padded rows with masks in, scores out."""

import copy
from collections.abc import Collection, Mapping

import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from ..configuration.configuration_late_fusion import member_modalities
from ..configuration.modalities import CONTEXT_INPUT, MODALITIES, SPAN_INPUTS
from ..modeling.encoder_packing import PACKED_ATTENTION
from ..modeling.encoder_wav2vec2 import MODEL_TYPES
from ..modeling.fusion_late_members import MEMBER_MODELS
from ..modeling.modeling_late_fusion import labels_of, put_in_order
from ..modeling.modeling_rows import PaddedRows, Segments
from .export_encoders import encode_padded, encode_waveforms

Batch = Mapping[str, torch.Tensor]


def build_exportable(
    model: PreTrainedModel,
    own_inputs: Mapping[int, tuple[str, ...]] | None = None,
    context_readers: Collection[int | None] = (),
) -> nn.Module:
    """Return a copy of a classifier whose `forward(batch)` can be exported.

    Args:
        model: A classifier of emofusion.
        own_inputs: For members of a late fusion, by number, the modalities whose inputs have the member's prefix.
        context_readers: Where the text of an utterance may begin with earlier turns: None for the model, and the numbers of
            members with a tokenizer of their own.

    Raises:
        ValueError: If the model has a member that cannot be exported.
    """
    model = copy.deepcopy(model).float().eval().requires_grad_(False)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv1d) and parametrize.is_parametrized(child):
                setattr(module, name, _plain_convolution(child))
        if isinstance(module, PreTrainedModel) and module.config._attn_implementation == PACKED_ATTENTION:
            module.set_attn_implementation("sdpa")
    if hasattr(model.config, "member_configs"):
        return ExportableFusion(model, own_inputs or {}, context_readers)
    return ExportableModel(model, None in context_readers)


def _plain_convolution(conv: nn.Conv1d) -> nn.Conv1d:
    """Return a convolution whose weight is stored, not computed from a direction and a norm in each call.

    `remove_parametrizations` would change the class of the convolution, which the original of a copied model shares.
    """
    plain = nn.Conv1d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups
    )
    plain.weight, plain.bias = nn.Parameter(conv.weight.detach(), False), conv.bias
    return plain


class ExportableModel(nn.Module):
    """A classifier of any variant but late fusion, on padded rows.

    Args:
        model: The classifier, which is changed.
        reads_context: Whether `context_lengths` is an input.
    """

    def __init__(self, model: PreTrainedModel, reads_context: bool = False):
        super().__init__()
        self.model = model
        self.input_names = [
            name
            for modality in model.config.modalities
            for name in (MODALITIES[modality].main_input, MODALITIES[modality].mask)
        ] + [SPAN_INPUTS[level] for level in model.config.span_levels]
        self.input_names += [CONTEXT_INPUT] if reads_context and "text" in model.config.modalities else []

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return `logits` `(batch, classes)` or `(batch, dimensions)`; and `dimensions`, if the model has both.

        Args:
            batch: All inputs of `input_names`, with masks.
        """
        base, states, masks = self.model.model, {}, {}
        for name in self.model.config.modalities:
            modality = MODALITIES[name]
            states[name], masks[name] = encode_padded(
                base, name, batch[modality.main_input], batch[modality.mask].bool()
            )
        if CONTEXT_INPUT in self.input_names:
            states["text"], masks["text"] = _drop_context(states["text"], masks["text"], batch[CONTEXT_INPUT])
        segments = {level: Segments(batch[SPAN_INPUTS[level]]) for level in self.model.config.span_levels}
        rows = {name: PaddedRows(mask) for name, mask in masks.items()}
        embedding = base.fuse(states, rows, segments, False).embedding
        outputs = self.model.apply_heads(embedding)
        return {name: value for name, value in outputs.items() if value is not None}


def _drop_context(
    states: torch.Tensor, mask: torch.Tensor, context: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the states of rows without those of earlier turns, and their mask; see `drop_context` in `modeling_rows`."""
    places = torch.arange(states.shape[1])
    sources = (places + context[:, None] * (places > 0)).clamp(max=states.shape[1] - 1)
    states = states.gather(1, sources[..., None].expand(-1, -1, states.shape[2]))
    return states, places < (mask.sum(dim=1) - context)[:, None]


class ExportableFusion(nn.Module):
    """A late fusion on padded rows.

    Args:
        model: The classifier, which is changed.
        own_inputs: See `build_exportable`.
        context_readers: See `build_exportable`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        own_inputs: Mapping[int, tuple[str, ...]],
        context_readers: Collection[int | None] = (),
    ):
        super().__init__()
        self.model, self.own_inputs = model, own_inputs
        self.members = nn.ModuleList(
            ExportableModel(member, (number if "text" in own_inputs.get(number, ()) else None) in context_readers)
            if member.config.model_type in MEMBER_MODELS
            else StockMember(member, number)
            for number, member in enumerate(model.model.members)
        )
        inputs = (name for number in range(len(self.members)) for name in self._inputs(number).values())
        self.input_names = list(dict.fromkeys(inputs))

    def _inputs(self, number: int) -> dict[str, str]:
        """Return the inputs of a member, and their names in the batch."""
        own = {name for modality in self.own_inputs.get(number, ()) for name in MODALITIES[modality].inputs}
        names = self.members[number].input_names
        return {name: f"member_{number}_{name}" if name in own else name for name in names}

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See [`ExportableModel.forward`]."""
        config, has_values, scores = self.model.config, self.model.config.is_regression, []
        for number, member in enumerate(self.members):
            inputs = {name: batch[key] for name, key in self._inputs(number).items()}
            outputs, member_config = member(inputs), member.model.config
            values = outputs.get("dimensions", outputs["logits"]) if has_values else outputs["logits"]
            names = member_config.dimensions if has_values else labels_of(member_config)
            values = put_in_order(values, names, labels_of(config))
            masks = [inputs[modality.mask] for modality in MODALITIES.values() if modality.mask in inputs]
            has_input = torch.stack([mask.bool().any(dim=1) for mask in masks]).any(dim=0)[:, None]
            scores.append(values.where(has_input, torch.nan) if has_values else values.log_softmax(-1) * has_input)
        outputs = self.model.apply_heads(torch.cat(scores, dim=-1))
        return {name: value for name, value in outputs.items() if value is not None}


class StockMember(nn.Module):
    """A classifier of transformers in a late fusion, on padded rows.

    Args:
        model: The classifier.
        number: Its number, for errors.

    Raises:
        ValueError: If it is a speech classifier whose convolutions and pooling are not known here.
    """

    def __init__(self, model: PreTrainedModel, number: int):
        super().__init__()
        self.model = model
        (self.modality,) = member_modalities(model.config)
        if self.modality == "audio" and not (
            model.config.model_type in MODEL_TYPES
            and hasattr(model, "projector")
            and not getattr(model.config, "add_adapter", False)
        ):
            raise ValueError(
                f"Member {number} is a {type(model).__name__}, which cannot be exported; a speech classifier of transformers "
                f"must be one of {', '.join(MODEL_TYPES)}, without adapter layers."
            )
        self.input_names = [MODALITIES[self.modality].main_input, MODALITIES[self.modality].mask]

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See [`ExportableModel.forward`]."""
        values, mask = (batch[name] for name in self.input_names)
        classify = self._classify_waveforms if self.modality == "audio" else self._classify_tokens
        return {"logits": classify(values, mask.bool())}

    def _classify_waveforms(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states, valid = encode_waveforms(self.model.base_model, values, mask)
        state = states[-1]
        if self.model.config.use_weighted_layer_sum:
            state = torch.einsum("l,l...->...", self.model.layer_weights.softmax(dim=-1), torch.stack(states))
        projected = self.model.projector(state) * valid[..., None]
        return self.model.classifier(projected.sum(dim=1) / valid.sum(dim=1, keepdim=True))

    def _classify_tokens(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        ids = values.masked_fill(~mask, self.model.config.pad_token_id or 0)
        mask = mask | (torch.arange(mask.shape[1]) == 0)
        return self.model(input_ids=ids, attention_mask=mask.long()).logits
