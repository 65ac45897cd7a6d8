from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from accelerate.data_loader import BatchSamplerShard, skip_first_batches
from datasets import Dataset
from emofusion.corpora.schema import features
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.sampler import (
    SHORTEST,
    EpochSetter,
    LengthGroupedBatchSampler,
    find_longest,
    lengths_of,
    seconds_of,
)
from torch.utils.data import DataLoader
from transformers import TrainerState

# About as the utterances of a corpus of dialogues: most are short, few are long.
LENGTHS = np.random.default_rng(0).lognormal(1.2, 0.6, 1003).clip(0.5, 20)


def shares(sampler, processes):
    """Return the sampler of each process, as accelerate prepares it."""
    return [list(share_of(sampler, processes, process)) for process in range(processes)]


def share_of(sampler, processes, process):
    return BatchSamplerShard(sampler, processes, process, even_batches=False)


@pytest.mark.parametrize("budget", [{"batch_size": 8}, {"max_seconds": 60.0}])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("utterances", [7, 100, 1003])
def test_every_utterance_is_in_one_batch_per_epoch(budget, processes, utterances):
    sampler = LengthGroupedBatchSampler(LENGTHS[:utterances], num_processes=processes, **budget)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        dealt = shares(sampler, processes)
        assert sorted(row for share in dealt for batch in share for row in batch) == list(range(utterances))
        assert {len(share) for share in dealt} == {len(sampler) / processes}
        for step in zip(*dealt, strict=True):
            sizes = [len(batch) for batch in step]
            assert min(sizes) >= max(1, max(sizes) - 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_no_batch_exceeds_its_size_including_padding(processes):
    for batch in LengthGroupedBatchSampler(LENGTHS, max_seconds=60.0, num_processes=processes):
        assert len(batch) * LENGTHS[batch].max() <= 60
    for batch in LengthGroupedBatchSampler(LENGTHS, batch_size=8, num_processes=processes):
        assert len(batch) <= 8


def test_batches_of_similar_length_have_less_padding():
    random = np.array_split(np.random.default_rng(0).permutation(len(LENGTHS)), len(LENGTHS) // 8)
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in random)
    waste = 1 - LENGTHS.sum() / padded
    for budget in ({"batch_size": 8}, {"max_seconds": 60.0}):
        sampler = LengthGroupedBatchSampler(LENGTHS, **budget)
        expected = 1 - LENGTHS.sum() / sum(len(batch) * LENGTHS[batch].max() for batch in sampler)
        assert sampler.padding() == pytest.approx(expected)
        assert sampler.padding() < waste / 4


def test_every_epoch_has_other_batches_and_the_same_number():
    first, second = (LengthGroupedBatchSampler(LENGTHS, max_seconds=60.0, seed=1) for _ in range(2))
    plans = []
    for epoch in range(3):
        first.set_epoch(epoch)
        plans.append(list(first))
    second.set_epoch(2)
    assert list(second) == plans[2]
    assert {len(plan) for plan in plans} == {len(first)}
    assert len({frozenset(batch) for plan in plans for batch in plan}) > 2.5 * len(first)
    assert list(LengthGroupedBatchSampler(LENGTHS, max_seconds=60.0, seed=2)) != plans[0]


def test_processes_share_the_batch_that_one_process_would_have():
    alone = list(LengthGroupedBatchSampler(LENGTHS, batch_size=8))
    together = LengthGroupedBatchSampler(LENGTHS, batch_size=4, num_processes=2)
    for whole, *parts in zip(alone, *shares(together, 2), strict=True):
        assert sorted(whole) == sorted(row for part in parts for row in part)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_epoch_continues_with_the_remaining_batches(processes):
    for process in range(processes):
        sampler = LengthGroupedBatchSampler(LENGTHS, batch_size=8, num_processes=processes)
        sampler.set_epoch(3)
        expected = list(share_of(sampler, processes, process))[5:]
        sampler.set_epoch(0)
        loader = DataLoader(range(len(LENGTHS)), batch_sampler=share_of(sampler, processes, process))
        rest = skip_first_batches(loader, 5)
        EpochSetter().on_epoch_begin(None, TrainerState(epoch=3.2), None, train_dataloader=loader)
        assert [batch.tolist() for batch in rest] == expected


def test_utterances_that_cannot_be_divided_are_refused():
    with pytest.raises(ValueError, match=r"max_batch_seconds is 10, and an utterance lasts 20\.0 s"):
        LengthGroupedBatchSampler(LENGTHS, max_seconds=10)
    with pytest.raises(ValueError, match="1 utterances are too few for 2 processes"):
        LengthGroupedBatchSampler([1.0], batch_size=8, num_processes=2)
    with pytest.raises(ValueError, match="cannot be dealt to 2 processes"):
        LengthGroupedBatchSampler([1.0, 1.0, 1.0], batch_size=1, num_processes=2)


def test_very_short_utterances_do_not_fill_one_batch():
    batches = list(LengthGroupedBatchSampler(np.zeros(100), max_seconds=10))
    assert max(map(len, batches)) == 10 / SHORTEST


@pytest.mark.parametrize("strategy", ["group_by_length", "batch_rebalance"])
def test_the_grouping_of_trainer_is_refused(strategy, tmp_path):
    with pytest.raises(ValueError, match="use group_by_length or max_batch_seconds"):
        EmotionTrainingArguments(str(tmp_path), train_sampling_strategy=strategy, use_cpu=True)


@pytest.mark.parametrize("embedded", [False, True])
def test_durations_come_from_span_dialogue_or_header(tmp_path, embedded):
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(16000), 8000)
    source = {"path": "sound.wav", "bytes": path.read_bytes()} if embedded else {"path": str(path)}
    rows = [
        {"id": "span", "audio": source | {"start": 0.5, "end": 1.75}, "start": 10.0, "end": 10.1},
        {"id": "dialogue", "audio": source, "start": 10.0, "end": 11.5},
        {"id": "header", "audio": source},
        {"id": "rest", "audio": source | {"start": 0.25}},
        {"id": "none", "audio": None},
    ]
    columns = features(["a", "b"])
    complete = [{name: row.get(name) for name in columns} for row in rows]
    for row in complete:
        row["audio"] = row["audio"] and {name: row["audio"].get(name) for name in ("path", "bytes", "start", "end")}
    dataset = Dataset.from_list(complete, features=columns)
    assert seconds_of(dataset).tolist() == [1.25, 1.5, 2.0, 1.75, 0.0]
    assert seconds_of(dataset.select([4, 2, 0])).tolist() == [0.0, 2.0, 1.25]
    assert seconds_of(dataset, max_seconds=1.5).tolist() == [1.25, 1.5, 1.5, 1.5, 0.0]
    splits = [dataset.select([0]), dataset.select([0, 4])]
    processor = SimpleNamespace(feature_extractor=True, image_processor=None, max_seconds=None)
    assert find_longest(splits, processor) == 1.3  # rounded up
    assert find_longest([*splits, dataset], processor) == 2.0
    processor.max_seconds = 0.5
    assert find_longest(splits, processor) == 0.5
    processor.feature_extractor = None
    assert find_longest(splits, processor) is None


def test_a_text_model_groups_by_number_of_words(corpus):
    class Reader:
        feature_extractor = image_processor = None

    rows = corpus["train"].select(range(3))
    assert lengths_of(rows, Reader()).tolist() == [len(text.split()) for text in rows["text"]]
    with pytest.raises(ValueError, match="takes only text"):
        lengths_of(rows, Reader(), in_seconds=True)
