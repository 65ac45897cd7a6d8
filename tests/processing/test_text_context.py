"""Earlier turns before an utterance: marks, separators, budget."""

import pytest
from emofusion.configuration.modalities import host_lengths
from emofusion.processing import EmoFusionProcessor
from emofusion.processing.processing_late_fusion import LateFusionProcessor
from transformers import BertTokenizer, RobertaTokenizer, Wav2Vec2FeatureExtractor

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", ":", "so", "glad", "yes", "no", "you"]
PAD, CLS, SEP = 0, 2, 3
TURNS = [
    {"speaker": "Ann", "text": "yes you"},
    {"speaker": "Ben", "text": "no"},
    {"speaker": "Cid", "text": ""},
    {"speaker": "Dan", "text": "so"},
]


def bert(length=32):
    return BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}, model_max_length=length)


def roberta():
    letters = {
        token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abABCno:yesg", "Ġ"])
    }
    return RobertaTokenizer(vocab=letters, merges=[], model_max_length=32)


def words_of(batch, row=0):
    return [WORDS[number] for number in batch["input_ids"][row].tolist() if number]


def test_turns_stand_before_utterance_with_marks_relative_to_its_speaker():
    processor = EmoFusionProcessor(tokenizer=bert(), context_turns=3)
    batch = processor(text="glad", context=TURNS, speaker="Ben")
    wanted = "[CLS] c : yes you a : no b : so [SEP] glad [SEP]"
    assert words_of(batch) == wanted.split()
    assert batch["context_lengths"].tolist() == [11]
    assert host_lengths(batch) == {"text": (14,), "context": (11,)}
    assert set(batch) <= set(processor.model_input_names)
    last = EmoFusionProcessor(tokenizer=bert(), context_turns=1)(text="glad", context=TURNS, speaker="Eve")
    assert words_of(last) == ["[CLS]", "b", ":", "so", "[SEP]", "glad", "[SEP]"]
    plain = processor(text="glad", context=["yes", {"text": "no"}])
    assert words_of(plain) == ["[CLS]", "yes", "no", "[SEP]", "glad", "[SEP]"]


def test_separators_are_those_of_the_tokenizer():
    tokenizer = roberta()
    batch = EmoFusionProcessor(tokenizer=tokenizer, context_turns=1)(text="on", context=["yes"])
    assert tokenizer.convert_ids_to_tokens(batch["input_ids"][0]) == ["<s>", *"yes", "</s>", "</s>", *"on", "</s>"]
    assert batch["context_lengths"].tolist() == [5]


def test_context_is_cut_at_its_oldest_end_and_utterance_keeps_its_tokens():
    utterance = "so glad so glad"
    alone = EmoFusionProcessor(tokenizer=bert(9))(text=utterance)["input_ids"][0].tolist()
    for context_tokens, kept in ((None, [12, 13]), (1, [13]), (5, [12, 13])):
        processor = EmoFusionProcessor(tokenizer=bert(9), context_turns=2, context_tokens=context_tokens)
        ids = processor(text=utterance, context=["yes yes", "no you"])["input_ids"][0].tolist()
        assert ids == [CLS, *kept, SEP, *alone[1:]]
    full = EmoFusionProcessor(tokenizer=bert(6), context_turns=2)(text=utterance, context=["no"])
    assert full["input_ids"][0].tolist() == alone
    assert full["context_lengths"].tolist() == [0]
    cut = EmoFusionProcessor(tokenizer=bert(5), context_turns=2)(text=utterance, context=["no"])
    assert cut["input_ids"][0].tolist() == [CLS, 9, 10, 9, SEP]


def test_rows_do_not_depend_on_batch_mates():
    processor = EmoFusionProcessor(tokenizer=bert(), context_turns=2)
    texts, contexts = ["glad", None, "so so so so so so so", ""], [TURNS, TURNS, None, ["yes"]]
    batch = processor(text=texts, context=contexts, speaker=["Ben", None, None, None])
    assert batch["context_lengths"].tolist() == [7, 0, 0, 2]
    assert batch["attention_mask"].sum(1).tolist() == [10, 0, 9, 4]
    for row, (text, context) in enumerate(zip(texts, contexts, strict=True)):
        if text is not None:
            alone = processor(text=text, context=context, speaker="Ben" if row == 0 else None)
            assert words_of(alone) == words_of(batch, row)


def test_processor_without_turns_is_as_before(tmp_path):
    processor = EmoFusionProcessor(tokenizer=bert())
    assert not {"context_turns", "context_tokens"} & set(processor.to_dict())
    assert set(processor(text="glad")) == {"input_ids", "attention_mask"}
    with pytest.raises(ValueError, match="context_turns 0: leave context out"):
        processor(text="glad", context=["so"])


def test_settings_are_saved_and_loaded(tmp_path):
    EmoFusionProcessor(tokenizer=bert(), context_turns=3, context_tokens=20).save_pretrained(tmp_path)
    loaded = EmoFusionProcessor.from_pretrained(tmp_path)
    assert (loaded.context_turns, loaded.context_tokens) == (3, 20)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"context_turns": -1}, ValueError, "from 0 to 1000"),
        ({"context_turns": 1.5}, TypeError, "whole number"),
        ({"context_turns": True}, TypeError, "whole number"),
        ({"context_tokens": 5}, ValueError, "with context_turns"),
        ({"context_turns": 2, "context_tokens": 0}, ValueError, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        EmoFusionProcessor(tokenizer=bert(), **settings)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"context": "yes"}, TypeError, r"context\[0\] must be a list of earlier turns"),
        ({"context": [3]}, TypeError, r"context\[0\]\[0\] must be a string or a mapping, not int"),
        ({"context": [{"text": 3}]}, TypeError, "has a text that is int"),
        ({"context": [{"text": "a", "speaker": 3}]}, TypeError, "has a speaker that is int"),
        ({"context": [], "speaker": 3}, TypeError, "must be a string"),
        ({"context": TURNS}, ValueError, "names the speaker 'Ann', but the speaker of the utterance is unknown"),
    ],
)
def test_wrong_contexts_are_refused_in_one_sentence(given, error, message):
    with pytest.raises(error, match=message):
        EmoFusionProcessor(tokenizer=bert(), context_turns=3)(text="glad", **given)


def test_context_without_text_is_refused():
    with pytest.raises(ValueError, match="no tokenizer"):
        EmoFusionProcessor(Wav2Vec2FeatureExtractor(), context_turns=2)


def test_members_of_late_fusion_read_their_own_number_of_turns():
    processors = [EmoFusionProcessor(tokenizer=bert(), context_turns=turns) for turns in (2, 0, 2)]
    fusion = LateFusionProcessor.from_members(processors)
    assert list(fusion.members) == [1]
    assert fusion.earlier_turns == 2
    batch = fusion(text="glad", context=["yes", "no"])
    assert words_of(batch) == ["[CLS]", "yes", "no", "[SEP]", "glad", "[SEP]"]
    assert batch["member_1_input_ids"].tolist() == [[CLS, 10, SEP]]
    assert "member_1_context_lengths" not in batch
