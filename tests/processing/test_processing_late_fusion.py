import json

import numpy as np
import pytest
import soundfile
import torch
from emofusion.processing import processing_emofusion
from emofusion.processing.processing_emofusion import EmoFusionProcessor
from emofusion.processing.processing_late_fusion import LateFusionProcessor
from transformers import AutoProcessor, BertTokenizer, Wav2Vec2FeatureExtractor

RATE = 16000
TEXT = ["hello there", "there"]


def tokenizer(*words: str) -> BertTokenizer:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    return BertTokenizer(vocab={token: index for index, token in enumerate(tokens)})


def audio_processor(do_normalize: bool = True, **settings) -> EmoFusionProcessor:
    return EmoFusionProcessor(Wav2Vec2FeatureExtractor(do_normalize=do_normalize), **settings)


def text_processor(*words: str) -> EmoFusionProcessor:
    return EmoFusionProcessor(tokenizer=tokenizer(*(words or ("hello", "there"))))


def both(*words: str, do_normalize: bool = True, **settings) -> EmoFusionProcessor:
    return EmoFusionProcessor(
        audio_processor(do_normalize).feature_extractor, text_processor(*words).tokenizer, **settings
    )


@pytest.fixture
def recordings(tmp_path):
    """Two files, the longer one of a second."""
    random = np.random.default_rng(0)
    paths = [tmp_path / "long.wav", tmp_path / "short.wav"]
    for path, samples in zip(paths, (RATE, RATE // 2), strict=True):
        soundfile.write(path, random.normal(0, 0.1, samples), RATE, subtype="FLOAT")
    return [str(path) for path in paths]


def assert_equal(batch, expected) -> None:
    assert set(batch) == set(expected)
    for name, value in expected.items():
        assert torch.equal(batch[name], value), name


def test_members_with_equal_processors_share_inputs(recordings):
    processor = LateFusionProcessor.from_members([audio_processor(), text_processor(), both()])
    assert processor.members == {}
    assert_equal(processor(recordings, TEXT), both()(recordings, TEXT))


@pytest.mark.parametrize(
    ("other", "own"),
    [
        (text_processor("there", "hello"), {"input_ids", "attention_mask"}),
        (audio_processor(do_normalize=False), {"input_values", "audio_attention_mask"}),
        (audio_processor(max_seconds=0.25), {"input_values", "audio_attention_mask"}),
        (both("hello"), {"input_ids", "attention_mask"}),
    ],
)
def test_member_with_other_processor_gets_prefixed_inputs(other, own, recordings):
    processor = LateFusionProcessor.from_members([both(), audio_processor(), other])
    batch = processor(recordings, TEXT)
    expected = dict(both()(recordings, TEXT).items())
    given = {"audio": recordings if other.feature_extractor else None, "text": TEXT if other.tokenizer else None}
    expected |= {f"member_2_{name}": value for name, value in other(**given).items() if name in own}
    assert_equal(batch, expected)
    assert {name for name in processor.model_input_names if name.startswith("member")} >= {
        f"member_2_{n}" for n in own
    }


def test_tokenizer_is_shared_for_any_max_seconds():
    assert LateFusionProcessor.from_members([both(max_seconds=1.0), text_processor()]).members == {}
    processor = LateFusionProcessor.from_members([text_processor(), both(max_seconds=1.0)])
    assert processor.members == {}
    assert processor.max_seconds == 1.0


def test_used_tokenizer_equals_unused_one():
    used = text_processor()
    used(text=TEXT)
    assert LateFusionProcessor.from_members([text_processor(), used]).members == {}


def test_spans_are_cut_at_members_max_seconds(recordings):
    alignment = {"word": {"start": [0.0, 0.3], "end": [0.3, 0.6], "symbol": ["hello", "there"]}}
    processor = LateFusionProcessor.from_members([both(), audio_processor(max_seconds=0.25), text_processor("there")])
    batch = processor(recordings[0], TEXT[0], alignment=alignment)
    assert batch["word_spans"].shape == (1, 2, 2)
    assert batch["member_1_word_spans"].tolist() == [[[0.0, 0.25]]]
    assert "member_2_word_spans" not in batch


def test_recording_is_decoded_once(recordings, monkeypatch):
    decoded = []
    decode = processing_emofusion.load_audio

    def counting(source, rate, **options):
        if isinstance(source, str):
            decoded.append(source)
        return decode(source, rate, **options)

    monkeypatch.setattr(processing_emofusion, "load_audio", counting)
    LateFusionProcessor.from_members(
        [audio_processor(), audio_processor(do_normalize=False), audio_processor(max_seconds=0.1)]
    )(recordings)
    assert decoded == recordings


def test_member_with_other_rate_gets_own_waveform(recordings):
    slow = EmoFusionProcessor(Wav2Vec2FeatureExtractor(sampling_rate=8000))
    batch = LateFusionProcessor.from_members([audio_processor(), slow])(recordings)
    assert batch["member_1_input_values"].shape[1] == batch["input_values"].shape[1] // 2


@pytest.mark.parametrize(("given", "mask"), [("audio", "audio_attention_mask"), ("text", "attention_mask")])
def test_modality_may_be_missing(given, mask, recordings):
    processor = LateFusionProcessor.from_members([both(), both("there", do_normalize=False)])
    inputs = {"audio": recordings, "text": TEXT}
    full, alone = processor(**inputs), processor(**{given: inputs[given]})
    assert len(alone) == 4
    assert_equal(alone, {name: full[name] for name in alone})
    sparse = processor(**inputs | {given: [inputs[given][0], None]})
    for name in (mask, f"member_1_{mask}"):
        assert sparse[name].any(dim=1).tolist() == [True, False]


def test_waveforms_need_sampling_rate():
    processor = LateFusionProcessor.from_members([audio_processor(), audio_processor(do_normalize=False)])
    waveform = np.zeros(400, dtype=np.float32)
    assert processor(waveform, sampling_rate=RATE)["member_1_input_values"].shape == (1, 400)
    with pytest.raises(ValueError, match=r"^audio\[0\] is a waveform of unknown rate"):
        processor(waveform)


def test_saving_and_loading_keep_every_batch(recordings, tmp_path):
    processors = [both(), text_processor("there", "hello"), audio_processor(do_normalize=False, max_seconds=0.3)]
    processor = LateFusionProcessor.from_members(processors)
    processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text())
    assert saved["members"] == [1, 2]
    for loader in (AutoProcessor, LateFusionProcessor):
        loaded = loader.from_pretrained(tmp_path)
        assert type(loaded) is LateFusionProcessor
        assert_equal(loaded(recordings, TEXT), processor(recordings, TEXT))
