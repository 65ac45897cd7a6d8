"""Answers of the pipeline, and of the command, for models that learn dimensions."""

import numpy as np
import pytest
import soundfile
import torch
from emofusion.cli.predict import format_entries
from testing_common import CASES, SPEECH_MEMBER, Case
from testing_dimensions import BOTH, DIMENSIONS
from testing_pipeline import RATE, make_processor, noise
from transformers import pipeline

BY_NAME = {case.name: case for case in CASES}
FUSION = Case("late_fusion", "late_fusion", {"member_configs": [SPEECH_MEMBER, SPEECH_MEMBER]})


def build(case, learned, **options):
    model = case.model(**learned)
    return pipeline("emotion-recognition", model=model, processor=make_processor(model.config.modalities), **options)


def output(pipe, **given):
    with torch.no_grad():
        return pipe.model(**pipe.processor(**given, sampling_rate=RATE))


def named(config, values):
    scale = config.dimension_scale
    return [
        {"label": name, "score": pytest.approx(value, abs=1e-5), "scale": scale}
        for name, value in zip(config.dimensions, values.tolist(), strict=True)
    ]


@pytest.mark.parametrize("case", [BY_NAME["cross_attention"], FUSION], ids=lambda case: case.name)
def test_dimensions_have_their_order_and_scale(case):
    pipe, waveform = build(case, DIMENSIONS), noise(4000)
    answer = pipe({"audio": {"array": waveform, "sampling_rate": RATE}, "text": "hello there"}, return_text=True)
    text = {"text": "hello there"} if "text" in pipe.model.config.modalities else {}
    wanted = named(pipe.model.config, output(pipe, audio=waveform, **text).logits[0])
    assert answer == {"text": text.get("text"), "scores": wanted}
    many = pipe([{"audio": {"array": noise(size), "sampling_rate": RATE}} for size in (4000, 900)], batch_size=2)
    assert [entry["label"] for entry in many[1]] == DIMENSIONS["dimensions"]
    for options in ({"top_k": 1}, {"top_k": 3}):
        with pytest.raises(
            ValueError, match=r"^top_k is for classes, and this model predicts arousal, valence, dominance"
        ):
            pipe({"text": "hello"}, **options)


def test_classes_and_dimensions_are_both_answered():
    pipe, waveform = build(BY_NAME["cross_attention"], BOTH, top_k=2), noise(4000)
    given = {"audio": {"array": waveform, "sampling_rate": RATE}}
    answer, expected = pipe(given), output(pipe, audio=[waveform])
    best = expected.logits[0].softmax(-1).sort(descending=True)
    assert [entry["score"] for entry in answer["scores"]] == pytest.approx(best.values[:2].tolist(), abs=1e-5)
    assert [entry["label"] for entry in answer["scores"]] == [
        f"LABEL_{number}" for number in best.indices[:2].tolist()
    ]
    assert answer["dimensions"] == named(pipe.model.config, expected.dimensions[0])
    assert list(pipe(given, return_text=True)) == ["text", "scores", "dimensions"]
    silent = pipe({"audio": {"array": np.zeros(4000, np.float32), "sampling_rate": RATE}})
    assert all(entry["silent"] for entry in silent["scores"] + silent["dimensions"])


def test_values_that_are_not_finite_are_an_error(monkeypatch):
    pipe = build(BY_NAME["text"], BOTH)
    forward = type(pipe.model).forward

    def broken(self, **batch):
        found = forward(self, **batch)
        found.dimensions[0, 1] = torch.nan
        return found

    monkeypatch.setattr(type(pipe.model), "forward", broken)
    with pytest.raises(ValueError, match="The scores are not finite"):
        pipe("hello there")


@pytest.mark.parametrize("learned", [DIMENSIONS, BOTH], ids=["dimensions", "both"])
def test_command_prints_value_and_scale(learned, tmp_path, capsys):
    from emofusion.cli.main import main

    pipe = build(BY_NAME["speech"], learned)
    pipe.save_pretrained(tmp_path / "model")
    soundfile.write(tmp_path / "a.wav", np.zeros(4000), RATE)
    assert main(["predict", str(tmp_path / "model"), str(tmp_path / "a.wav")]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last.startswith("Nothing is heard in the recording")
    answer = pipe(str(tmp_path / "a.wav"))
    assert lines == format_entries(answer["scores"] + answer["dimensions"] if isinstance(answer, dict) else answer)
    lowest, highest = pipe.model.config.dimension_scale
    assert f" of {lowest:g} to {highest:g}" in lines[-1]


def test_lines_of_command_show_place_in_scale():
    scale = [1.0, 5.0]
    entries = [
        {"label": "happy", "score": 0.75},
        {"label": "valence", "score": 3.0, "scale": scale},
        {"label": "arousal", "score": 5.6, "scale": scale},
        {"label": "dominance", "score": 0.9, "scale": scale},
    ]
    assert format_entries(entries) == [
        f"happy       75.0 %  {'#' * 30}",
        f"valence     3.00 of 1 to 5  {'#' * 20}",
        f"arousal     5.60 of 1 to 5  {'#' * 40}",
        "dominance   0.90 of 1 to 5",
    ]
