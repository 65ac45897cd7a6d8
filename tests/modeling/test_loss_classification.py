"""The classification loss, compared with its formula in loops and with PyTorch."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from emofusion.modeling.loss_classification import classification_loss
from testing_common import CASES, make_batch

ROWS, CLASSES = 5, 4
WEIGHTS = [0.5, 1.0, 3.0, 0.25]
VARIANTS = list({case.variant: case for case in CASES}.values())
every_variant = pytest.mark.parametrize("case", VARIANTS, ids=lambda case: case.variant)


def random(*shape, seed=0, scale=3.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def logits():
    return random(ROWS, CLASSES)


@pytest.fixture
def hard():
    return torch.tensor([2, 0, 3, 3, 1])


@pytest.fixture
def soft():
    return random(ROWS, CLASSES, seed=1).softmax(dim=-1)


def loop_loss(logits, labels, weights=None, smoothing=0.0, gamma=0.0):
    """Return the loss by the formula, one number at a time."""
    weights = weights or [1.0] * CLASSES
    loss = total = 0.0
    for scores, label in zip(logits.tolist(), labels.tolist(), strict=True):
        probabilities = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
        targets = label if labels.ndim == 2 else [float(number == label) for number in range(CLASSES)]
        for p, q, w in zip(probabilities, targets, weights, strict=True):
            q = (1 - smoothing) * q + smoothing / CLASSES
            loss += w * q * (1 - p) ** gamma * -math.log(p)
        total += 1.0 if labels.ndim == 2 else weights[label]
    return loss / total


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_loss_equals_formula(logits, hard, soft, weights, smoothing, gamma):
    for labels in (hard, soft):
        loss = classification_loss(logits, labels, weights, smoothing, gamma)
        assert loss.item() == pytest.approx(loop_loss(logits, labels, weights, smoothing, gamma), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_loss_with_gamma_0_equals_pytorch(logits, hard, soft, weights, smoothing):
    weight = None if weights is None else torch.tensor(weights)
    for labels in (hard, soft):
        expected = F.cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing)
        torch.testing.assert_close(classification_loss(logits, labels, weights, smoothing), expected)


def test_class_id_equals_one_hot_label(logits, hard):
    certain = F.one_hot(hard, CLASSES).float()
    for options in ({}, {"label_smoothing": 0.2}, {"focal_gamma": 2.0}):
        torch.testing.assert_close(
            classification_loss(logits, hard, **options), classification_loss(logits, certain, **options)
        )


def test_focal_loss_equals_paper(logits, hard):
    p_true = logits.softmax(dim=-1)[torch.arange(ROWS), hard]
    expected = (-((1 - p_true) ** 2) * p_true.log()).mean()
    torch.testing.assert_close(classification_loss(logits, hard, focal_gamma=2.0), expected)


def test_gradient_equals_finite_differences(hard, soft):
    logits = random(ROWS, CLASSES).double().requires_grad_()
    for labels in (hard, soft):
        (gradient,) = torch.autograd.grad(classification_loss(logits, labels, WEIGHTS, 0.1, 2.0), logits)
        for row, column in np.ndindex(ROWS, CLASSES):
            change = torch.zeros_like(logits)
            change[row, column] = 1e-6
            above, below = (loop_loss(logits.detach() + sign * change, labels, WEIGHTS, 0.1, 2.0) for sign in (1, -1))
            assert gradient[row, column].item() == pytest.approx((above - below) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e30])
def test_gradients_of_confident_predictions_are_finite(scale, smoothing, gamma):
    for dtype in (torch.float32, torch.bfloat16):
        logits = (scale * torch.eye(CLASSES)).to(dtype).requires_grad_()
        right = torch.arange(CLASSES)
        for labels in (right, right.flip(0), torch.full((CLASSES, CLASSES), 1 / CLASSES)):
            logits.grad = None
            loss = classification_loss(logits, labels, WEIGHTS, smoothing, gamma)
            loss.backward()
            assert loss.isfinite()
            assert logits.grad.isfinite().all()


def test_focal_loss_has_gradient_for_wrong_predictions():
    logits = torch.tensor([[100.0, 0.0]], requires_grad=True)
    classification_loss(logits, torch.tensor([1]), focal_gamma=2.0).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, -1.0]]))


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_batch_with_zero_weights_has_zero_loss(logits, gamma):
    logits.requires_grad_()
    loss = classification_loss(logits, torch.full((ROWS,), 1), [1.0, 0.0, 1.0, 1.0], 0.1, gamma)
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_rows_of_unknown_class_are_left_out(logits, hard, soft, weights, smoothing, gamma):
    unknown = torch.tensor([False, True, False, True, False])
    for labels, marks in ((hard, (-100, -1)), (soft, (0.0,))):
        for mark in marks:
            leaf = logits.clone().requires_grad_()
            given = torch.where(unknown if labels.ndim == 1 else unknown[:, None], mark, labels)
            loss = classification_loss(leaf, given, weights, smoothing, gamma)
            expected = loop_loss(logits[~unknown], labels[~unknown], weights, smoothing, gamma)
            assert loss.item() == pytest.approx(expected, rel=1e-5)
            loss.backward()
            assert leaf.grad[~unknown].all()
            assert not leaf.grad[unknown].any()


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("labels", [torch.full((ROWS,), -100), torch.zeros(ROWS, CLASSES)], ids=["ids", "soft"])
def test_batch_without_known_class_has_zero_loss(logits, labels, smoothing, gamma):
    logits.requires_grad_()
    loss = classification_loss(logits, labels, WEIGHTS, smoothing, gamma)
    loss.backward()
    assert loss.item() == 0.0
    assert not logits.grad.any()


@every_variant
def test_variants_take_loss_from_configuration(case):
    batch = make_batch()
    soft = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    for options in ({"label_smoothing": 0.1}, {"focal_gamma": 2}, {"label_smoothing": 0.2, "focal_gamma": 0.5}):
        model = case.model(**options, class_weights=[1.0, 2.0, 0.5]).eval()
        for labels in (batch["labels"], soft):
            output = model(**batch | {"labels": labels})
            expected = classification_loss(output.logits, labels, [1.0, 2.0, 0.5], **options)
            torch.testing.assert_close(output.losses["cross_entropy"], expected)


@every_variant
def test_default_loss_is_cross_entropy(case, tmp_path):
    config = case.config()
    assert (config.label_smoothing, config.focal_gamma) == (0.0, 0.0)
    old = {name: value for name, value in config.to_dict().items() if name not in ("label_smoothing", "focal_gamma")}
    model, batch = case.model().eval(), make_batch()
    model.config = type(config).from_dict(old)
    output = model(**batch)
    torch.testing.assert_close(output.losses["cross_entropy"], F.cross_entropy(output.logits, batch["labels"]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; it must be at least 0 and below 1."),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1; it must be at least 0 and below 1."),
        ({"focal_gamma": -1.0}, "focal_gamma is -1.0; it must be a number of at least 0."),
        ({"focal_gamma": math.nan}, "focal_gamma is nan; it must be a number of at least 0."),
    ],
)
def test_invalid_value_gives_one_sentence(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CASES[0].config(**fields)
