"""The text encoder."""

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel


def build_text_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """A text encoder with random weights."""
    return prepare_text_encoder(AutoModel.from_config(config))


def prepare_text_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Drop the pooler, where there is one: the fusion reads tokens, and its weights would never learn."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


def encode_tokens(
    encoder: PreTrainedModel,
    input_ids: torch.Tensor,
    mask: torch.Tensor,
    output_hidden_states: bool = False,
    output_attentions: bool = False,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Contextual token states.

    Args:
        encoder: any bidirectional text encoder of transformers.
        input_ids: `(batch, tokens)`.
        mask: `(batch, tokens)`, bool; no row is all zero.
        output_hidden_states: whether to return the states of every layer.
        output_attentions: whether to return attention maps; only the eager implementation has any.

    Returns:
        The states `(batch, tokens, hidden)`, those of every layer, and the maps `(batch, heads, tokens, tokens)`.
    """
    outputs = encoder(
        input_ids=input_ids,
        attention_mask=mask.long(),
        output_hidden_states=output_hidden_states,
        output_attentions=output_attentions,
        return_dict=True,
    )
    return outputs.last_hidden_state, outputs.hidden_states or (), outputs.attentions or ()


def freeze_text_layers(encoder: PreTrainedModel, num_layers: int) -> None:
    """Freeze the embeddings and the first `num_layers` layers of `encoder` (-1: all of it; 0: nothing)."""
    if num_layers == -1:
        modules = [encoder]
    elif num_layers:
        stacks = (module for module in encoder.modules() if isinstance(module, nn.ModuleList))
        layers = next(stack for stack in stacks if len(stack) == encoder.config.num_hidden_layers)
        modules = [encoder.embeddings, *layers[:num_layers]]
    else:
        modules = []
    for module in modules:
        module.requires_grad_(False).eval()
