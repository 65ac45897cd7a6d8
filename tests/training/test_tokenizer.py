import json
import os
import subprocess
import sys

import pytest
from emofusion.training.processor_building import SPECIAL_TOKENS, train_tokenizer
from transformers import AutoTokenizer

TEXTS = ["The lamp looks good.", "The LAMP is ugly, isn't it?", "What a lovely café"]
LETTERS = len(set("thelampooksgd.uyisn'?wvcf,"))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 200, 16)


def test_known_words_are_one_token_and_case_does_not_matter(tokenizer):
    assert tokenizer.tokenize("The LAMP looks lovely.") == ["the", "lamp", "looks", "lovely", "."]
    assert tokenizer.tokenize("café") == ["cafe"]


def test_any_word_of_known_letters_can_be_spelt(tokenizer):
    assert tokenizer.tokenize("tamp") == ["t", "##a", "##m", "##p"]
    assert tokenizer.unk_token_id not in tokenizer("goad gavel moth tasty").input_ids
    assert tokenizer.unk_token_id in tokenizer("zebra").input_ids


def test_special_tokens_come_first(tokenizer):
    assert tokenizer.convert_ids_to_tokens(range(5)) == list(SPECIAL_TOKENS)
    assert tokenizer.pad_token_id == 0
    assert tokenizer("the lamp").input_ids == [2, *tokenizer.convert_tokens_to_ids(["the", "lamp"]), 3]


@pytest.mark.parametrize("size", [5 + 2 * LETTERS + 4, 5 + 2 * LETTERS + 5])
def test_the_vocabulary_is_limited_to_the_most_frequent_words(size):
    small = train_tokenizer(TEXTS, size, 16)
    assert len(small) == size
    assert max(small.get_vocab().values()) == size - 1
    assert {"the", "lamp"} <= set(small.get_vocab())
    assert "ugly" not in small.get_vocab()


def test_longer_texts_are_truncated(tokenizer):
    assert len(tokenizer("the lamp " * 20, truncation=True).input_ids) == 16


def test_a_saved_tokenizer_is_the_same_when_loaded(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.model_max_length == 16
    assert loaded(TEXTS).input_ids == tokenizer(TEXTS).input_ids


LEARN = """
import json, sys
from emofusion.training.processor_building import train_tokenizer
texts = json.loads(sys.argv[1])
print(json.dumps([hash(texts[0]), train_tokenizer(texts, 200, 16).get_vocab()]))
"""


def test_every_process_learns_the_same(tokenizer):
    seed = "0" if os.environ.get("PYTHONHASHSEED") != "0" else "1"  # another seed, so the order of sets differs
    command, environment = [sys.executable, "-c", LEARN, json.dumps(TEXTS)], os.environ | {"PYTHONHASHSEED": seed}
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    number, vocabulary = json.loads(output.stdout.splitlines()[-1])
    assert number != hash(TEXTS[0])
    assert vocabulary == tokenizer.get_vocab()
