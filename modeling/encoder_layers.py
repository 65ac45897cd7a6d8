"""Transformer layers of stock encoders as functions of their weights (ours).

A layer of transformers is made of some twenty modules. On a GPU, their calls take longer than most of their kernels. Here a layer
is one function with the same operations, so that results are equal. A layer that has been changed, as by adapters, hooks,
checkpointing or compilation, is called as the module that it is.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedConfig

from .modeling_linear import joins, project_jointly
from .modeling_modules import is_unchanged
from .modeling_row_attention import attend_inside_rows
from .modeling_rows import Rows

# The places of the modules of a layer, besides the layer itself.
SPEECH_MODULES = {
    "attention": "attention",
    "query": "attention.q_proj",
    "key": "attention.k_proj",
    "value": "attention.v_proj",
    "attention_output": "attention.out_proj",
    "attention_output_dropout": "dropout",
    "attention_norm": "layer_norm",
    "feed_forward": "feed_forward",
    "intermediate": "feed_forward.intermediate_dense",
    "activation": "feed_forward.intermediate_act_fn",
    "intermediate_dropout": "feed_forward.intermediate_dropout",
    "output": "feed_forward.output_dense",
    "output_dropout": "feed_forward.output_dropout",
    "output_norm": "final_layer_norm",
}
TEXT_MODULES = {
    "attention": "attention.self",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_dropout": "attention.self.dropout",
    "attention_and_output": "attention",
    "output_of_attention": "attention.output",
    "attention_output": "attention.output.dense",
    "attention_output_dropout": "attention.output.dropout",
    "attention_norm": "attention.output.LayerNorm",
    "before_output": "intermediate",
    "intermediate": "intermediate.dense",
    "activation": "intermediate.intermediate_act_fn",
    "output_and_norm": "output",
    "output": "output.dense",
    "output_dropout": "output.dropout",
    "output_norm": "output.LayerNorm",
}
MODULES = {
    model_type: {name: tuple(path.split(".")) for name, path in modules.items()}
    for modules, model_types in (
        (SPEECH_MODULES, ("wav2vec2", "hubert", "data2vec-audio")),
        (TEXT_MODULES, ("bert", "roberta", "xlm-roberta")),
    )
    for model_type in model_types
}


class Layer(NamedTuple):
    """The parts of a layer: self-attention and feed-forward layer, each with a normalisation and a residual connection.

    Args:
        projections: The linear layers of queries, keys and values.
        head_size: The channels of a head.
        attention_output: The linear layer after the attention.
        attention_norm: The normalisation at the attention.
        intermediate: The first linear layer of the feed-forward layer.
        activation: Its activation.
        output: The second linear layer.
        output_norm: The normalisation at the feed-forward layer.
        norm_first: Whether normalisations come before attention and feed-forward layer instead of after the sums.
        dropouts: Dropout of attention weights, attention output, activations and output; zeros in evaluation.
    """

    projections: tuple[nn.Linear, nn.Linear, nn.Linear]
    head_size: int
    attention_output: nn.Linear
    attention_norm: nn.LayerNorm
    intermediate: nn.Linear
    activation: nn.Module
    output: nn.Linear
    output_norm: nn.LayerNorm
    norm_first: bool
    dropouts: tuple[float, float, float, float]


def read_layers(config: PreTrainedConfig, layers: Iterable[nn.Module]) -> list[Layer] | None:
    """Return the parts of layers, or None if any of them must be called as a module.

    Args:
        config: The configuration of the encoder.
        layers: Layers of the encoder, whose attention is `packed_attention`.
    """
    paths = MODULES.get(config.model_type)
    if paths is None or torch.compiler.is_compiling():
        return None
    read = []
    for layer in layers:
        modules = {name: _module_at(layer, path) for name, path in paths.items()}
        checkpoints = getattr(layer, "gradient_checkpointing", False) and layer.training
        adapter = layer._modules.get("adapter_layer")
        if checkpoints or adapter is not None or not all(map(is_unchanged, (layer, *modules.values()))):
            return None
        read.append(_parts_of(modules, config))
    return read


def run_functions(layers: Iterable[Layer], states: torch.Tensor, rows: Rows) -> tuple[torch.Tensor, ...]:
    """Run layers in sequence.

    Args:
        layers: The parts of the layers.
        states: Packed, the input of the first layer.
        rows: The layout.

    Returns:
        The input of every layer and the output of the last one, packed.
    """
    all_states = [states]
    for layer in layers:
        all_states.append(_run(layer, all_states[-1], rows))
    return tuple(all_states)


def _run(layer: Layer, states: torch.Tensor, rows: Rows) -> torch.Tensor:
    of_weights, of_attention, of_activations, of_output = layer.dropouts
    given = _normalise(layer.attention_norm, states) if layer.norm_first else states
    shape = (*states.shape[:-1], -1, layer.head_size)
    heads = (state.view(shape) for state in _project(layer.projections, given))
    context = attend_inside_rows(*heads, rows, rows, of_weights).flatten(2)
    states = states + _drop(_apply(layer.attention_output, context), of_attention)
    if not layer.norm_first:
        states = _normalise(layer.attention_norm, states)
    given = _normalise(layer.output_norm, states) if layer.norm_first else states
    inner = _drop(layer.activation(_apply(layer.intermediate, given)), of_activations)
    states = states + _drop(_apply(layer.output, inner), of_output)
    return states if layer.norm_first else _normalise(layer.output_norm, states)


def _project(layers: tuple[nn.Linear, ...], states: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return project_jointly(layers, states) if joins(layers, states) else tuple(_apply(part, states) for part in layers)


def _apply(linear: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    return F.linear(states, linear.weight, linear.bias)


def _normalise(norm: nn.LayerNorm, states: torch.Tensor) -> torch.Tensor:
    return torch.layer_norm(states, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _drop(states: torch.Tensor, probability: float) -> torch.Tensor:
    return torch.dropout(states, probability, True) if probability else states


def _module_at(layer: nn.Module, path: tuple[str, ...]) -> nn.Module | None:
    """Return a module of a layer, or None: what `get_submodule` does, without its checks, for every module at every call."""
    for name in path:
        layer = None if layer is None else layer._modules.get(name)
    return layer


def _parts_of(modules: dict[str, nn.Module], config: PreTrainedConfig) -> Layer:
    attention = modules["attention"]
    # A module in text encoders, a number in speech encoders.
    of_weights = getattr(attention.dropout, "p", attention.dropout)
    names = ("attention_output_dropout", "intermediate_dropout", "output_dropout")
    others = (modules.get(name) for name in names)
    dropouts = (
        of_weights if attention.training else 0.0,
        *(0.0 if other is None or not other.training else other.p for other in others),
    )
    return Layer(
        (modules["query"], modules["key"], modules["value"]),
        attention.head_dim if hasattr(attention, "head_dim") else attention.attention_head_size,
        modules["attention_output"],
        modules["attention_norm"],
        modules["intermediate"],
        modules["activation"],
        modules["output"],
        modules["output_norm"],
        getattr(config, "do_stable_layer_norm", False),
        dropouts,
    )
