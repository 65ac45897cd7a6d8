"""Pipelines around miniature models, and the expected results from model and processor."""

import numpy as np
import pytest
import torch
from emofusion import EmoFusionProcessor
from testing_common import CASES, IMAGE
from transformers import BertTokenizer, ViTImageProcessorPil, Wav2Vec2FeatureExtractor, pipeline

MODULE = "emofusion.processing.pipeline_emotion_recognition"
RATE = 16000
WORDS = ("hello", "there", "what", "a", "lovely", "morning", "go", "away")


def make_processor(modalities, **settings):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(vocabulary)}, model_max_length=32)
    return EmoFusionProcessor(
        Wav2Vec2FeatureExtractor() if "audio" in modalities else None,
        tokenizer if "text" in modalities else None,
        ViTImageProcessorPil(size={"height": IMAGE, "width": IMAGE}) if "video" in modalities else None,
        **settings,
    )


def build(name="cross_attention", dtype=torch.float32, settings=None, **options):
    """Return a pipeline around the miniature model of the case `name`."""
    model = next(case for case in CASES if case.name == name).model(id2label={0: "sad", 1: "happy", 2: "angry"})
    processor = make_processor(model.config.modalities, **settings or {})
    return pipeline("emotion-recognition", model=model.to(dtype), processor=processor, **options)


def expected(pipe, **given):
    """Return the scores from model and processor."""
    with torch.no_grad():
        shares = pipe.model(**pipe.processor(**given, sampling_rate=RATE)).logits.softmax(-1)[0].tolist()
    return dict(zip(("sad", "happy", "angry"), shares, strict=True))


def scores(result):
    return {entry["label"]: entry["score"] for entry in result}


def same(result, other, tolerance=1e-6):
    return scores(result) == pytest.approx(other if isinstance(other, dict) else scores(other), abs=tolerance)


def noise(samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)
