"""Explanations, compared with direct calls of the pipeline and of the model."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from emofusion import LateFusionProcessor
from emofusion.inference import explanation as module
from emofusion.inference.explanation import explain
from emofusion.inference.explanation_records import LIMITS, Explanation
from emofusion.inference.explanation_reuse import KnownRows
from testing_common import CASES
from testing_dimensions import BOTH, DIMENSIONS
from testing_pipeline import RATE, WORDS, build, make_processor, noise
from transformers import BertTokenizer, pipeline

TEXT = "hello there what a lovely morning"
VIDEO = np.random.default_rng(0).integers(0, 255, (3, 20, 20, 3), dtype=np.uint8)
TOLERANCE = 2e-5


def recording(seconds=0.3):
    return {"array": noise(int(RATE * seconds)), "sampling_rate": RATE}


def make(name, settings=None, **overrides):
    """A pipeline around the miniature model of a case, and an utterance with all of its modalities."""
    case = next(case for case in CASES if case.name == name)
    model = case.model(**overrides)
    pipe = pipeline(
        "emotion-recognition", model=model, processor=make_processor(model.config.modalities, **settings or {})
    )
    given = {"audio": recording(), "text": TEXT, "video": VIDEO}
    return pipe, {modality: given[modality] for modality in model.config.modalities}


def run(pipe, utterance, **options):
    return explain(pipe.model, pipe.processor, utterance, **options)


def scores_of(pipe, utterance, explanation):
    """The scores of the targets from a call of the pipeline, one utterance at a time."""
    answer = pipe(utterance)
    entries = answer["scores"] + answer["dimensions"] if isinstance(answer, dict) else answer
    scores = {entry["label"]: entry["score"] for entry in entries}
    return np.array([scores[target.label] for target in explanation.targets])


def check_changes(pipe, utterance, explanation, changed, changes):
    difference = scores_of(pipe, utterance, explanation) - scores_of(pipe, changed, explanation)
    assert np.allclose(difference, changes, atol=TOLERANCE)


VARIANTS = [
    ("cross_attention", {}),
    ("cross_attention", DIMENSIONS | {"id2label": dict(enumerate(DIMENSIONS["dimensions"]))}),
    ("cross_attention", BOTH),
    ("wavfusion", {}),
    ("late_fusion", {}),
    ("text", {}),
]


@pytest.mark.parametrize(("name", "fields"), VARIANTS)
def test_contributions_equal_calls_without_each_part(name, fields):
    pipe, utterance = make(name, **fields)
    explanation = run(pipe, utterance, batch_size=4)
    assert np.allclose(
        [target.score for target in explanation.targets], scores_of(pipe, utterance, explanation), atol=TOLERANCE
    )
    assert [part.name for part in explanation.parts] == ([*utterance] if len(utterance) > 1 else [])
    for part in explanation.parts:
        rest = {modality: value for modality, value in utterance.items() if modality != part.name}
        check_changes(pipe, utterance, explanation, rest, part.changes)
    assert [word.text for word in explanation.words] == TEXT.split()
    for number in (0, 4):
        rest = " ".join(word for place, word in enumerate(TEXT.split()) if place != number)
        check_changes(pipe, utterance, explanation, utterance | {"text": rest}, explanation.words[number].changes)
    assert Explanation.from_dict(json.loads(json.dumps(explanation.to_dict()))) == explanation
    assert explanation.limits == LIMITS


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("speaker_resnet", {}),
        ("multi_level", {"freeze_audio_layers": 1, "freeze_text_layers": -1}),
        ("wavfusion", {"freeze_audio_layers": -1}),
        ("late_fusion", {}),
        ("late_fusion-weighted", {}),
    ],
)
def test_encoders_that_run_once_change_no_contribution(name, fields, monkeypatch):
    pipe, utterance = make(name, **fields)
    given = run(pipe, utterance)
    assert not {"forward", "_encode_audio", "_finish_audio"} & {
        key for one in pipe.model.modules() for key in vars(one)
    }
    monkeypatch.setattr(module, "reuse_rows", lambda model: nullcontext())
    expected = run(pipe, utterance, batch_size=1)
    for one, other in zip((*given.parts, *given.words), (*expected.parts, *expected.words), strict=True):
        assert np.allclose(one.changes, other.changes, atol=1e-5)
    for one, other in zip(given.members, expected.members, strict=True):
        assert np.allclose(one.changes or (), other.changes or (), atol=1e-5)


def test_recording_is_encoded_once_for_all_words():
    pipe, utterance = make("cross_attention")
    rows, encoder = [], pipe.model.model.audio_encoder.feature_projection
    encoder.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].shape[:-1].numel()))
    run(pipe, utterance)
    # One utterance, one form without speech, and one pass for the maps.
    one, *_ = rows
    assert sum(rows) <= 2 * one + 1
    kept = KnownRows(most_bytes=40)
    values = torch.arange(12.0).view(3, 4)
    for number in range(3):
        states, lengths = kept.run(lambda rows, counts: (2 * rows, counts), values[[number, 0]], (4, 3))
        assert torch.equal(states[0], 2 * values[number])
        assert states[1].tolist() == [0, 2, 4, 0]
        assert lengths == (4, 3)
        assert sum(len(row) * 4 for row, _ in kept.rows.values()) == kept.bytes <= 40


def test_answer_and_dimensions_are_explained_unless_one_is_chosen():
    pipe, utterance = make("cross_attention", **BOTH)
    explanation = run(pipe, utterance)
    best = max(explanation.answer["scores"], key=lambda entry: entry["score"])
    assert [target.label for target in explanation.targets] == [best["label"], "valence", "arousal"]
    assert [target.scale for target in explanation.targets] == [None, (1.0, 5.0), (1.0, 5.0)]
    one = run(pipe, utterance, target="arousal")
    assert np.allclose([part.changes[0] for part in one.parts], [part.changes[2] for part in explanation.parts])
    with pytest.raises(ValueError, match=r"does not predict 'arousl' \(did you mean 'arousal'\?\); it predicts LABEL"):
        run(pipe, utterance, target="arousl")


def split_token(pipe):
    """Make the tokenizer divide `lovely` into two tokens."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "love", "##ly"]
    vocabulary[vocabulary.index("lovely")] = "unused"
    pipe.processor.tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(vocabulary)})


def test_attention_of_words_is_that_of_their_tokens():
    pipe, utterance = make("cross_attention")
    split_token(pipe)
    explanation = run(pipe, utterance)
    batch = pipe.processor(audio=utterance["audio"], text=TEXT)
    assert batch["input_ids"].shape == (1, 9)
    with torch.no_grad():
        maps = pipe.model(**batch, output_attentions=True).cross_attentions
    # [CLS] hello there what a love ##ly morning [SEP]
    tokens = [[1], [2], [3], [4], [5, 6], [7]]
    to_words, to_times = explanation.attention
    weights = maps["audio_text"][0].mean(0)  # frames, tokens
    assert np.allclose(to_words.weights, torch.stack([weights[:, own].sum(1) for own in tokens]), atol=2e-6)
    assert np.allclose(to_words.other, weights[:, 0] + weights[:, 8], atol=2e-6)
    assert np.allclose(np.sum(to_words.weights, axis=0) + to_words.other, 1, atol=2e-5)
    weights = maps["text_audio"][0].mean(0)  # tokens, frames
    assert np.allclose(to_times.weights, torch.stack([weights[own].mean(0) for own in tokens]), atol=2e-6)
    assert to_times.other is None
    frames = weights.shape[1]
    assert np.allclose(to_times.starts, 0.02 * np.arange(frames))
    assert np.allclose(to_times.ends, 0.02 * np.arange(1, frames + 1))


def test_gate_is_mean_over_channels():
    pipe, utterance = make("wavfusion-text")
    explanation = run(pipe, utterance)
    with torch.no_grad():
        output = pipe.model(**pipe.processor(audio=utterance["audio"], text=TEXT), output_attentions=True)
    assert [(gate.name, gate.source, gate.other) for gate in explanation.gates] == [
        ("layer_3", "text", "audio"),
        ("layer_4", "text", "audio"),
    ]
    for gate in explanation.gates:
        assert np.allclose(gate.weights, output.gates[gate.name][0].mean(-1), atol=2e-6)
        assert len(gate.starts) == len(gate.ends) == len(gate.weights)


def test_attention_of_segments_has_their_times():
    pipe, utterance = make("multi_level")
    alignment = {"word": {"start": [0.05, 0.2], "end": [0.15, 0.3], "symbol": ["hello", "there"]}}
    explanation = run(pipe, utterance | {"alignment": alignment})
    found = {one.name: one for one in explanation.attention}
    assert np.allclose(found["word_audio_text"].starts, [0.05, 0.2])
    assert np.allclose(found["word_text_audio"].ends, [0.15, 0.3])
    assert len(found["frame_audio_text"].starts) == len(found["syllable_audio_text"].starts) > 10


def test_members_are_removed_from_their_combination():
    pipe, utterance = make("late_fusion-weighted")
    explanation = run(pipe, utterance)
    with torch.no_grad():
        batch = pipe.processor(audio=utterance["audio"], text=TEXT)
        shares = pipe.model.model(**batch).embedding.view(2, -1).exp()
    (target,) = explanation.targets
    place = pipe.model.config.label2id[target.label]
    first, second = explanation.members
    assert (first.name, second.name) == ("cross_attention", "bert")
    assert first.weight == second.weight == 0.5
    assert np.allclose([*first.scores, *second.scores], shares[:, place], atol=TOLERANCE)
    # Of two members, the one that remains decides.
    assert np.allclose(first.changes, target.score - shares[1, place].item(), atol=TOLERANCE)
    assert np.allclose(second.changes, target.score - shares[0, place].item(), atol=TOLERANCE)
    assert {one.member for one in explanation.attention} == {0}


def test_members_of_dimensions_and_members_without_input():
    fields = DIMENSIONS | {"id2label": dict(enumerate(DIMENSIONS["dimensions"])), "combination": "mean"}
    case = next(case for case in CASES if case.name == "late_fusion")
    fields["member_configs"] = case.fields["member_configs"][:2]
    pipe, utterance = make("late_fusion", **fields)
    first, second = run(pipe, utterance).members
    assert np.allclose(np.add(first.changes, second.changes), 0, atol=1e-4)
    first, second = run(pipe, {"text": TEXT}).members
    assert first.scores is first.changes is second.changes is None
    assert second.scores is not None


def test_members_with_their_own_tokenizer_share_the_words():
    case = next(case for case in CASES if case.name == "late_fusion-weighted")
    member = case.fields["member_configs"][0] | {"num_labels": 3}
    parts = [make_processor(("audio", "text")) for _ in range(2)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hel", "##lo", "there"]
    parts[1].tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(vocabulary)})
    model = case.model(member_configs=[member, member])
    explanation = explain(
        model, LateFusionProcessor.from_members(parts), {"audio": recording(), "text": "hello there"}
    )
    assert [(one.member, len(one.weights)) for one in explanation.attention] == [(0, 2), (0, 2), (1, 2), (1, 2)]


def test_words_and_turns_of_context_are_shown_as_such():
    pipe, utterance = make("cross_attention", {"context_turns": 2})
    turns = [{"speaker": "Ann", "text": text} for text in ("a", "go away", "hello")]
    utterance |= {"speaker": "Ben", "context": turns}
    explanation = run(pipe, utterance)
    assert [(word.turn, word.text) for word in explanation.words if word.turn is not None] == [
        (0, "go"),
        (0, "away"),
        (1, "hello"),
    ]
    parts = {part.name: part.changes for part in explanation.parts}
    assert [*parts] == ["audio", "text", "context"]
    check_changes(pipe, utterance, explanation, utterance | {"context": []}, parts["context"])
    away, hello = explanation.words[-2:]
    shorter = [turns[1] | {"text": "go"}, turns[2]]
    check_changes(pipe, utterance, explanation, utterance | {"context": shorter}, away.changes)
    # The turn before those that are read does not take the place of an empty one.
    check_changes(pipe, utterance, explanation, utterance | {"context": turns[1:2]}, hello.changes)
    assert len(explanation.attention[0].weights) == len(TEXT.split())


def test_earlier_utterances_are_one_part():
    pipe, utterance = make("cross_attention", context_layers=1, context_window=2, context_hidden_size=8)
    utterance |= {"context": [{"text": "go away", "audio": recording(0.3)}]}
    explanation = run(pipe, utterance)
    parts = {part.name: part.changes for part in explanation.parts}
    check_changes(pipe, utterance, explanation, utterance | {"context": []}, parts["context"])
    assert abs(parts["context"][0]) > 1e-4
    assert explanation.attention


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "hello",
        "\u200b\ufeff",
        "\U0001f600 go \U0001f469\u200d\U0001f467",
        "שלום عليكم",
        "你好 hello",
        "go away " * 2500,
        "\x00\x07",
    ],
)
def test_any_text_has_its_words(text):
    pipe, utterance = make("cross_attention")
    explanation = run(pipe, utterance | {"text": text})
    assert all(text[word.start : word.end] == word.text for word in explanation.words)
    assert np.isfinite([word.changes for word in explanation.words]).all()
    assert all(len(one.weights) == len(explanation.words) for one in explanation.attention)
    assert bool(explanation.attention) == bool(explanation.words)
    assert Explanation.from_dict(json.loads(json.dumps(explanation.to_dict()))) == explanation


def test_text_that_is_cut_is_explained_as_far_as_it_is_read():
    pipe, _ = make("text")
    text = "go away " * 20 + "hello"
    explanation = run(pipe, {"text": text})
    assert len(explanation.words) == 30  # 32 tokens
    assert any("The model reads the first 119 of 165 characters" in note for note in explanation.notes)
    kept = explanation.words[-1]
    check_changes(pipe, {"text": text}, explanation, {"text": "go away " * 14 + "go"}, kept.changes)


def test_missing_and_silent_inputs_are_stated():
    pipe, utterance = make("cross_attention")
    silent = {"array": np.zeros(4000, np.float32), "sampling_rate": RATE}
    explanation = run(pipe, silent)
    assert explanation.notes == (
        "Nothing is heard in the recording (its amplitude is below -80 dB).",
        "The utterance has no text: the model uses speech alone.",
        "The contribution of speech cannot be measured: without it the model has no input.",
        "Attention between words and time needs a recording and a transcript.",
    )
    assert explanation.parts == explanation.words == explanation.attention == ()
    assert explanation.seconds == 0.25
    assert set(explanation.envelope) == {(0.0, 0.0)}
    speech, _ = make("speech")
    notes = run(speech, utterance).notes
    assert notes[0] == "This model does not use text; the input is ignored."
    assert notes[-1] == "This model has no attention between words and time."


def test_half_precision_is_noted():
    pipe, utterance = make("speech")
    assert not any("rounding" in note for note in run(pipe, utterance).notes)
    pipe.model.to(torch.bfloat16)
    assert any(
        note.startswith("The model runs in bfloat16: small contributions") for note in run(pipe, utterance).notes
    )


def test_tokenizer_without_places_gives_no_attention(monkeypatch):
    pipe, utterance = make("cross_attention")
    monkeypatch.setattr(type(pipe.processor.tokenizer), "is_fast", False)
    explanation = run(pipe, utterance)
    assert not explanation.attention
    assert len(explanation.words) == 6
    assert explanation.notes == (
        "The tokenizer does not state the places of its tokens, which words of the attention need.",
    )


def test_scores_that_are_not_finite_are_an_error():
    pipe = build()
    with torch.no_grad():
        for weights in pipe.model.classifier.parameters():
            weights.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        run(pipe, {"text": "hello"})
