"""The text encoder: a bidirectional transformer whose token states are read."""

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

# MiniLM is a BERT.
SUPPORTED_MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "deberta-v2", "modernbert")


def build_text_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """A text encoder with random weights."""
    _check_config(config)
    return prepare_text_encoder(AutoModel.from_config(config))


def prepare_text_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Drop the pooler, where there is one: the fusion reads tokens, and its weights would never learn.

    Raises:
        ValueError: if the encoder's type, or an option of its configuration, is not supported.
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
        raise ValueError("text_config has is_decoder=True, but a text encoder sees both ways; set it to False.")
    if config.pad_token_id is None or not 0 <= config.pad_token_id < config.vocab_size:
        raise ValueError(
            f"text_config has pad_token_id={config.pad_token_id}, which is not one of its {config.vocab_size} tokens; "
            "set it to the tokenizer's."
        )


def max_tokens(config: PreTrainedConfig) -> int:
    """Tokens that a text encoder has places for; RoBERTa's begin behind the number of the padding token."""
    taken = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta") else 0
    return config.max_position_embeddings - taken


def encode_tokens(
    encoder: PreTrainedModel,
    input_ids: torch.Tensor,
    mask: torch.Tensor,
    output_hidden_states: bool = False,
    output_attentions: bool = False,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Contextual token states.

    Args:
        encoder: a text encoder of a supported type.
        input_ids: `(batch, tokens)`.
        mask: `(batch, tokens)`, bool; no row is all zero.
        output_hidden_states: whether to return the states of every layer.
        output_attentions: whether to return attention maps; only the eager implementation has any.

    Returns:
        The states `(batch, tokens, hidden)`, those of every layer, and the maps `(batch, heads, tokens, tokens)`.
    """
    outputs = encoder(
        # RoBERTa numbers its places by what is not the padding token, so that padding must hold nothing else.
        input_ids=input_ids.masked_fill(~mask, encoder.config.pad_token_id),
        attention_mask=mask.long(),
        output_hidden_states=output_hidden_states,
        output_attentions=output_attentions,
        return_dict=True,
    )
    return outputs.last_hidden_state, outputs.hidden_states or (), outputs.attentions or ()


def freeze_text_layers(encoder: PreTrainedModel, num_layers: int) -> None:
    """Freeze the embeddings and the first `num_layers` layers of `encoder` (-1: all of it; 0: nothing).

    With the first layer goes all that it reads: DeBERTa's relative positions, which the later layers share, and its
    convolution.
    """
    trunk = getattr(encoder, "encoder", encoder)
    layers = getattr(trunk, "layers", None) or trunk.layer
    final_norm = getattr(encoder, "final_norm", None)  # ModernBERT's, behind the last layer
    modules: list[nn.Module] = []
    if num_layers == -1:
        modules = [encoder]
    elif num_layers:
        above = () if num_layers == len(layers) else (final_norm,)
        beside = [module for module in trunk.children() if module is not layers and module not in above]
        modules = [encoder.embeddings, *beside, *layers[:num_layers]]
    for module in modules:
        module.requires_grad_(False).eval()
