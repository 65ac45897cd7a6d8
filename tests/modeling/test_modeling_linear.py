"""Linear layers whose weights are cast and multiplied together: outputs and gradients as of each layer by itself."""

import pytest
import torch
from emofusion.modeling import modeling_linear
from emofusion.modeling.fusion_coattention import CoattentionBlock
from emofusion.modeling.modeling_linear import join_weights, project
from emofusion.modeling.modeling_rows import Rows
from torch import nn
from torch.testing import assert_close

CPU = torch.device("cpu")


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return [nn.Linear(16, size) for size in (8, 8, 24)] + [nn.Linear(24, 16)]


@pytest.fixture
def as_gpu(monkeypatch):
    monkeypatch.setattr(modeling_linear, "works_by_row", lambda device: False)


def autocast(enabled: bool = True):
    return torch.autocast("cpu", torch.bfloat16, enabled)


def groups_of(layers):
    return tuple(layers[:3]), (layers[3],)


def run(layers, states, joined) -> torch.Tensor:
    first, second = groups_of(layers)
    *others, inner = project(first, states, joined)
    (output,) = project(second, inner, joined)
    return output.float().square().sum() + sum(other.float().sum() for other in others)


@pytest.mark.usefixtures("as_gpu")
@pytest.mark.parametrize("casts", [True, False])
@pytest.mark.parametrize("frozen", [(), (1,), (0, 1, 2)])
def test_joined_layers_equal_single_layers(layers, casts, frozen):
    for index in frozen:
        layers[index].requires_grad_(False)
    weights = [weight for layer in layers for weight in layer.parameters() if weight.requires_grad]
    states = torch.randn(5, 16)
    with autocast(casts):
        joined = join_weights(groups_of(layers), CPU)
        assert set(joined) == set(groups_of(layers) if casts else groups_of(layers)[:1])
        results = [run(layers, states, joined), run(layers, states, {})]
    gradients = [torch.autograd.grad(result, weights) for result in results]
    assert all(gradient.dtype == torch.float32 for gradient in gradients[0])
    # A sum of bfloat16 may be rounded in another order.
    tolerance = {"atol": 0.05, "rtol": 0.02} if casts else {}
    assert_close(results[0], results[1], **tolerance)
    assert_close(gradients[0], gradients[1], **tolerance)


@pytest.mark.usefixtures("as_gpu")
def test_weights_are_cast_in_one_operation(layers):
    with autocast():
        joined = join_weights(groups_of(layers), CPU)
    parts = [part for pair in joined.values() for part in pair]
    assert all(part.dtype == torch.bfloat16 for part in parts)
    assert len({part.untyped_storage().data_ptr() for part in parts}) == 1
    expected = torch.cat([layer.weight for layer in layers[:3]]).bfloat16()
    assert_close(joined[groups_of(layers)[0]][0], expected, atol=0, rtol=0)


@pytest.mark.usefixtures("as_gpu")
def test_weights_are_cast_without_a_gradient_but_joined_only_for_one(layers):
    with torch.no_grad():
        assert join_weights(groups_of(layers), CPU) == {}
        with autocast():
            assert set(join_weights(groups_of(layers), CPU)) == set(groups_of(layers))


@pytest.mark.usefixtures("as_gpu")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_that_autocast_does_not_cast_are_only_joined(layers, dtype):
    for layer in layers:
        layer.to(dtype)
    with autocast():
        joined = join_weights(groups_of(layers), CPU)
        assert set(joined) == set(groups_of(layers)[:1])
        assert all(part.dtype == dtype for pair in joined.values() for part in pair)
        with torch.no_grad():
            assert join_weights(groups_of(layers), CPU) == {}


def test_a_cpu_joins_nothing(layers):
    with autocast():
        assert join_weights(groups_of(layers), CPU) == {}


@pytest.mark.usefixtures("as_gpu")
def test_layers_that_must_be_called_are_left_out(layers):
    first, second = groups_of(layers)
    layers[1].register_forward_hook(lambda *_: None)
    with autocast():
        assert set(join_weights((first, second), CPU)) == {second}
        layers[3].register_forward_hook(lambda *_: None)
        assert join_weights((first, second), CPU) == {}


@pytest.mark.parametrize("lengths", [(3, 7, 1), (4, 4, 4)])
def test_coattention_under_autocast_is_the_same_with_joined_weights(lengths, monkeypatch):
    torch.manual_seed(0)
    block = CoattentionBlock(16, 4, 24, attention_dropout=0.0, hidden_dropout=0.0, layer_norm_eps=1e-5)
    audio_rows, text_rows = Rows(lengths, CPU), Rows(tuple(reversed(lengths)), CPU)
    audio, text = (rows.pack(torch.randn(3, rows.longest, 16)) for rows in (audio_rows, text_rows))
    results = []
    for joins in (False, True):
        monkeypatch.setattr(modeling_linear, "works_by_row", lambda device, joins=joins: not joins)
        with autocast():
            from_text, from_audio, _ = block(audio, audio_rows, text, text_rows)
            loss = (from_text.float() ** 3).mean() + (from_audio.float() ** 3).mean()
        results.append((from_text, from_audio, *torch.autograd.grad(loss, list(block.parameters()))))
    assert_close(results[1], results[0], atol=0.02, rtol=0.05)
