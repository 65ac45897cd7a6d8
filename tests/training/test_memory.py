"""Memory estimates: what autograd saves, what is trainable, how strategies share it."""

from pathlib import Path

import emofusion
import pytest
import torch
from emofusion.training.memory import Memory, build_recipe, bytes_for_backward, make_batch, measure_memory
from testing_common import CASES
from testing_matrix import every_case
from torch import nn

RECIPES = Path(emofusion.__file__).parent / "recipes"


class Layers(nn.Module):
    """Two linear layers with a sigmoid between."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.second(torch.sigmoid(self.first(x)))


def test_saved_tensors_are_counted_once_without_weights_and_inputs():
    rows, half = 3, 2
    first_layer = half * (rows * 8 + 16 * 8)  # input and weights in bfloat16
    second_layer = half * (rows * 16 + 4 * 16)  # output of the sigmoid, and weights
    saved = bytes_for_backward(Layers(), {"x": torch.randn(rows, 8)})
    # The input needs no gradient, so autograd may leave out the first weights.
    assert saved in (first_layer + second_layer, first_layer + second_layer - half * 16 * 8)


@pytest.mark.parametrize("name", ["cross_attention", "multi_level", "wavfusion", "speaker_resnet"])
def test_memory_of_a_batch_is_linear_in_the_utterances(name):
    (case,) = (case for case in CASES if case.name == name)
    model = case.model()
    memory = measure_memory(model, seconds=1.0)
    for rows in (4, 7):
        saved = bytes_for_backward(model, make_batch(model, rows, 1.0))
        assert memory.fixed + rows * memory.utterance == pytest.approx(saved, rel=0.05)


def test_frozen_weights_have_no_gradients():
    model = CASES[0].model(freeze_audio_layers=1)
    memory = measure_memory(model, seconds=1.0)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert memory.weights >= 4 * model.num_parameters() > 4 * trainable
    assert (memory.gradients, memory.optimizer) == (4 * trainable, 8 * trainable)


def test_strategies_shard_gradients_optimizer_and_weights():
    memory = Memory(weights=400, gradients=300, optimizer=600, fixed=5, utterance=10)
    expected = {"one": 1325, "ddp": 1625, "zero2": 400 + 225 + 25, "fsdp": 100 + 225 + 25}
    for strategy, size in expected.items():
        assert memory.total(2, strategy, 4) == size


@every_case
def test_every_variant_can_be_measured(case):
    if case.has_members:
        return
    assert measure_memory(case.model(), seconds=1.0).utterance > 0


def test_a_recipe_is_built_at_full_size_without_its_checkpoints():
    model, data_args, batch = build_recipe(RECIPES / "iemocap" / "speech.yaml")
    assert model.num_parameters() == 95425668
    assert (data_args.max_seconds, batch) == (15, 16)


def test_an_encoder_of_unknown_size_is_named(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("variant: unimodal\ntext_model_name_or_path: somebody/something\n")
    with pytest.raises(ValueError, match="The size of somebody/something is not known"):
        build_recipe(recipe)
