"""A training whose loss is not a number stops with cause and remedy."""

import numpy as np
import pytest
import torch
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.loss_guard import LossGuard, check_scores

NAN = float("nan")


@pytest.fixture
def args(tmp_path):
    return EmotionTrainingArguments(str(tmp_path), use_cpu=True, learning_rate=3.0)


def test_finite_losses_pass(args):
    guard = LossGuard()
    guard.add(torch.tensor(1.0, requires_grad=True))
    guard.check(args, 1, torch.nn.Linear(2, 2))
    guard.check(args, 2, torch.nn.Linear(2, 2))


@pytest.mark.parametrize("loss", [NAN, float("inf")])
def test_the_cause_is_looked_for_in_inputs_and_weights(args, loss):
    model, guard = torch.nn.Linear(2, 2), LossGuard()

    def check(inputs):
        for value in (1.0, loss, 2.0):
            guard.add(torch.tensor(value))
        guard.check(args, 7, model, inputs)

    with pytest.raises(ValueError, match=r"The loss of step 6 is not a number: the input input_values of the batch"):
        check({"input_values": torch.tensor([1.0, NAN]), "labels": torch.tensor([1])})
    with pytest.raises(ValueError, match=r"activations or its loss.*learning_rate 3"):
        check({"input_values": torch.ones(2)})
    model.weight.data[0, 0] = NAN
    with pytest.raises(ValueError, match=r"the weights overflowed; lower the learning rate.*warmup_steps\.$"):
        check({})


def test_scores_that_are_no_numbers_are_counted(args):
    model, scores = torch.nn.Linear(2, 2), np.zeros((4, 2))
    check_scores((scores, np.zeros(4, dtype=int)), args, model, trained=True)
    scores[1:3, 0] = NAN
    with pytest.raises(ValueError, match="The scores of 2 utterances are not numbers: the model's activations"):
        check_scores({"logits": scores}, args, model, trained=True)
    with pytest.raises(ValueError, match="The scores of 2 utterances are not numbers: the checkpoint"):
        check_scores(scores, args, model, trained=False)
