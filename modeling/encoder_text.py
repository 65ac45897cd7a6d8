"""The text encoder: a bidirectional transformer that gives token states."""

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from ..configuration.configuration_checks import first_position
from .encoder_building import build_encoder
from .encoder_layers import read_layers, run_functions
from .encoder_packing import attention_arguments, run_in_buckets, takes_packed_rows, use_packed_attention
from .modeling_modules import is_unchanged
from .modeling_rows import Rows

# MiniLM is a BERT.
SUPPORTED_MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "deberta-v2", "modernbert")


def build_text_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a text encoder with random weights."""
    _check_config(config)
    return prepare_text_encoder(build_encoder("text_config", config))


def prepare_text_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Return the encoder without its pooler, whose weights would never be trained because the fusion reads tokens.

    Raises:
        ValueError: If the model type, or an option of its configuration, is not supported.
    """
    _check_config(encoder.config)
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    use_packed_attention(encoder)
    return encoder


def _check_config(config: PreTrainedConfig) -> None:
    if config.model_type not in SUPPORTED_MODEL_TYPES:
        raise ValueError(
            f"text_config names the model_type {config.model_type!r}; choose one of {', '.join(SUPPORTED_MODEL_TYPES)}."
        )
    if getattr(config, "is_decoder", False):
        raise ValueError(
            "text_config has is_decoder=True, but a text encoder attends in both directions; set it to False."
        )
    if config.pad_token_id is None or not 0 <= config.pad_token_id < config.vocab_size:
        raise ValueError(
            f"text_config has pad_token_id={config.pad_token_id}, which is not among its {config.vocab_size} token ids; "
            "set it to the tokenizer's pad_token_id."
        )


def encode_tokens(
    encoder: PreTrainedModel,
    input_ids: torch.Tensor,
    rows: Rows,
    output_hidden_states: bool = False,
    output_attentions: bool = False,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Compute contextual token states.

    Args:
        encoder: A text encoder of a supported type.
        input_ids: `(batch, tokens)`.
        rows: The layout; at least one token in each row.
        output_hidden_states: Whether to return the states of every layer.
        output_attentions: Whether to return attention maps; only the eager implementation has them.

    Returns:
        The states `(1, tokens of all rows, hidden)`, or `(batch, tokens, hidden)` for rows of equal length; the states
        of every layer in the same shape; and the maps `(batch, heads, tokens, tokens)`.
    """
    flags = {"output_hidden_states": output_hidden_states, "output_attentions": output_attentions}
    packed = rows.pack(input_ids)
    if takes_packed_rows(encoder):
        inputs = {"input_ids": packed, "position_ids": rows.places + first_position(encoder.config)}
        if not output_attentions and (layers := _read_all_layers(encoder)) is not None:
            states = run_functions(layers, encoder.embeddings(**inputs), rows)
            return states[-1], states if output_hidden_states else (), ()
        return _read_outputs(encoder(**inputs, return_dict=True, **attention_arguments(rows), **flags))

    def run(ids: torch.Tensor, mask: torch.Tensor | None):
        mask = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        # RoBERTa derives positions from tokens that are not the padding token, so padding must hold that token.
        ids = ids.masked_fill(~mask, encoder.config.pad_token_id)
        return _read_outputs(encoder(input_ids=ids, attention_mask=mask.long(), return_dict=True, **flags))

    if output_attentions:
        states, hidden_states, attentions = run(rows.pad(packed), rows.mask)
        return rows.pack(states), tuple(map(rows.pack, hidden_states)), attentions

    def run_bucket(ids: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        states, hidden_states, _ = run(ids, mask)
        return states, *hidden_states

    states, *hidden_states = run_in_buckets(run_bucket, packed, rows)
    return states, tuple(hidden_states), ()


def _read_outputs(outputs: ModelOutput):
    return outputs.last_hidden_state, outputs.hidden_states or (), outputs.attentions or ()


def _read_all_layers(encoder: PreTrainedModel) -> list | None:
    """Return the layers as functions; None if the encoder must be called as a module."""
    trunk = getattr(encoder, "encoder", None)
    if trunk is None or not (is_unchanged(encoder) and is_unchanged(trunk)):
        return None
    return read_layers(encoder.config, trunk.layer)


def freeze_text_layers(encoder: PreTrainedModel, num_layers: int) -> None:
    """Freeze the embeddings and the first `num_layers` layers of `encoder` (-1: the whole encoder; 0: nothing).

    Modules that the first layer depends on are frozen with it: DeBERTa's relative positions, shared by all layers, and
    its convolution.
    """
    trunk = getattr(encoder, "encoder", encoder)
    layers = getattr(trunk, "layers", None) or trunk.layer
    final_norm = getattr(encoder, "final_norm", None)  # ModernBERT's, after the last layer
    modules: list[nn.Module] = []
    if num_layers == -1:
        modules = [encoder]
    elif num_layers:
        above = () if num_layers == len(layers) else (final_norm,)
        beside = [module for module in trunk.children() if module is not layers and module not in above]
        modules = [encoder.embeddings, *beside, *layers[:num_layers]]
    for module in modules:
        module.requires_grad_(False).eval()
