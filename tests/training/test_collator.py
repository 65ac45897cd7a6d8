import numpy as np
import pytest
import torch
from accelerate.utils import send_to_device
from emofusion.configuration.configuration_late_fusion import LateFusionConfig
from emofusion.configuration.configuration_multi_level import MultiLevelFusionConfig
from emofusion.configuration.configuration_unimodal import UnimodalConfig
from emofusion.processing import EmoFusionProcessor
from emofusion.training.collator import EmotionCollator, leave_out_unread
from emofusion.training.processor_building import train_tokenizer
from torch.utils.data._utils.pin_memory import pin_memory
from transformers import ViTImageProcessor, Wav2Vec2FeatureExtractor


@pytest.fixture(scope="module")
def labels(corpus):
    return corpus["train"].features["label"].names


@pytest.fixture(scope="module")
def extractor():
    return Wav2Vec2FeatureExtractor(return_attention_mask=True)


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return train_tokenizer(corpus["train"]["text"], 200, 64)


@pytest.fixture(scope="module")
def collator(extractor, tokenizer, labels):
    return EmotionCollator(EmoFusionProcessor(extractor, tokenizer), labels)


@pytest.fixture
def rows(corpus):
    return [corpus["train"][index] for index in range(3)]


def test_rows_of_a_corpus_become_a_batch_of_the_forward_contract(collator, rows):
    batch = collator(rows)
    assert {"input_values", "audio_attention_mask", "input_ids", "attention_mask", "labels"} <= set(batch)
    samples = [round(16000 * (row["end"] - row["start"])) for row in rows]
    assert batch["input_values"].shape == batch["audio_attention_mask"].shape == (3, max(samples))
    assert batch["audio_attention_mask"].sum(-1).tolist() == samples
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    assert batch["labels"].tolist() == [row["label"] for row in rows]
    assert batch["labels"].dtype == torch.int64


def test_lengths_are_on_the_host(collator, rows):
    batch = collator([rows[0], rows[1] | {"text": None}, rows[2] | {"audio": None}])
    tokens = batch["attention_mask"].sum(-1).tolist()
    samples = [round(16000 * (row["end"] - row["start"])) for row in rows[:2]]
    assert {"audio": (*samples, 0), "text": (tokens[0], 0, tokens[2])}.items() <= batch["lengths"].items()
    assert pin_memory({"lengths": batch["lengths"]}) == {"lengths": batch["lengths"]}
    assert batch.to("cpu")["lengths"] == send_to_device(dict(batch), "cpu")["lengths"] == batch["lengths"]


def test_spans_are_those_of_the_alignment(collator, rows):
    batch = collator(rows)
    for index, row in enumerate(rows):
        for level in ("word", "syllable", "phone"):
            segments = row["alignment"][level]
            spans = torch.tensor([segments["start"], segments["end"]]).T
            torch.testing.assert_close(batch[f"{level}_spans"][index, : len(spans)], spans)
            assert (batch[f"{level}_spans"][index, len(spans) :] == -1).all()


def test_rows_without_alignment_have_no_spans(collator, rows):
    assert not any("spans" in name for name in collator([row | {"alignment": None} for row in rows]))


@pytest.mark.parametrize(
    ("config", "is_read"),
    [
        (UnimodalConfig(), False),
        (MultiLevelFusionConfig(), True),
        (LateFusionConfig(member_configs=[UnimodalConfig(), MultiLevelFusionConfig()]), True),
        (LateFusionConfig(member_configs=[UnimodalConfig()]), False),
    ],
)
def test_alignments_are_left_out_if_no_model_reads_them(config, is_read, corpus):
    assert ("alignment" in leave_out_unread(corpus["test"], config).column_names) == is_read


def test_speech_only_reads_no_text(extractor, labels, rows):
    collator = EmotionCollator(EmoFusionProcessor(extractor), labels)
    for row in rows:
        del row["text"]
    assert {"input_values", "audio_attention_mask", "labels"} <= set(collator(rows))


def test_text_only_decodes_no_audio(tokenizer, labels, rows):
    collator = EmotionCollator(EmoFusionProcessor(tokenizer=tokenizer), labels)
    for row in rows:
        row["audio"]["path"] = "/nowhere.flac"
    batch = collator(rows)
    assert "input_values" not in batch
    assert {"input_ids", "attention_mask", "labels"} <= set(batch)


def test_video_is_read_for_a_model_with_video(extractor, labels, rows):
    looking = EmoFusionProcessor(extractor, image_processor=ViTImageProcessor(size={"height": 8, "width": 8}))
    films = [np.full((frames, 8, 8, 3), 200, np.uint8) for frames in (2, 3)]
    batch = EmotionCollator(looking, labels)(
        [row | {"video": film} for row, film in zip(rows, [*films, None], strict=True)]
    )
    assert batch["pixel_values_videos"].shape == (3, 3, 3, 8, 8)
    assert batch["video_attention_mask"].sum(-1).tolist() == [2, 3, 0]
    hearing = EmotionCollator(EmoFusionProcessor(extractor), labels)
    assert "pixel_values_videos" not in hearing([row | {"video": {"path": "/nowhere.mp4"}} for row in rows])


@pytest.mark.parametrize("label", [4, -1, 1.0, "angry"])
def test_an_unknown_label_names_its_row(collator, rows, label):
    rows[1]["label"] = label
    with pytest.raises(ValueError, match=f"Row '{rows[1]['id']}' has the label {label!r}; the model knows 0 to 3"):
        collator(rows)


def test_rows_without_labels_give_a_batch_without_labels(collator, rows):
    assert "labels" not in collator([row | {"label": None} for row in rows])
    for row in rows:
        del row["label"]
    assert "labels" not in collator(rows)


@pytest.mark.parametrize("unlabelled", [0, 1])
def test_a_row_without_label_among_others_is_named(collator, rows, unlabelled):
    rows[unlabelled]["label"] = None
    with pytest.raises(ValueError, match=rows[unlabelled]["id"]):
        collator(rows)
