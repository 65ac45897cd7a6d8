"""Linear layers of one input as one product: outputs and gradients as of each layer by itself."""

import pytest
import torch
from emofusion.modeling import modeling_linear
from emofusion.modeling.modeling_linear import joins, project_jointly
from torch import nn
from torch.testing import assert_close


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return [nn.Linear(16, size) for size in (8, 8, 24)]


@pytest.fixture
def as_gpu(monkeypatch):
    monkeypatch.setattr(modeling_linear, "works_by_row", lambda device: False)


@pytest.mark.parametrize("frozen", [(), (1,), (0, 2)])
def test_joined_layers_equal_single_layers(layers, frozen):
    for index in frozen:
        layers[index].requires_grad_(False)
    weights = [weight for layer in layers for weight in layer.parameters() if weight.requires_grad]
    states = torch.randn(5, 16)
    results = project_jointly(layers, states), tuple(layer(states) for layer in layers)
    assert_close(*results)
    losses = [sum(output.square().sum() for output in outputs) for outputs in results]
    assert_close(*(torch.autograd.grad(loss, weights) for loss in losses))


@pytest.mark.usefixtures("as_gpu")
def test_layers_are_joined_for_a_gradient_only(layers):
    states = torch.randn(5, 16)
    assert joins(layers, states)
    with torch.no_grad():
        assert not joins(layers, states)


@pytest.mark.usefixtures("as_gpu")
def test_layers_that_must_be_called_are_not_joined(layers):
    layers[1].register_forward_hook(lambda *_: None)
    assert not joins(layers, torch.randn(5, 16))


def test_a_cpu_joins_nothing(layers):
    assert not joins(layers, torch.randn(5, 16))
