"""Checks of training over all variants: gradients, freezing, losses."""

from itertools import combinations

import torch
from testing_common import CLASSES, make_batch
from testing_matrix import (
    built,
    copied,
    every_case,
    every_encoding_case,
    every_encoding_fusion,
    log_probabilities,
    only,
    sparse_batch,
)
from torch.testing import assert_close

FIRST_LAYER = (".layers.0.", ".layer.0.", ".stages.0.")
SECOND_LAYER = (".layers.1.", ".layer.1.", ".stages.1.")
# A shift of all keys does not change the softmax, so these biases get no gradient.
GRADIENT_FREE = ("k_proj.bias", "key.bias")


@every_case
def test_loss_falls(case):
    model = case.model(dropout=False).train()
    batch = make_batch((2000, 300, 1500, 900), (4, 3, 1, 2), (1, 1, 2, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    before = model(**batch).loss.item()
    for _ in range(8):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        # Without a missing modality too, no parameter may be left out of the loss: several processes would wait for it.
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        optimizer.step()
    assert model(**batch).loss.item() < 0.7 * before


@every_case
def test_gradients_and_steps_reach_exactly_trainable_parameters(case):
    for freezing in case.freezings:
        model = copied(built(case, **freezing)).train()
        before = {name: parameter.clone() for name, parameter in model.state_dict().items()}
        model(**sparse_batch(case)).loss.backward()
        trainable = set()
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad, (freezing, name)
            if parameter.requires_grad:
                trainable.add(name)
                assert parameter.grad.isfinite().all(), (freezing, name)
                assert name.endswith(GRADIENT_FREE) or parameter.grad.abs().max() > 0, (freezing, name)
        torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1).step()
        # Running statistics of a normalisation change exactly if its weights are trainable.
        trainable |= {name for name, _ in model.named_buffers() if name.rpartition(".")[0] + ".weight" in trainable}
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == trainable, freezing


@every_encoding_case
def test_freezing_covers_named_layers(case):
    def frozen(**freezing):
        return {n for n, p in built(case, **freezing).named_parameters() if not p.requires_grad}

    layered = case.config().layered_encoders
    for modality in layered:
        prefix = f"model.{modality}_encoder."
        layers = [frozen(**{f"freeze_{modality}_layers": count}) for count in (1, 2, -1)]
        assert frozen() < layers[0] < layers[1] <= layers[2]
        assert {n for n in layers[2] if n.startswith(prefix)} == {
            n for n, _ in built(case).named_parameters() if n.startswith(prefix)
        }
        later = [n for n in layers[0] if any(layer in n for layer in SECOND_LAYER)]
        assert all(".pos_conv_embed." in n for n in later)  # data2vec-audio stacks them below the layers
        assert any(layer in n for n in layers[0] for layer in FIRST_LAYER)
    model = case.model()
    for modality in layered:
        getattr(model, f"freeze_{modality}_encoder")()
    everything = {f"freeze_{modality}_layers": -1 for modality in layered}
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == frozen(**everything)
    assert model.config.to_dict().items() >= everything.items()


@every_case
def test_freezing_changes_no_output(case):
    expected = log_probabilities(built(case), make_batch())
    for freezing in case.freezings:
        assert_close(log_probabilities(built(case, **freezing), make_batch()), expected, atol=1e-5, rtol=0)


@every_case
def test_freezing_survives_saving(case, tmp_path):
    model = built(case, **case.freezings[-1])
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    expected = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in loaded.named_parameters()} == expected


@every_case
def test_gradient_checkpointing_changes_no_gradient(case):
    results = []
    for checkpointing in (False, True):
        model = copied(built(case)).train()
        if checkpointing:
            enable = "activation_checkpointing_enable"  # its name since transformers 5.23
            getattr(model, enable, model.gradient_checkpointing_enable)()
            assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        torch.manual_seed(1)
        loss = model(**sparse_batch(case)).loss
        loss.backward()
        results.append((loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    assert_close(results[1], results[0])


@every_encoding_case
def test_training_is_reproducible(case):
    model, batch = case.model(modality_dropout=0.5).train(), make_batch()
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(model(**batch).loss)
    assert losses[0] == losses[1] != losses[2]


@every_encoding_fusion
def test_modality_dropout_keeps_nonempty_subsets(case):
    model, batch = case.model(dropout=False), make_batch()
    full = log_probabilities(model, batch)
    assert_close(log_probabilities(model.train(), batch), full)

    model.config.modality_dropout = 0.9999
    assert_close(log_probabilities(model.eval(), batch), full)
    spans = {name: value for name, value in batch.items() if name.endswith("_spans")}
    subsets = [kept for size in range(1, len(case.modalities)) for kept in combinations(case.modalities, size)]
    alone = [log_probabilities(model, spans | only(batch, kept)) for kept in subsets]
    model.train()
    seen = set()
    torch.manual_seed(0)
    for _ in range(16):
        for index, output in enumerate(log_probabilities(model, batch)):
            distances = [(output - expected[index]).abs().max().item() for expected in alone]
            assert min(distances) < 1e-5
            seen.add(distances.index(min(distances)))
    assert seen == set(range(len(alone)))
    for kept, expected in zip(subsets, alone, strict=True):
        if len(kept) == 1:
            assert_close(log_probabilities(model, spans | only(batch, kept)), expected)


@every_case
def test_loss_is_weighted_cross_entropy(case):
    weights = torch.tensor([1.0, 2.0, 0.5])
    hard = make_batch()["labels"]
    soft = torch.rand(4, CLASSES, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    for class_weights in (None, weights.tolist()):
        model = case.model(class_weights=class_weights)
        weight = torch.ones(CLASSES) if class_weights is None else weights
        costs = -log_probabilities(model, make_batch()) * weight
        expected = sum(costs[i, label] for i, label in enumerate(hard)) / weight[hard].sum()
        assert_close(model(**make_batch()).losses["cross_entropy"], expected)
        expected = (costs * soft).sum() / 4
        assert_close(model(**make_batch() | {"labels": soft}).losses["cross_entropy"], expected)
