"""The losses of dimensions, compared with their formulas in loops of double precision."""

import math

import pytest
import torch
from emofusion.modeling import modeling_losses
from emofusion.modeling.loss_concordance import dimension_loss
from testing_common import CASES, make_batch
from testing_dimensions import DIMENSIONS, with_dimension_labels

ROWS, SCALE = 6, (1.0, 5.0)
KINDS = ("ccc", "mse")


def random_values(*shape, seed=0) -> torch.Tensor:
    lowest, highest = SCALE
    return lowest + (highest - lowest) * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def labels_with_gaps() -> torch.Tensor:
    """Return the labels of three dimensions, some unknown, and of one that is unknown throughout."""
    labels = random_values(ROWS, 4, seed=1)
    labels[0, 0] = labels[2, 1] = labels[4, 1] = torch.nan
    labels[:, 3] = torch.nan
    return labels


def loop_loss(values, labels, kind) -> float:
    """Return the loss by its formula, one number at a time."""
    losses = []
    for column in range(labels.shape[1]):
        pairs = [
            ((x - SCALE[0]) / (SCALE[1] - SCALE[0]), (y - SCALE[0]) / (SCALE[1] - SCALE[0]))
            for x, y in zip(values[:, column].tolist(), labels[:, column].tolist(), strict=True)
            if not math.isnan(y)
        ]
        if not pairs:
            continue
        if kind == "mse":
            losses.append(sum((x - y) ** 2 for x, y in pairs) / len(pairs))
            continue
        mean_x, mean_y = (sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1))
        covariance = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / len(pairs)
        variances = sum((x - mean_x) ** 2 + (y - mean_y) ** 2 for x, y in pairs) / len(pairs)
        losses.append(1 - 2 * covariance / (variances + (mean_x - mean_y) ** 2))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_equal_formula(kind):
    values, labels = random_values(ROWS, 4).requires_grad_(), labels_with_gaps()
    loss = dimension_loss(values, labels, SCALE, kind)
    assert loss.item() == pytest.approx(loop_loss(values, labels, kind), abs=1e-6)
    loss.backward()
    step = 1e-5
    for row in range(ROWS):
        for column in range(4):
            moved = [values.detach().double() for _ in range(2)]
            moved[0][row, column] += step
            moved[1][row, column] -= step
            slope = (loop_loss(moved[0], labels, kind) - loop_loss(moved[1], labels, kind)) / (2 * step)
            assert values.grad[row, column].item() == pytest.approx(slope, abs=1e-5)


def test_loss_of_equal_opposite_and_shifted_values():
    labels = random_values(ROWS, 1)
    assert dimension_loss(labels, labels, SCALE).item() == pytest.approx(0, abs=1e-6)
    assert dimension_loss(6 - labels, labels, SCALE).item() > 1
    assert 0 < dimension_loss(labels + 1, labels, SCALE).item() < 1
    assert dimension_loss(labels + 1, labels, SCALE, "mse").item() == pytest.approx(1 / 16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[2.0, math.nan]], 1.0),  # one utterance
        ([[3.0, math.nan], [3.0, math.nan]], 1.0),  # equal labels
        ([[math.nan, math.nan], [math.nan, math.nan]], 0.0),
    ],
)
@pytest.mark.parametrize("equal", [False, True])
def test_labels_without_correlation_give_finite_gradients(kind, labels, expected, equal):
    labels = torch.tensor(labels)
    values = (labels.nan_to_num(3.0) if equal else random_values(*labels.shape)).requires_grad_()
    loss = dimension_loss(values, labels, SCALE, kind)
    loss.backward()
    assert values.grad.isfinite().all()
    if kind == "ccc":
        assert loss.item() == expected
    assert not values.grad[:, 1].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_computed_in_float32(dtype, kind):
    values = random_values(ROWS, 4).to(dtype).requires_grad_()
    loss = dimension_loss(values, labels_with_gaps(), SCALE, kind)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(loop_loss(values.double(), labels_with_gaps(), kind), abs=1e-6)
    loss.backward()
    assert values.grad.isfinite().all()


def test_labels_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"^The labels of the dimensions have the shape \[6\] and the predictions \[6, 4\]"
    ):
        dimension_loss(random_values(ROWS, 4), torch.zeros(ROWS), SCALE)


def test_loss_spans_rows_of_all_processes_in_training(monkeypatch):
    model = next(case for case in CASES if case.name == "speech").model(dropout=False, **DIMENSIONS)
    batch = with_dimension_labels(make_batch(), model.config)
    other = torch.rand(4, 3)
    monkeypatch.setattr(modeling_losses, "gather_rows", lambda rows: torch.cat([rows, 1 + 6 * other]))
    alone = model(**batch)
    together = model.train()(**batch)
    expected = dimension_loss(alone.logits, batch["labels"], (1.0, 7.0))
    assert alone.loss == expected
    values, labels = (torch.cat([rows, 1 + 6 * other]) for rows in (alone.logits, batch["labels"]))
    torch.testing.assert_close(together.loss, dimension_loss(values, labels, (1.0, 7.0)))


@pytest.mark.parametrize("name", ["speech", "wavfusion-text"])
def test_parts_are_weighted_and_left_out_without_their_labels(name):
    case = next(case for case in CASES if case.name == name)
    plain, weighted = (
        case.model(dimensions=["valence"], loss_weights=weights)
        for weights in (None, {"dimensions": 0.25, "cross_entropy": 2})
    )
    batch = with_dimension_labels(make_batch(), plain.config)
    output, other = plain(**batch), weighted(**batch)
    weights = {"dimensions": 0.25, "cross_entropy": 2, "discrepancy": 1}
    assert {key: (weights[key] * part).item() for key, part in output.losses.items()} == pytest.approx(
        {key: part.item() for key, part in other.losses.items()}
    )
    assert other.loss == sum(other.losses.values())
    values_only = plain(**batch | {"labels": None})
    assert set(values_only.losses) == {"dimensions"}
    assert "dimensions" not in plain(**batch | {"dimension_labels": None}).losses
    assert plain(**batch | {"labels": None, "dimension_labels": None}).losses is None


def test_unknown_classes_are_left_out_of_every_part():
    case = next(case for case in CASES if case.name == "wavfusion-text")
    model, batch = case.model(class_weights=[1.0, 2.0, 0.5], label_smoothing=0.1), make_batch()
    kept = {key: value[[0, 1, 3]] for key, value in batch.items()}
    hard = torch.tensor([2, 0, -100, 1])
    soft = torch.tensor([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.0, 0.0, 0.0], [0.2, 0.5, 0.3]])
    for labels in (hard, soft):
        losses = model(**batch | {"labels": labels}).losses
        torch.testing.assert_close(losses, model(**kept | {"labels": labels[[0, 1, 3]]}).losses)
        nothing = model(**batch | {"labels": torch.zeros_like(labels) - 100 * (labels is hard)})
        assert not any(part.item() for part in nothing.losses.values())
