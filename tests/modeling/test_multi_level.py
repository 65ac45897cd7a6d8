"""Multi-level fusion: granularities, segments and the control."""

import math

import pytest
import torch
from emofusion import MultiLevelFusionModel
from testing_common import CASES, make_batch, row
from torch import nn
from torch.testing import assert_close

CASE = next(case for case in CASES if case.name == "multi_level")
LEVELS = ("phone", "syllable", "word")


def model_of(*granularities, **fields) -> MultiLevelFusionModel:
    return CASE.model(head=False, granularities=list(granularities), **fields)


def without_spans(batch) -> dict:
    return batch | {f"{level}_spans": None for level in LEVELS}


@torch.no_grad()
def embed(model, batch, **kwargs):
    return model(**batch, **kwargs)


def test_any_subset_of_granularities_is_model():
    for names in (("word",), ("syllable", "frame"), ("frame", "phone", "syllable", "word")):
        output = embed(model_of(*names), make_batch(), output_attentions=True)
        assert output.embedding.shape == (4, 2 * 16 * len(names))
        assert set(output.fallbacks) == set(names) - {"frame"}
        assert set(output.cross_attentions) == {
            f"{name}_{end}" for name in names for end in ("audio_text", "text_audio")
        }
    assert embed(model_of("frame"), make_batch()).fallbacks is None


@pytest.mark.parametrize("level", LEVELS)
def test_stream_has_one_position_per_segment(level):
    model, batch = model_of(level), row(make_batch(), 0)
    segments = batch[f"{level}_spans"].shape[1]
    maps = embed(model, batch, output_attentions=True).cross_attentions
    assert maps[f"{level}_audio_text"].shape == (1, 2, segments, 4)
    assert maps[f"{level}_text_audio"].shape == (1, 2, 4, segments)


@pytest.mark.parametrize("level", LEVELS)
def test_segments_change_only_their_rows(level):
    model, batch = model_of("frame", level), make_batch()
    outputs, bare = embed(model, batch), embed(model, without_spans(batch))
    difference = (outputs.embedding - bare.embedding).abs().amax(dim=1)
    assert outputs.fallbacks[level].tolist() == [False, True, True, False]  # the second row is one frame long
    assert (difference[[0, 3]] > 1e-3).all()
    assert (difference[[1, 2]] < 1e-5).all()
    assert bare.fallbacks[level].all()


@pytest.mark.parametrize("level", LEVELS)
def test_fallback_equals_one_segment_per_frame(level):
    model, batch = model_of(level), without_spans(make_batch((16000, 8000), (4, 9)))
    edges = torch.arange(50) * 0.02
    frames = torch.stack([edges[:-1], edges[1:]], dim=-1).repeat(2, 1, 1)
    frames[1, 24:] = -1.0  # the second clip has 24 frames
    aligned = embed(model, batch | {f"{level}_spans": frames})
    assert not aligned.fallbacks[level].any()
    assert_close(aligned.embedding, embed(model, batch).embedding)


def test_row_without_speech_falls_back_to_frames():
    model, batch = model_of("word"), make_batch()
    silent = batch | {"audio_attention_mask": torch.zeros_like(batch["audio_attention_mask"])}
    for given in (silent, batch | {"input_values": None, "audio_attention_mask": None}):
        output = embed(model, given)
        assert output.fallbacks["word"].all()
        assert_close(output.embedding, embed(model, without_spans(given)).embedding)


def test_first_stage_keeps_spans():
    model, batch = model_of("frame", "word", freeze_audio_layers=-1), make_batch()
    encoded = model.encode(**batch)
    assert torch.equal(encoded.word_spans, batch["word_spans"])
    assert encoded.phone_spans is None
    assert torch.equal(embed(model, {"encoded": encoded}).embedding, embed(model, batch).embedding)


def test_control_concatenates_means_of_streams_and_text():
    model = model_of("frame", "word", fusion="concat")
    batch = row(make_batch(), 0)
    output = embed(model, batch, output_hidden_states=True)
    frames, tokens = output.hidden_states["audio"][-1][0], model.text_projection(output.hidden_states["text"][-1][0])
    words = [frames[math.floor(a * 50) : math.ceil(b * 50)] for a, b in batch["word_spans"][0].tolist()]
    words = torch.stack([word.mean(dim=0) for word in words]).mean(dim=0)
    expected = torch.cat([frames.mean(dim=0), tokens.mean(dim=0), words, tokens.mean(dim=0)])
    assert_close(output.embedding[0], expected)


def test_only_encoders_of_another_width_are_projected():
    model = model_of("frame")
    assert isinstance(model.audio_projection, nn.Identity)
    assert model.text_projection.weight.shape == (16, 20)
