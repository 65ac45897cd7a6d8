import json
from pathlib import Path

import matplotlib
import pytest
from emofusion.inference.explanation_picture import draw_explanation
from emofusion.inference.explanation_records import (
    AttentionMap,
    Explanation,
    Gate,
    Member,
    Part,
    Target,
    Word,
)
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font, ttfFontProperty
from PIL import Image

# Without fonts of this machine.
FONTS = [font for font in fontManager.ttflist if "DejaVu" in font.name]
TIMES = ((0.0, 0.5), (0.5, 1.0))
WORDS = (Word("Hi", 0, 2, None, (0.1,)), Word("$x^2$", 3, 8, None, (-0.2,)))
FULL = Explanation(
    targets=(Target("happy", 0.7),),
    answer=[{"label": "happy", "score": 0.7}],
    parts=(Part("audio", (0.3,)), Part("text", (-0.1,))),
    words=(*WORDS, Word("before", 0, 6, 0, (0.05,))),
    members=(Member(0, "speech", 0.5, (0.6,), (0.2,)), Member(1, "text", 0.5, None, None)),
    attention=(
        AttentionMap("audio_text", None, *TIMES, ((0.2, 0.3), (0.3, 0.3)), (0.5, 0.4)),
        AttentionMap("text_audio", None, *TIMES, ((0.5, 0.5), (0.9, 0.1)), None),
    ),
    gates=(Gate("layer_3", None, "text", "audio", *TIMES, (0.2, 0.8)),),
    seconds=1.0,
    envelope=((-0.1, 0.2), (0.0, 0.3)),
    notes=("A note.",),
)


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """Draws an explanation; returns the figure."""
    drawn, save = [], Figure.savefig

    def keep(self, *arguments, **options):
        drawn.append(self)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)

    def run(explanation):
        draw_explanation(tmp_path / "explanation.png", explanation)
        with Image.open(tmp_path / "explanation.png") as picture:
            picture.load()
            assert picture.format == "PNG"
        return drawn[-1]

    return run


def titles(figure):
    return [panel.get_title().partition(" (")[0].partition(";")[0] for panel in figure.axes]


def names(panel):
    return [label.get_text() for label in panel.get_yticklabels()]


def test_picture_has_a_panel_for_each_part(draw):
    figure = draw(Explanation.from_dict(json.loads(json.dumps(FULL.to_dict()))))
    assert titles(figure) == [
        "waveform",
        "contributions of inputs and members",
        "gate layer_3: 1 is text, 0 is speech",
        "attention of times to words",
        "contributions of words",
        "attention of words to times",
        "contributions of words of earlier turns",
    ]
    _, parts, _, heat, words, _, context = figure.axes
    assert names(parts) == ["speech", "text", "member 0: speech"]
    assert names(heat) == ["Hi", "$x^2$", "(other tokens: 0.45)"]
    assert names(words) == ["Hi", "$x^2$"]
    assert names(context) == ["1: before"]
    assert [bar.get_width() for bar in parts.patches] == pytest.approx([0.3, -0.1, 0.2])
    assert heat.get_xlabel() == ""
    assert parts.get_xlim() == words.get_xlim() == context.get_xlim()
    assert figure.get_suptitle() == "happy 70.0 %"
    footer = figure.get_supxlabel()
    assert footer.startswith("A note.\n")
    assert "does not add up" in " ".join(footer.split())


def test_dimensions_are_shares_of_their_scale(draw):
    targets = (Target("happy", 0.7), Target("arousal", 3.0, (1.0, 5.0)))
    figure = draw(Explanation(targets, [], parts=(Part("audio", (0.3, 2.0)),)))
    (panel,) = figure.axes
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([0.3, 0.5])
    assert panel.get_xlabel() == "probability or share of the scale"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["happy 70.0 %", "arousal 3.00 of 1 to 5"]


def test_characters_without_font_are_named_and_others_found(draw, tmp_path, monkeypatch):
    # STIX comes with matplotlib and has what its default font lacks. The list of fonts that a machine keeps may be incomplete.
    has = ttfFontProperty(get_font(Path(matplotlib.get_data_path(), "fonts", "ttf", "STIXGeneral.ttf")))
    monkeypatch.setattr(fontManager, "ttflist", [*FONTS, has])
    words = tuple(Word(text, 0, 1, None, (0.1,)) for text in ("caf\u00e9", "\u1d81", "\u4f60\u200d"))
    figure = draw(Explanation(FULL.targets, [], words=words))
    (note,) = draw_explanation(tmp_path / "explanation.png", Explanation(FULL.targets, [], words=words))
    assert note.startswith("No installed font has \u4f60 (U+4F60), which the picture shows as boxes: install")
    assert "U+4F60" in figure.get_supxlabel()
    assert figure.axes[0].get_yticklabels()[1].get_fontfamily() == ["sans-serif", "STIXGeneral"]
    assert draw_explanation(tmp_path / "explanation.png", FULL) == []


def test_little_or_nothing_can_be_drawn(draw):
    assert titles(draw(Explanation(FULL.targets, []))) == [""]
    silent = Explanation(FULL.targets, [], seconds=0.1, envelope=((0.0, 0.0),))
    assert titles(draw(silent)) == ["waveform"]
    assert titles(draw(Explanation(FULL.targets, [], words=WORDS))) == ["contributions of words"]
