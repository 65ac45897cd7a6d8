"""Scatter of predicted against true values, and the plane of valence and arousal."""

import warnings

import matplotlib
import numpy as np
import pytest
from emofusion.evaluation.dimension_pictures import MOST_POINTS, PLANE, SCATTER
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task import load_task
from matplotlib.figure import Figure
from matplotlib.text import Text
from testing_predictions import BOTH, NAMES, SCALE, VALUES, make_both, make_values


@pytest.fixture
def figures(monkeypatch):
    """The figures that were drawn; the file is not rendered."""
    drawn = []

    def keep(self, file, **options):
        self.draw_without_rendering()
        drawn.append(self)
        file.write_bytes(b"")

    monkeypatch.setattr(Figure, "savefig", keep)
    return drawn


def draw(task, folder, found, title="a system"):
    results = RunResults(
        **task.result_fields(), labels=list(task.labels), modalities=["audio"], **task.measure({"test": found})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.draw_test_split(folder, title, results, found)
    return results


def test_every_dimension_has_a_panel_with_its_ccc_and_the_line_of_equal_values(tmp_path, figures):
    found = make_values(50)
    results = draw(VALUES, tmp_path, found, "$\\bad{$")
    scatter, plane = figures
    assert scatter.get_suptitle() == "$\\bad{$"
    for panel, name in zip(scatter.axes, NAMES, strict=True):
        scores = results.metrics["test"].dimensions[name]
        assert panel.get_title() == f"{name}: CCC {scores.ccc:.3f}, r {scores.pearson:.3f}, n = {scores.utterances}"
        assert len(panel.collections[0].get_offsets()) == scores.utterances
        (line,) = panel.lines
        assert (line.get_slope(), line.get_xy1()) == (1, (1, 1))
    assert [panel.get_title().split(",")[0] for panel in plane.axes] == ["true", "predicted"]
    known = ~np.isnan(found.dimension_labels[:, :2]).any(axis=1)
    true = plane.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(true, found.dimension_labels[known][:, [1, 0]])  # valence to the right, arousal up
    assert (plane.axes[0].get_xlabel(), plane.axes[0].get_ylabel()) == ("valence", "arousal")


def test_many_utterances_are_counted_in_cells_of_one_scale(tmp_path, figures):
    found = make_values(MOST_POINTS + 50, unknown=0.0)
    draw(VALUES, tmp_path, found)
    for figure in figures:
        *panels, bar = figure.axes
        assert bar.get_ylabel() == "utterances in a cell"
        counts = [panel.collections[0].get_array().sum() for panel in panels]
        assert counts == [MOST_POINTS + 50] * len(panels)
        norms = {panel.collections[0].norm.vmax for panel in panels}
        assert len(norms) == 1
        assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
        assert not any(text.get_parse_math() for text in figure.findobj(Text))
        assert not any("$" in label.get_text() for label in bar.get_yticklabels())


def test_values_far_outside_of_the_scale_or_constant_leave_the_picture_readable(tmp_path, figures):
    draw(VALUES, tmp_path, make_values(12, dimensions=np.tile([1e9, -1e300, 3.0], (12, 1))))
    low, high = figures[0].axes[0].get_ylim()
    assert SCALE[0] - 4 < low < SCALE[0]
    assert SCALE[1] < high < SCALE[1] + 4


def test_the_plane_needs_valence_and_arousal(tmp_path, figures):
    found = make_values(12)
    only = {name: getattr(found, name)[:, [0, 2]] for name in ("dimensions", "dimension_labels")}
    draw(load_task("dimensions", ["arousal", "dominance"], scale=SCALE), tmp_path, make_values(12, **only))
    assert [path.name for path in tmp_path.iterdir()] == [SCATTER]


def test_classes_and_dimensions_have_the_pictures_of_both(tmp_path):
    with matplotlib.rc_context({"figure.dpi": 50}):
        draw(BOTH, tmp_path, make_both(40))
    assert (
        {path.name for path in tmp_path.iterdir()} == set(BOTH.pictures) == {*BOTH.parts[0].pictures, SCATTER, PLANE}
    )
