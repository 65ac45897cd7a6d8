import warnings

import matplotlib
import numpy as np
import pytest
from emofusion.evaluation.pictures import (
    draw_classes,
    draw_confusion_matrices,
    draw_learning_curves,
    draw_reliability,
)
from matplotlib.figure import Figure
from PIL import Image
from testing_predictions import make

LOG = [
    {"epoch": 0.5, "loss": 1.4},
    {"epoch": 1.0, "eval_ua": 0.3, "eval_loss": 1.3},
    {"epoch": 2.0, "loss": 1.1},
    {"epoch": 2.0, "eval_ua": 0.6},
    {"epoch": 2.0, "train_loss": 1.2},
]


def size(path):
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
        return picture.size


def test_confusion_matrices_are_a_png_with_a_panel_each(tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    draw_confusion_matrices(one, {"speech": [[3, 1], [0, 0]]}, ["low", "high"])
    draw_confusion_matrices(two, {"speech": [[3, 1], [0, 0]], "text": [[4, 0], [0, 4]]}, ["low", "high"])
    assert size(two)[0] > 1.5 * size(one)[0]
    assert size(two)[1] == size(one)[1]
    assert sorted(tmp_path.iterdir()) == [one, two]


@pytest.fixture
def figures(monkeypatch):
    """The figures that were drawn."""
    drawn, save = [], Figure.savefig

    def keep(self, *arguments, **options):
        drawn.append(self)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return drawn


@pytest.mark.parametrize(
    ("log", "axes"),
    [
        (LOG, ["training loss", "validation UA"]),
        ([entry for entry in LOG if "loss" not in entry], ["validation UA"]),
        ([entry for entry in LOG if "eval_ua" not in entry], ["training loss"]),
        ([{"epoch": 0.25, "loss": 1.0}], ["training loss"]),
        ([{"epoch": 0.5, "loss": float("nan")}, {"epoch": 1.0, "eval_ua": 0.0}], ["validation UA"]),
        ([{"epoch": 1.0, "loss": 0.0}], ["training loss"]),
        ([], []),
    ],
)
@pytest.mark.parametrize("names", [["speech"], ["speech", "text"]])
def test_learning_curves_have_a_panel_for_what_was_logged(tmp_path, figures, names, log, axes):
    draw_learning_curves(tmp_path / "curve.png", dict.fromkeys(names, log))
    assert min(size(tmp_path / "curve.png")) > 100
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    assert [panel.get_ylabel() for panel in figures[0].axes] == axes
    for panel in figures[0].axes:
        assert panel.lines
        assert all(float(tick).is_integer() for tick in panel.get_xticks())
    legends = [text.get_text() for legend in figures[0].legends for text in legend.get_texts()]
    assert legends == (names if len(names) > 1 and axes else [])


def test_the_parts_of_a_reliability_diagram_are_named_in_it(tmp_path, figures):
    draw_reliability(tmp_path / "one.png", {"as trained": ([0.6, 0.9, 0.3], [True, True, False])})
    (legend,) = figures[0].legends
    assert [text.get_text().partition(":")[0] for text in legend.get_texts()] == ["bar", "dot", "outline", "dashed"]
    width = figures[0].get_figwidth() * figures[0].dpi
    assert 0 <= legend.get_window_extent().x0 <= legend.get_window_extent().x1 <= width


def test_a_learning_curve_of_dimensions_shows_their_score(tmp_path, figures):
    log = [{"epoch": 1.0, "eval_ccc": -0.2}, {"epoch": 2.0, "eval_ccc": 0.4, "eval_ua": 0.9}]
    draw_learning_curves(tmp_path / "curve.png", {"speech": log}, "ccc", "CCC")
    (panel,) = figures[0].axes
    assert panel.get_ylabel() == "validation CCC"
    assert panel.get_ylim()[0] < -0.2
    assert panel.lines[-1].get_xydata().tolist() == [[2.0, 0.4]]  # the circle


@pytest.mark.parametrize(("temperature", "panels"), [(1.0, 1), (1.5, 2)])
def test_scaled_reliability_is_drawn_if_the_temperature_was_kept(tmp_path, figures, temperature, panels):
    test = make(20, temperature=np.full(20, temperature))
    draw_classes(tmp_path, "a system", np.eye(4, dtype=int).tolist(), list("abcd"), test)
    assert [len(figure.axes) for figure in figures] == [1, panels]


WEIRD = ["$\\bad{$", "a\nb", "\u05e9\u05dc\u05d5\u05dd\u202e", "\U0001f600", "x" * 200, "", "<b>&amp;", "\x1b[31m\x00"]


def test_labels_are_drawn_as_they_are_and_break_no_picture(tmp_path, figures):
    counts = np.eye(len(WEIRD), dtype=int).tolist()
    with warnings.catch_warnings(), matplotlib.rc_context({"text.usetex": True}):
        warnings.simplefilter("error")
        draw_confusion_matrices(tmp_path / "matrix.png", dict.fromkeys(WEIRD, counts), WEIRD)
        draw_confusion_matrices(tmp_path / "plain.png", {"a": counts}, [f"{number}" for number in range(len(WEIRD))])
        draw_learning_curves(tmp_path / "curve.png", dict.fromkeys(WEIRD, LOG))
        draw_reliability(tmp_path / "reliability.png", {label: ([0.6], [True]) for label in WEIRD[:3]})
    shown = [tick.get_text() for tick in figures[0].axes[0].get_xticklabels()]
    assert shown[:2] == ["$\\bad{$", "a b"]
    assert shown[4:] == [f"{'x' * 23}…", "(empty)", "<b>&amp;", r"\x1b[31m\x00"]
    sides = [figure.axes[0].get_window_extent().width for figure in figures[:2]]
    assert sides[0] > 0.8 * sides[1]  # long labels do not shrink the matrix
    assert not any(text.get_parse_math() for figure in figures for text in figure.findobj(matplotlib.text.Text))


def test_an_error_leaves_nothing_and_the_old_picture_stays(tmp_path, monkeypatch):
    (tmp_path / "curve.png").write_bytes(b"old")

    def break_off(self, file, **kwargs):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", break_off)
    with pytest.raises(OSError, match="disk full"):
        draw_learning_curves(tmp_path / "curve.png", {"speech": LOG})
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    assert (tmp_path / "curve.png").read_bytes() == b"old"
