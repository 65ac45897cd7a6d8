"""The configuration of multi-level fusion: granularities and errors."""

import re

import pytest
from emofusion import MultiLevelFusionConfig


def test_granularities_set_span_levels_and_embedding_size():
    config = MultiLevelFusionConfig()
    assert config.span_levels == ("phone", "syllable", "word")
    assert config.embedding_size == 2 * 4 * 768
    frames = MultiLevelFusionConfig(granularities=["frame"], hidden_size=64)
    assert frames.span_levels == ()
    assert frames.embedding_size == 2 * 64
    assert MultiLevelFusionConfig().granularities is not config.granularities


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"granularities": []}, "granularities is []; name at least one of frame, phone, syllable, word, each once."),
        ({"granularities": ["word", "word"]}, "granularities is ['word', 'word']; name at least one of frame, phone"),
        ({"hidden_size": 20}, "hidden_size is 20; it must divide by num_attention_heads (8)."),
        ({"num_coattention_layers": 0}, "num_coattention_layers is 0; it must be at least 1 and at most 1024."),
    ],
)
def test_invalid_value_gives_one_sentence(fields, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as error:
        MultiLevelFusionConfig(**fields)
    assert re.fullmatch(r"[^\n]+\.", str(error.value))


@pytest.mark.parametrize(
    ("name", "value"), [("granularities", ["letter"]), ("granularities", "word"), ("fusion", "mean")]
)
def test_unknown_value_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"^{name} is .*; it must be .*one of [^\n]*\.$"):
        MultiLevelFusionConfig(**{name: value})
