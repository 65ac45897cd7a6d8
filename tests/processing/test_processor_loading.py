"""Processors whose files are missing or wrong are refused."""

import json
import re

import pytest
from emofusion.processing.processing_emofusion import EmoFusionProcessor
from emofusion.processing.processing_late_fusion import LateFusionProcessor
from testing_pipeline import make_processor
from transformers import AutoProcessor, BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@pytest.fixture
def folder(tmp_path):
    make_processor(("audio", "text", "video"), longest_seconds=12.5).save_pretrained(tmp_path)
    return tmp_path


def change(folder, file, **fields):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def complaint(folder, kind=EmoFusionProcessor):
    """Return the error of loading a processor; it is one line that begins with the folder."""
    with pytest.raises((OSError, TypeError, ValueError)) as caught:
        kind.from_pretrained(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def test_longest_seconds_is_saved(folder):
    assert EmoFusionProcessor.from_pretrained(folder).longest_seconds == 12.5
    assert AutoProcessor.from_pretrained(folder).longest_seconds == 12.5


@pytest.mark.parametrize("left", ["tokenizer_config.json", "nothing else"])
def test_missing_vocabulary_is_refused(folder, left):
    (folder / "tokenizer.json").unlink()
    if left == "nothing else":
        (folder / "tokenizer_config.json").unlink()
    message = complaint(folder)
    assert "tokenizer" in message
    if left == "tokenizer_config.json":
        assert message.startswith(f"{folder} has no tokenizer.json, the vocabulary of its tokenizer: copy")


def test_missing_vocabulary_of_added_tokens_is_refused(folder):
    """With further tokens in its settings, an invented vocabulary has more than special tokens."""
    (folder / "tokenizer.json").unlink()
    added = {"5": {"content": "hello", "special": False}}
    change(folder, "tokenizer_config.json", added_tokens_decoder=added)
    assert "has no tokenizer.json" in complaint(folder)


def test_special_token_outside_the_vocabulary_is_refused(folder):
    change(folder, "tokenizer_config.json", cls_token="[START]")
    assert "the special token '[START]' is not in tokenizer.json" in complaint(folder)


def test_other_vocabulary_files_are_enough(folder):
    tokens = EmoFusionProcessor.from_pretrained(folder).tokenizer.get_vocab()
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(sorted(tokens, key=tokens.get)) + "\n")
    assert EmoFusionProcessor.from_pretrained(folder).tokenizer.get_vocab() == tokens


@pytest.mark.parametrize("fields", [{"model_max_length": "x"}, {"model_max_length": 10**20}, {"pad_token": None}])
def test_wrong_setting_of_the_tokenizer_is_found_when_it_is_loaded(folder, fields):
    change(folder, "tokenizer_config.json", **fields)
    assert "the tokenizer cannot be used: " in complaint(folder)


def test_tokenizer_without_words_is_refused():
    tokenizer = BertTokenizer(vocab={token: number for number, token in enumerate(SPECIAL)})
    with pytest.raises(ValueError, match="The tokenizer has special tokens only: give one with a vocabulary"):
        EmoFusionProcessor(tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("processor_config.json", None, "has no processor_config.json"),
        ("processor_config.json", "[1]", "processor_config.json"),
        ("processor_config.json", "{", "processor_config.json"),
        ("tokenizer.json", "{}", "the tokenizer cannot be used"),
        ("tokenizer.json", "[", "the tokenizer cannot be used"),
        ("tokenizer_config.json", "7", "tokenizer_config.json must hold a JSON object"),
    ],
)
def test_damaged_file_gives_one_sentence(folder, file, content, message):
    (folder / file).unlink() if content is None else (folder / file).write_text(content)
    assert message in complaint(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"feature_extractor": "x"}, "feature_extractor in processor_config.json must be a mapping or null, not 'x'"),
        ({"image_processor": 3}, "image_processor in processor_config.json must be a mapping or null, not 3"),
        ({"tokenizer": []}, "tokenizer in processor_config.json must be a mapping or null"),
        ({"feature_extractor": {"sampling_rate": []}}, "feature_extractor"),
        ({"image_processor": {"image_processor_type": 7}}, "the image_processor cannot be used"),
        (
            {
                "image_processor": {
                    "image_processor_type": "ViTImageProcessor",
                    "size": {"height": 10**6, "width": 10**6},
                }
            },
            "4096 are the most",
        ),
        ({"max_seconds": "5"}, "max_seconds must be a number, not '5' of type str"),
        ({"max_seconds": True}, "max_seconds must be a number"),
        ({"max_seconds": 1e-9}, "max_seconds must be at least 0.1"),
        ({"longest_seconds": -1}, "longest_seconds must be at least 0.1"),
        ({"longest_seconds": float("nan")}, "longest_seconds must be at least 0.1"),
        ({"frames_per_second": None}, "frames_per_second must be a number"),
        ({"frames_per_second": 0}, "frames_per_second must be a positive number"),
    ],
)
def test_wrong_setting_is_named(folder, fields, message):
    change(folder, "processor_config.json", **fields)
    assert message in complaint(folder)


@pytest.mark.parametrize("members", [3, "02", {"0": 1}, [1.5], None])
def test_wrong_members_are_named(folder, members):
    change(folder, "processor_config.json", members=members)
    assert "members in processor_config.json must be a list of numbers" in complaint(folder, LateFusionProcessor)


def test_missing_vocabulary_of_a_member_is_refused(tmp_path):
    first, second = make_processor(("audio", "text")), make_processor(("text",))
    second.tokenizer.add_tokens("other")
    LateFusionProcessor.from_members([first, second]).save_pretrained(tmp_path)
    LateFusionProcessor.from_pretrained(tmp_path)
    (tmp_path / "member_1" / "tokenizer.json").unlink()
    assert "tokenizer" in complaint(tmp_path, LateFusionProcessor)


def test_missing_vocabulary_on_the_hub_is_refused(folder, hub, monkeypatch, tmp_path):
    from huggingface_hub import constants
    from testing_hub_server import sha256

    template = f"{hub.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "tokenizer.json"}
    hub.large |= {sha256(content): content for content in files.values()}
    hub.add("someone/without-words").commit("main", "All of it", files)
    with pytest.raises(OSError, match=re.escape("someone/without-words has no tokenizer.json, the vocabulary")):
        EmoFusionProcessor.from_pretrained("someone/without-words", cache_dir=tmp_path / "cache")
