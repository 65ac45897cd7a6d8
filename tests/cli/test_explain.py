import json

import numpy as np
import pytest
import soundfile
from emofusion.inference.explanation_records import LIMITS, Explanation
from matplotlib.font_manager import fontManager
from testing_model_folder import LABELS, make_model_folder

RENDERED = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    make_model_folder(place)
    soundfile.write(place / "a.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 16000)
    return place


def test_answer_and_contributions_are_printed_and_written(call, folder, tmp_path, monkeypatch):
    # Without fonts of this machine.
    monkeypatch.setattr(fontManager, "ttflist", [font for font in fontManager.ttflist if "DejaVu" in font.name])
    out = tmp_path / "new" / "out"
    printed = call("explain", folder, folder / "a.wav", "--text", "hello 你", "--out", out)
    assert all(label in printed for label in LABELS)
    explanation = Explanation.from_dict(json.loads((out / "explanation.json").read_text("utf-8")))
    (target,) = explanation.targets
    rows = [line.split() for line in printed.partition("contribution to")[2].splitlines()[1:5]]
    assert rows == [
        [one.name if hasattr(one, "name") else one.text, f"{one.changes[0]:+.3f}"]
        for one in (*explanation.parts, *explanation.words)
    ]
    assert LIMITS in printed
    assert printed.splitlines()[-1].startswith("No installed font has 你 (U+4F60)")
    assert sorted(file.name for file in out.iterdir()) == ["explanation.json", "explanation.png"]
    assert call("explain", folder, folder / "a.wav", "--text", "hello 你", "--target", target.label).startswith(
        printed.partition("Picture")[0]
    )


def test_wrong_target_and_missing_model_are_one_sentence(complaint, folder, tmp_path):
    message = complaint("explain", folder, folder / "a.wav", "--target", "hapy")
    assert message.startswith("The model does not predict 'hapy' (did you mean 'happy'?)")
    assert "holds no model" in complaint("explain", tmp_path, "a.wav")
