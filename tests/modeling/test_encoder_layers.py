"""Layers as functions of their weights: equal to the modules of transformers, and left alone where these are changed."""

import pytest
import torch
from emofusion.modeling import modeling_linear
from emofusion.modeling.encoder_audio import build_audio_encoder, layer_stack
from emofusion.modeling.encoder_layers import read_layers, run_functions
from emofusion.modeling.encoder_text import build_text_encoder, encode_tokens
from emofusion.modeling.modeling_modules import is_unchanged
from emofusion.modeling.modeling_rows import Rows
from peft import LoraConfig, inject_adapter_in_model
from testing_common import BERT, DATA2VEC, HUBERT, MODERNBERT, ROBERTA, WAV2VEC2_GROUP, WAV2VEC2_LAYER, WAVLM, WHISPER
from torch import nn
from torch.testing import assert_close
from transformers import AutoConfig

SPEECH = (WAV2VEC2_GROUP, WAV2VEC2_LAYER, HUBERT, DATA2VEC)
TEXT = (BERT, ROBERTA, ROBERTA | {"model_type": "xlm-roberta"}, BERT | {"hidden_act": "relu"})
LENGTHS = ((5, 9, 1), (4, 4))


def build(fields: dict, dropout: float = 0.0):
    """Return an encoder with random weights, all of which count, and its layers."""
    torch.manual_seed(0)
    names = ("hidden_dropout", "attention_dropout", "activation_dropout")
    names = (*names, "hidden_dropout_prob", "attention_probs_dropout_prob")
    config = AutoConfig.for_model(**fields | dict.fromkeys(names, dropout))
    is_text = "vocab_size" in fields and "conv_dim" not in fields
    encoder = (build_text_encoder if is_text else build_audio_encoder)(config).double().eval()
    for weight in encoder.parameters():
        nn.init.normal_(weight, std=0.3)
    return encoder, encoder.encoder.layer if is_text else layer_stack(encoder).layers


def inputs(lengths: tuple[int, ...], width: int):
    rows = Rows(lengths, torch.device("cpu"))
    return rows.pack(torch.randn(len(lengths), max(lengths), width, dtype=torch.float64)), rows


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("fields", [*SPEECH, *TEXT])
def test_functions_equal_modules_in_training(fields, joins, lengths, monkeypatch):
    if joins:
        monkeypatch.setattr(modeling_linear, "works_by_row", lambda device: False)
    encoder, layers = build(fields, dropout=0.2)
    packed, rows = inputs(lengths, encoder.config.hidden_size)
    encoder.train()
    torch.manual_seed(1)
    *_, states = run_functions(read_layers(encoder.config, layers), packed, rows)
    torch.manual_seed(1)
    expected = packed
    arguments = {} if rows.are_equal else {"row_layout": rows}
    for layer in layers:
        expected = layer(expected, attention_mask=None, **arguments)
    assert_close(states, expected)
    weights = list(layers.parameters())
    assert_close(*(torch.autograd.grad(result.square().sum(), weights) for result in (states, expected)))


@pytest.mark.parametrize("fields", TEXT)
def test_text_encoder_returns_all_its_layers_either_way(fields):
    encoder, _ = build(fields)
    ids, rows = torch.randint(2, 20, (3, 9)), Rows((5, 9, 1), torch.device("cpu"))
    states, hidden_states, _ = encode_tokens(encoder, ids, rows, output_hidden_states=True)
    encoder.register_forward_hook(lambda *_: None)
    expected, expected_hidden_states, _ = encode_tokens(encoder, ids, rows, output_hidden_states=True)
    assert_close(states, expected)
    assert_close(hidden_states, tuple(expected_hidden_states))


def add_hook(layer):
    next(module for module in layer.modules() if isinstance(module, nn.LayerNorm)).register_forward_hook(
        lambda *_: None
    )


def add_backward_hook(layer):
    layer.register_full_backward_hook(lambda *_: None)


def replace_forward(layer):
    attention = next(module for name, module in layer.named_modules() if name.endswith(("attention", "self")))
    attention.forward = attention.forward


def add_lora(layer):
    targets = [name for name, module in layer.named_modules() if isinstance(module, nn.Linear)][:1]
    inject_adapter_in_model(LoraConfig(target_modules=targets), layer)


def compile_it(layer):
    layer.compile(backend="eager")


def checkpoint(layer):
    layer.gradient_checkpointing = True
    layer.train()


@pytest.mark.parametrize("change", [add_hook, add_backward_hook, replace_forward, add_lora, compile_it, checkpoint])
@pytest.mark.parametrize("fields", [WAV2VEC2_GROUP, BERT])
def test_changed_layers_are_called_as_modules(fields, change):
    encoder, layers = build(fields)
    assert len(read_layers(encoder.config, layers)) == len(layers)
    change(layers[1])
    assert read_layers(encoder.config, layers) is None
    assert len(read_layers(encoder.config, layers[:1])) == 1


@pytest.mark.parametrize("fields", [WAVLM, WHISPER, MODERNBERT])
def test_other_encoders_are_called_as_modules(fields):
    assert read_layers(AutoConfig.for_model(**fields), []) is None


def test_adapters_of_speech_checkpoints_are_called():
    encoder, layers = build(WAV2VEC2_LAYER | {"adapter_attn_dim": 4})
    assert read_layers(encoder.config, layers) is None


def test_other_layers_than_those_of_torch_and_transformers_are_changed():
    class Linear(nn.Linear):
        """As a quantised layer."""

    assert is_unchanged(nn.Linear(2, 2))
    assert not is_unchanged(Linear(2, 2))
    assert not is_unchanged(None)
