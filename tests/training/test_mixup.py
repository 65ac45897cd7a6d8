"""Mixup: what is drawn, what is mixed, and in which shares."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from emofusion.evaluation.task import load_task
from emofusion.modeling.fusion_mixup import mix_rows
from emofusion.training.arguments import DataArguments, ModelArguments
from emofusion.training.collator import EmotionCollator, build_training_collator
from emofusion.training.mixup import Mixup, mix_labels
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from testing_training import AUDIO, FUSION
from torch.testing import assert_close

IDS = ["a", "b", "c", "d"]
SPEECH = {"modality": "audio", "audio_config": AUDIO, "hidden_size": 8, "freeze_feature_encoder": False}
DRAW = {"partners": [1, 2, 0], "shares": [0.75, 0.5, 1.0]}


def collators(corpus, options, model_config=FUSION, variant="cross_attention", **arguments):
    """Return the model, the collator of a recipe's training split, and that of the other splits."""
    labels = corpus["train"].features["label"].names
    model_args = ModelArguments(variant=variant, model_config=model_config)
    data = DataArguments(max_seconds=0.3, mixup=options, **arguments)
    model = build_model(model_args, labels)
    processor = build_processor(model_args, data, model, corpus["train"]["text"])
    plain = EmotionCollator(processor, labels)
    return model, build_training_collator(plain, data, corpus["train"], seed=0), plain


def test_draw_depends_on_seed_epoch_and_ids_only():
    draws = []
    for seed, epoch, ids in ((0, 0, IDS), (0, 0, IDS), (1, 0, IDS), (0, 1, IDS), (0, 0, IDS[::-1])):
        mixup = Mixup({"embedding": 0.4}, seed)
        mixup.set_epoch(epoch)
        draws.append(mixup.draw(ids))
    assert draws[0] == draws[1]
    assert all(draws[0]["shares"] != other["shares"] for other in draws[2:])


def test_shares_are_the_larger_part_of_a_beta_draw():
    shares = np.array(Mixup({"embedding": 0.4}, 0).draw(list(range(4000)))["shares"])
    assert shares.min() >= 0.5
    expected = np.random.default_rng(1).beta(0.4, 0.4, 100_000)
    assert shares.mean() == pytest.approx(np.maximum(expected, 1 - expected).mean(), abs=0.01)


def test_rows_are_mixed_with_their_partners():
    values = torch.tensor([[1.0, 10.0], [3.0, 30.0], [5.0, 50.0]])
    assert_close(mix_rows(values, DRAW), torch.tensor([[1.5, 15.0], [4.0, 40.0], [5.0, 50.0]]))
    with pytest.raises(ValueError, match="mixup is for 3 rows, and the batch has 2"):
        mix_rows(values[:2], DRAW)


def test_classes_become_shares_and_unknown_ones_stay_unknown():
    labels = mix_labels(torch.tensor([0, 2, 1]), 3, DRAW)
    assert_close(labels, torch.tensor([[0.75, 0, 0.25], [0, 0.5, 0.5], [0, 1, 0]]))
    assert_close(mix_labels(torch.eye(3), 3, {**DRAW, "partners": [0, 1, 2]}), torch.eye(3))
    unknown = mix_labels(torch.tensor([0, -100, 1]), 3, DRAW)
    assert_close(unknown, torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 1, 0]]))


def test_values_of_dimensions_are_mixed_and_unknown_ones_stay_unknown():
    values = torch.tensor([[1.0, 5.0], [3.0, torch.nan], [5.0, 1.0]])
    expected = torch.tensor([[1.5, torch.nan], [4.0, torch.nan], [5.0, 1.0]])
    assert_close(mix_labels(values, None, DRAW), expected, equal_nan=True)


def test_waveforms_are_mixed_after_the_processor(corpus):
    rows = [corpus["train"][number] for number in range(4)]
    _, collator, plain = collators(corpus, {"waveform": 0.4}, SPEECH, "unimodal")
    before, after, drawn = plain(rows), collator(rows), collator.mixup.draw([row["id"] for row in rows])
    for number, (partner, share) in enumerate(zip(drawn["partners"], drawn["shares"], strict=True)):
        values = before["input_values"]
        assert_close(after["input_values"][number], share * values[number] + (1 - share) * values[partner])
        length = max(before["lengths"]["audio"][number], before["lengths"]["audio"][partner])
        assert after["lengths"]["audio"][number] == after["audio_attention_mask"][number].sum() == length
        assert after["labels"][number, rows[number]["label"]] >= share - 1e-6
    assert_close(after["labels"].sum(dim=1), torch.ones(4))
    assert "mixup" not in after


def test_embeddings_are_mixed_inside_the_model(corpus):
    rows = [corpus["train"][number] for number in range(4)]
    model, collator, plain = collators(corpus, {"embedding": 0.4}, FUSION | {"label_smoothing": 0.1})
    model.eval()
    batch = collator(rows)
    output, alone = model(**batch), model(**plain(rows))
    mixed = mix_rows(alone.embedding, batch["mixup"])
    assert_close(output.logits, model.classifier(mixed))
    assert_close(output.embedding, alone.embedding)
    smooth = 0.9 * batch["labels"] + 0.1 / 4
    assert_close(output.loss, -(smooth * output.logits.log_softmax(dim=-1)).sum(dim=1).mean())


def test_values_of_a_batch_are_mixed_in_every_task(corpus):
    rows = [corpus["train"][number] for number in range(4)]
    _, collator, _ = collators(corpus, {"embedding": 0.4})
    names, scale = ["arousal", "valence"], (1.0, 5.0)
    values = torch.tensor([[row["vad"][name] for name in names] for row in rows])
    dimensions = replace(collator, task=load_task("dimensions", names, scale=scale))(rows)
    both = replace(collator, task=load_task("multi_task", collator.task.labels, dimensions=names, scale=scale))(rows)
    assert_close(dimensions["labels"], mix_rows(values, dimensions["mixup"]))
    assert_close(both["dimension_labels"], dimensions["labels"])
    assert both["labels"].shape == (4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"waveform": 0.2}, "mixup.waveform mixes recordings, but the model reads text too; use mixup.embedding"),
        ({"waveform": 0.2, "embedding": 0.2}, "name one of waveform and embedding with its alpha"),
        ({"manifold": 0.2}, "name one of waveform and embedding"),
        ({"embedding": 0}, "mixup.embedding is 0; it must be a number above 0"),
        ({"embedding": float("nan")}, "mixup.embedding is nan; it must be"),
        ({"embedding": "0.2"}, "mixup.embedding is '0.2'; it must be"),
    ],
)
def test_bad_options_are_refused(corpus, options, message):
    with pytest.raises(ValueError, match=message):
        collators(corpus, options)
