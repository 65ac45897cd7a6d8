"""The text encoder: a bidirectional transformer that gives token states."""

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from .encoder_building import build_encoder

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


def max_tokens(config: PreTrainedConfig) -> int:
    """Return the maximum number of tokens; RoBERTa's positions start after the id of the padding token."""
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta") else 0
    return config.max_position_embeddings - offset


def encode_tokens(
    encoder: PreTrainedModel,
    input_ids: torch.Tensor,
    mask: torch.Tensor,
    output_hidden_states: bool = False,
    output_attentions: bool = False,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Compute contextual token states.

    Args:
        encoder: A text encoder of a supported type.
        input_ids: `(batch, tokens)`.
        mask: `(batch, tokens)`, bool; no row is all zero.
        output_hidden_states: Whether to return the states of every layer.
        output_attentions: Whether to return attention maps; only the eager implementation has them.

    Returns:
        The states `(batch, tokens, hidden)`, the states of every layer, and the maps `(batch, heads, tokens, tokens)`.
    """
    outputs = encoder(
        # RoBERTa derives positions from tokens that are not the padding token, so padding must hold that token.
        input_ids=input_ids.masked_fill(~mask, encoder.config.pad_token_id),
        attention_mask=mask.long(),
        output_hidden_states=output_hidden_states,
        output_attentions=output_attentions,
        return_dict=True,
    )
    return outputs.last_hidden_state, outputs.hidden_states or (), outputs.attentions or ()


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
