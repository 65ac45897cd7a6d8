import json
import pickle
from pathlib import Path

import emofusion
import numpy as np
import pytest
import soundfile
import torch
from emofusion.processing import EmoFusionProcessor, load_audio, text_tokens
from testing_fresh import run_fresh
from transformers import BertTokenizer, ViTImageProcessor, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "i", "am", "so", "glad", "to", "see", "you"]


def tokenizer():
    return BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)}, model_max_length=8)


def extractor(**kwargs):
    return Wav2Vec2FeatureExtractor(**kwargs)


def image_processor(size=6):
    return ViTImageProcessor(size={"height": size, "width": size})


@pytest.fixture
def processor():
    return EmoFusionProcessor(extractor(), tokenizer())


def noise(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return (0.3 + 0.1 * rng.standard_normal(round(seconds * 16000))).astype(np.float32)


ALIGNMENT = {
    "word": {
        "start": [0.0, 0.1, 0.3, 0.5, 0.7],
        "end": [0.1, 0.3, 0.5, 0.7, 0.9],
        "symbol": ["<s>", "I", "++LAUGHTER++", "AM", "</s>"],
    },
    "syllable": None,
    "phone": {"start": [0.0, 0.1, 0.2], "end": [0.1, 0.2, 0.3], "symbol": ["SIL", "AY", "+BREATH+"]},
}


def test_batch_has_keys_shapes_and_types_of_contract(processor):
    batch = processor(
        audio=[noise(0.5), noise(0.3)], text=["i am glad", "so"], sampling_rate=16000, alignment=[ALIGNMENT, None]
    )
    assert list(batch) == processor.model_input_names
    assert batch["input_values"].shape == batch["audio_attention_mask"].shape == (2, 8000)
    assert batch["input_values"].dtype == torch.float32
    assert batch["audio_attention_mask"].sum(-1).tolist() == [8000, 4800]
    assert not batch["input_values"][1, 4800:].any()
    assert batch["input_ids"].tolist() == [[2, 5, 6, 8, 3], [2, 7, 3, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert batch["word_spans"].dtype == torch.float32


def test_silence_and_noise_are_not_segments(processor):
    batch = processor(text=["i am", "so"], alignment=[ALIGNMENT, None], return_tensors="np")
    expected = np.array([[[0.1, 0.3], [0.5, 0.7]], [[-1, -1], [-1, -1]]], np.float32)
    np.testing.assert_array_equal(batch["word_spans"], expected)
    np.testing.assert_array_equal(batch["phone_spans"], np.array([[[0.1, 0.2]], [[-1, -1]]], np.float32))
    np.testing.assert_array_equal(batch["syllable_spans"], np.full((2, 1, 2), -1, np.float32))


def test_audio_is_normalised_by_feature_extractor():
    wanted = EmoFusionProcessor(extractor())(noise(1), sampling_rate=16000)["input_values"][0]
    assert abs(wanted.mean()) < 1e-4
    assert abs(wanted.std() - 1) < 1e-3
    plain = EmoFusionProcessor(extractor(do_normalize=False))(noise(1), sampling_rate=16000)["input_values"][0]
    np.testing.assert_array_equal(plain, noise(1))


def test_padding_and_batch_mates_never_change_row(processor):
    audio, text = [noise(0.31, 1), noise(0.9, 2), noise(0.05, 3)], ["i am", "so glad to see you", "see"]
    batch = processor(audio=audio, text=text, sampling_rate=16000, alignment=[ALIGNMENT, None, ALIGNMENT])
    for row, (item, words) in enumerate(zip(audio, text, strict=True)):
        alone = processor(audio=item, text=words, sampling_rate=16000)
        assert torch.equal(batch["input_values"][row, : len(item)], alone["input_values"][0])
        assert torch.equal(batch["input_ids"][row][batch["attention_mask"][row] == 1], alone["input_ids"][0])


def test_missing_rows_are_masked(processor):
    batch = processor(
        audio=[None, noise(0.3), None], text=["i am", None, "so glad"], sampling_rate=16000, return_tensors="np"
    )
    alone = processor(audio=noise(0.3), sampling_rate=16000, return_tensors="np")
    np.testing.assert_array_equal(batch["input_values"][1], alone["input_values"][0])
    assert batch["input_values"].dtype == np.float32
    assert batch["audio_attention_mask"].sum(axis=1).tolist() == [0, 4800, 0]
    assert not batch["input_values"][[0, 2]].any()
    assert batch["input_ids"].tolist() == [[2, 5, 6, 3], [0, 0, 0, 0], [2, 7, 8, 3]]
    assert batch["attention_mask"].sum(axis=1).tolist() == [4, 0, 4]


def test_modality_that_is_missing_everywhere_is_left_out(processor):
    assert set(processor(text="so")) == {"input_ids", "attention_mask"}
    assert set(processor(audio=[None], text=["so"])) == {"input_ids", "attention_mask"}
    assert set(processor(audio=noise(0.1), sampling_rate=16000)) == {"input_values", "audio_attention_mask"}


def test_every_form_of_audio_gives_same_row(processor, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(0.2), 16000, subtype="FLOAT")
    forms = [
        noise(0.2),
        noise(0.2).astype(np.float64),
        torch.from_numpy(noise(0.2)).requires_grad_(),
        noise(0.2).tolist(),
        path,
        str(path),
        path.read_bytes(),
        {"path": str(path), "bytes": None},
        {"array": noise(0.2), "sampling_rate": 16000},
    ]
    expected = processor(noise(0.2), sampling_rate=16000)["input_values"]
    for form in forms:
        assert torch.equal(processor(form, sampling_rate=16000)["input_values"], expected)
    assert torch.equal(processor(forms, sampling_rate=16000)["input_values"], expected.expand(len(forms), -1))


def test_files_are_resampled_and_cut_to_span(tmp_path):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([noise(2, 1), noise(2, 2)], axis=1), 44100, subtype="FLOAT")
    plain = EmoFusionProcessor(extractor(do_normalize=False))
    row = plain({"path": path, "start": 0.1, "end": 0.5}, return_tensors="np")["input_values"][0]
    np.testing.assert_array_equal(row, load_audio(path, 16000, 0.1, 0.5))


def test_max_seconds_cuts_audio_and_alignment(tmp_path):
    processor = EmoFusionProcessor(extractor(), tokenizer(), max_seconds=0.6)
    batch = processor(noise(2), sampling_rate=16000, alignment=ALIGNMENT)
    assert torch.equal(batch["input_values"], processor(noise(2)[:9600], sampling_rate=16000)["input_values"])
    np.testing.assert_allclose(batch["word_spans"][0], [[0.1, 0.3], [0.5, 0.6]], rtol=1e-6)
    processor.save_pretrained(tmp_path)
    assert EmoFusionProcessor.from_pretrained(tmp_path).max_seconds == 0.6
    assert EmoFusionProcessor.from_pretrained(tmp_path, max_seconds=3.0).max_seconds == 3.0


def test_padding_to_maximum_gives_fixed_shapes():
    processor = EmoFusionProcessor(extractor(), tokenizer(), max_seconds=1.0)
    batch = processor(noise(0.2), "so", sampling_rate=16000, padding="max_length")
    assert batch["input_values"].shape == (1, 16000)
    assert batch["audio_attention_mask"].sum() == 3200
    assert batch["input_ids"].shape == (1, 8)


def test_text_is_padded_at_its_end_whatever_the_tokenizer_does(processor):
    before = processor(text=["so", "i am"])
    processor.tokenizer.padding_side = "left"
    after = processor(text=["so", "i am"])
    assert before["attention_mask"].sum() < before["attention_mask"].numel()
    assert all(torch.equal(before[name], after[name]) for name in ("input_ids", "attention_mask"))


def test_transcript_is_cut_at_tokenizers_limit(processor):
    assert processor(text="i " * 50)["input_ids"].shape == (1, 8)


PARTS = {
    "both": ("feature_extractor", "tokenizer"),
    "speech": ("feature_extractor",),
    "text": ("tokenizer",),
    "video": ("image_processor",),
    "all": ("feature_extractor", "tokenizer", "image_processor"),
}
MAKERS = {"feature_extractor": extractor, "tokenizer": tokenizer, "image_processor": image_processor}


def processor_of(parts, **settings):
    return EmoFusionProcessor(**{name: MAKERS[name]() for name in PARTS[parts]}, **settings)


def inputs_for(processor):
    inputs = {
        "feature_extractor": {"audio": torch.tensor(noise(0.1)), "sampling_rate": 16000},
        "tokenizer": {"text": "so glad"},
        "image_processor": {"video": torch.arange(3 * 8 * 8 * 3, dtype=torch.uint8).reshape(3, 8, 8, 3)},
    }
    return {key: value for name in processor.get_attributes() for key, value in inputs[name].items()}


def write_bundle(processor, folder):
    """Write a folder as on the Hub: saved processor, flat Python files, and the expected batch for `inputs_for`."""
    processor.save_pretrained(folder)
    settings = json.loads((folder / "processor_config.json").read_text())
    settings["auto_map"] = {"AutoProcessor": "processing_emofusion.EmoFusionProcessor"}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    package = Path(emofusion.__file__).parent
    for file in (*package.glob("processing/*.py"), *package.glob("configuration/[!_]*.py")):
        text = file.read_text(encoding="utf-8")
        (folder / file.name).write_text(text.replace("from ..configuration.", "from ."), encoding="utf-8")
    inputs = inputs_for(processor)
    torch.save({"inputs": inputs, "expected": dict(processor(**inputs))}, folder / "case.pt")


LOAD_BUNDLES = """
import os
import sys
sys.modules["emofusion"] = None
import torch
from transformers import AutoProcessor

for folder in sys.argv[1:]:
    case = torch.load(folder + "/case.pt", weights_only=True)
    for _ in range(2):
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
        batch = processor(**case["inputs"])
        assert list(batch) == list(case["expected"])
        assert all(torch.equal(batch[key], value) for key, value in case["expected"].items())
        assert (processor.max_seconds, processor.frames_per_second) == (5.0, 3.0)
        folder += "-saved-again"
        processor.save_pretrained(folder)

os.remove(folder + "/tokenizer.json")
try:
    AutoProcessor.from_pretrained(folder, trust_remote_code=True)
except OSError as error:
    assert "has no tokenizer.json, the vocabulary of its tokenizer" in str(error), error
else:
    raise AssertionError("a vocabulary was made up")
"""


def test_saved_processors_load_without_emofusion(tmp_path):
    for parts in PARTS:
        write_bundle(processor_of(parts, max_seconds=5.0, frames_per_second=3.0), tmp_path / parts)
    folders = [tmp_path / parts for parts in PARTS]
    done = run_fresh(LOAD_BUNDLES, *folders, cwd=tmp_path, HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("parts", PARTS)
def test_processor_survives_saving_and_pickling(tmp_path, parts):
    processor = processor_of(parts)
    processor.save_pretrained(tmp_path)
    for copy in (EmoFusionProcessor.from_pretrained(tmp_path), pickle.loads(pickle.dumps(processor))):
        assert copy.model_input_names == processor.model_input_names
        assert copy.to_dict() == processor.to_dict()
        assert repr(copy)
        for key, value in processor(**inputs_for(processor)).items():
            assert torch.equal(copy(**inputs_for(processor))[key], value)


def segments(**changes):
    return {"word": {"start": [0.0], "end": [0.1], "symbol": ["I"]} | changes}


ONE = np.full(800, 0.1, np.float32)
BAD_INPUTS = {
    "wrong rate": ({"audio": ONE, "sampling_rate": 8000}, ValueError, r"audio\[0\] .*8000 Hz.*16000 Hz: resample"),
    "no rate": ({"audio": [None, ONE], "sampling_rate": None}, ValueError, r"audio\[1\] .*give sampling_rate"),
    "stereo": ({"audio": [ONE, np.zeros((2, 800))]}, ValueError, r"audio\[1\] .*\(2, 800\): average the channels"),
    "batch array": ({"audio": np.zeros((2, 800))}, ValueError, r"audio\[0\] .*list of 1-D arrays"),
    "ragged": ({"audio": [[[0.1, 0.2], [0.3]]]}, ValueError, r"audio\[0\] .*different lengths"),
    "no samples": ({"audio": [ONE, ONE[:0]]}, ValueError, r"audio\[1\] has no samples"),
    "nan": ({"audio": [ONE, ONE * np.nan]}, ValueError, r"audio\[1\] .*not finite"),
    "integers": ({"audio": ONE.astype(np.int16)}, TypeError, r"audio\[0\] .*int16: divide"),
    "strange item": ({"audio": [ONE, {1, 2}]}, TypeError, r"audio\[1\]: .*not set"),
    "missing file": ({"audio": [None, "gone.wav"]}, FileNotFoundError, r"audio\[1\]: gone.wav does not exist"),
    "broken bytes": ({"audio": [b""]}, ValueError, r"audio\[0\]: the audio is empty"),
    "text type": ({"text": ["so", 3]}, TypeError, r"text\[1\] must be a string or None, not int"),
    "text type, alone": ({"text": 3}, TypeError, "text must be .*not int"),
    "row counts": ({"audio": [ONE], "text": ["a", "b"]}, ValueError, "audio 1, text 2"),
    "alignment count": ({"text": ["a"], "alignment": [None, None]}, ValueError, "text 1, alignment 2"),
    "nothing": ({}, ValueError, "give audio, text or video"),
    "empty lists": ({"audio": [], "text": []}, ValueError, "give audio, text or video"),
    "alignment only": ({"alignment": [ALIGNMENT]}, ValueError, "audio, text and video are None in all 1 rows"),
    "only missing rows": ({"audio": [None, None]}, ValueError, "None in all 2 rows"),
    "alignment type": ({"text": "a", "alignment": ["I"]}, TypeError, r"alignment\[0\] must map"),
    "no symbols": ({"text": "a", "alignment": {"word": {"start": []}}}, ValueError, r"\['word'\] needs the lists"),
    "ragged segments": (
        {"text": "a", "alignment": segments(end=[])},
        ValueError,
        r"alignment\[0\]\['word'\] .*lengths",
    ),
    "text as time": (
        {"text": "a", "alignment": segments(start=["0.1 s"])},
        ValueError,
        "'start' or 'end' that is no number",
    ),
    "backward segment": ({"text": "a", "alignment": segments(start=[0.5])}, ValueError, "0 <= start <= end"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_names_argument_and_row(processor, case):
    arguments, kind, message = BAD_INPUTS[case]
    with pytest.raises(kind, match=message) as error:
        processor(**({"sampling_rate": 16000} | arguments))
    assert "\n" not in str(error.value)


def test_modality_without_sub_processor_is_refused():
    with pytest.raises(ValueError, match="audio was given, but this processor has no feature_extractor"):
        EmoFusionProcessor(tokenizer=tokenizer())(audio=ONE, sampling_rate=16000)
    with pytest.raises(ValueError, match="text was given, but this processor has no tokenizer"):
        EmoFusionProcessor(extractor())(text="so")
    with pytest.raises(ValueError, match="video was given, but this processor has no image_processor"):
        EmoFusionProcessor(extractor())(video=np.zeros((1, 8, 8, 3), np.uint8))


def test_unsuitable_sub_processors_are_refused():
    with pytest.raises(ValueError, match="a feature_extractor, a tokenizer or an image_processor"):
        EmoFusionProcessor()
    with pytest.raises(ValueError, match="WhisperFeatureExtractor"):
        EmoFusionProcessor(WhisperFeatureExtractor())
    with pytest.raises(ValueError, match="padding_side='left'"):
        EmoFusionProcessor(extractor(padding_side="left"))
    with pytest.raises(TypeError, match="tokenizer"):
        EmoFusionProcessor(extractor(), extractor())
    with pytest.raises(ValueError, match="max_seconds"):
        EmoFusionProcessor(extractor(), max_seconds=0)
    with pytest.raises(ValueError, match="frames_per_second must be a positive number"):
        EmoFusionProcessor(image_processor=image_processor(), frames_per_second=0)
    with pytest.raises(TypeError, match="image_processor"):
        EmoFusionProcessor(image_processor=tokenizer())


def test_text_that_is_cut_is_said_once(processor, caplog):
    text_tokens.logger.warning_once.cache_clear()
    whole, longer = "i am so glad to see", "i am so glad to see you"  # with two special tokens, 8 and 9
    assert processor(text=[whole, "am"])["input_ids"].shape == (2, 8)
    assert not caplog.messages
    for _ in range(2):
        assert processor(text=[longer, whole])["input_ids"].shape == (2, 8)
    assert caplog.messages == [
        "A text is longer than the 8 tokens that this model takes: its end is not used. Divide long texts, with their recordings."
    ]
