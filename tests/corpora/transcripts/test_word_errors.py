import random

import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora.schema import features
from emofusion.corpora.transcripts.word_errors import compare_transcripts, word_error_rate


def distance(reference: list[str], recognised: list[str]) -> int:
    """Return the Levenshtein distance, by its recursion."""
    table = [[0] * (len(recognised) + 1) for _ in range(len(reference) + 1)]
    for row in range(len(reference) + 1):
        for column in range(len(recognised) + 1):
            if not row or not column:
                table[row][column] = row + column
            else:
                other = reference[row - 1] != recognised[column - 1]
                table[row][column] = min(
                    table[row - 1][column] + 1, table[row][column - 1] + 1, table[row - 1][column - 1] + other
                )
    return table[-1][-1]


@pytest.mark.parametrize("seed", range(20))
def test_errors_are_edit_distance(seed):
    draw = random.Random(seed)
    pairs = [[[draw.choice("abcd") for _ in range(draw.randint(0, 9))] for _ in range(2)] for _ in range(6)]
    found = word_error_rate(*zip(*[[" ".join(text) for text in pair] for pair in pairs], strict=True))
    errors, words = sum(distance(*pair) for pair in pairs), sum(len(reference) for reference, _ in pairs)
    assert found["substitutions"] + found["deletions"] + found["insertions"] == errors
    assert found["deletions"] - found["insertions"] == words - sum(len(recognised) for _, recognised in pairs)
    assert found["words"] == words
    assert found["wer"] == pytest.approx(errors / words)
    assert found["utterances"] == 6
    assert found["not_compared"] == 0


def test_each_kind_of_error_is_counted():
    found = word_error_rate(["I know him.", "Oh, no!", "Yes."], ["i know them", "no", "yes yes"])
    assert found == {
        "wer": 3 / 6,
        "substitutions": 1,
        "deletions": 1,
        "insertions": 1,
        "words": 6,
        "utterances": 3,
        "not_compared": 0,
    }


def test_case_and_punctuation_are_not_errors():
    assert word_error_rate(["Well, I don't know..."], ["WELL I DONT KNOW"])["wer"] == 0


def test_missing_transcripts_are_not_compared():
    found = word_error_rate(["yes", None, "no", None], ["yes", "hello", None, None])
    assert (found["wer"], found["words"], found["utterances"], found["not_compared"]) == (0, 1, 1, 3)


def test_words_recognised_in_silence_are_insertions():
    found = word_error_rate(["yes", "..."], ["yes", "thank you for watching"])
    assert (found["wer"], found["insertions"], found["utterances"]) == (4, 4, 2)


@pytest.mark.parametrize("texts", [([], []), ([None], ["yes"]), (["..."], ["yes"]), ([""], [""])])
def test_references_without_words_have_no_rate(texts):
    found = word_error_rate(*texts)
    assert found["wer"] is None
    assert found["words"] == 0


def test_references_and_hypotheses_need_equal_numbers():
    with pytest.raises(ValueError, match="shorter"):
        word_error_rate(["yes", "no"], ["yes"])


def test_rates_are_grouped():
    rows = [
        {"text": "a b", "asr_text": "a b", "label": 0, "scripted": True},
        {"text": "a b", "asr_text": "a", "label": 1, "scripted": False},
        {"text": "a b", "asr_text": "c d", "label": 1, "scripted": None},
        {"text": None, "asr_text": "c", "label": None, "scripted": False},
    ]
    schema = features(["calm", "cross", "cold"])
    table = Dataset.from_dict({name: [row.get(name) for row in rows] for name in schema}, features=schema)
    found = compare_transcripts(DatasetDict({"train": table, "test": table.select([0])}))
    assert list(found) == ["train", "test"]
    train = found["train"]
    assert (train["all"]["wer"], train["all"]["utterances"], train["all"]["not_compared"]) == (0.5, 3, 1)
    assert {name: group["wer"] for name, group in train["label"].items()} == {"calm": 0, "cross": 0.75}
    assert {name: group["wer"] for name, group in train["scripted"].items()} == {"improvised": 0.5, "scripted": 0}
    assert found["test"]["label"].keys() == {"calm"}


def test_corpus_without_labels_has_one_rate():
    schema = features(["calm"])
    rows = {name: [None] for name in schema} | {"text": ["a"], "asr_text": ["b"]}
    found = compare_transcripts(DatasetDict({"train": Dataset.from_dict(rows, features=schema)}))
    assert found["train"]["all"]["wer"] == 1
    assert found["train"]["label"] == found["train"]["scripted"] == {}
