"""Smoothing over time, against sums that are written out."""

import math

import numpy as np
import pytest
from emofusion.inference.timeline import join, smooth, subtract
from testing_timelines import happy, make_row


def shares(timeline, place=0):
    return timeline.stretches[place].values[:, timeline.classes.index("happy")]


def test_cell_is_mean_of_its_rows_weighted_by_overlap():
    timeline = smooth([happy(0.05, 0.25, 1.0), happy(0.1, 0.45, 0.2)], 0)
    (stretch,) = timeline.stretches
    np.testing.assert_allclose(stretch.edges, [0.05, 0.15, 0.25, 0.35, 0.45])
    first = (0.1 * 1.0 + 0.05 * 0.2) / 0.15
    np.testing.assert_allclose(shares(timeline), [first, 0.6, 0.2, 0.2])
    np.testing.assert_allclose(stretch.values.sum(axis=1), 1)


def test_gaussian_is_normalised_at_the_ends_of_a_stretch():
    rows = [happy(second, second + 1, second % 2) for second in range(6)]
    plain, blurred = shares(smooth(rows, 0)), shares(smooth(rows, 0.4))
    cells = np.arange(60)
    for place in (0, 7, 31, 59):
        weights = np.exp(-0.5 * ((cells - place) * 0.1 / 0.4) ** 2) * (abs(cells - place) * 0.1 <= 4 * 0.4 + 1e-9)
        assert blurred[place] == pytest.approx(weights @ plain / weights.sum())
    constant = shares(smooth([happy(0, 3, 0.3)], 100.0))
    np.testing.assert_allclose(constant, 0.3)


def test_nothing_is_smoothed_across_silence_pauses_or_speakers():
    rows = [
        happy(0, 4, 1.0, speaker="A"),
        happy(4, 6, 0.0, speaker="B"),
        happy(6, 8, 0.25, speaker="A"),
        happy(9, 10, 0.75, speaker="A"),
        happy(10, 11, 0.5, speaker="A", silent=True),
        happy(11, 12, 0.0, speaker="A"),
    ]
    timeline = smooth(reversed(rows), 5.0)
    assert timeline.speakers == ["A", "B"]
    assert [(one.speaker, one.start, one.end) for one in timeline.stretches] == [
        *[("A", 0, 4), ("B", 4, 6), ("A", 6, 8), ("A", 9, 10), ("A", 11, 12)]
    ]
    for place, share in enumerate((1.0, 0.0, 0.25, 0.75, 0.0)):
        np.testing.assert_allclose(shares(timeline, place), share, atol=1e-12)
    assert timeline.silences == [("A", 10, 11)]
    assert not timeline.overlaps


def test_silent_window_is_silence_also_where_others_overlap_with_it():
    timeline = smooth([happy(0, 4, 0.9), happy(2, 6, 0.5, silent=True), happy(4, 8, 0.1)])
    assert [(one.start, one.end) for one in timeline.stretches] == [(0, 2), (6, 8)]
    assert timeline.silences == [(None, 2, 6)]


def test_silence_is_also_read_from_the_entries():
    row = happy(0, 1, 0.5)
    row["scores"] = [{**entry, "silent": True} for entry in row["scores"]]
    assert smooth([row]).silences == [(None, 0, 1)]
    assert not smooth([row]).stretches


def test_rounded_times_do_not_divide_a_stretch():
    timeline = smooth([happy(0, 1.004, 0.5), happy(1.01, 2, 0.5)])
    assert [(one.start, one.end) for one in timeline.stretches] == [(0, 2)]
    assert np.isfinite(timeline.stretches[0].values).all()


def test_overlaps_are_spans_with_several_speakers():
    rows = [happy(0, 5, 0.5, speaker="A"), happy(4, 7, 0.5, speaker="B"), happy(6, 9, 0.5, speaker="C")]
    assert smooth(rows).overlaps == [(4, 5), (6, 7)]
    same = [happy(0, 4, 0.5, speaker="A"), happy(2, 6, 0.5, speaker="A")]
    assert not smooth(same).overlaps


def test_dimensions_keep_their_order_and_scale_and_become_rows_again():
    both = make_row(0, 0.2, {"sad": 0.25, "happy": 0.75}, {"valence": 4.0, "arousal": 2.0}, speaker="A")
    timeline = smooth([both])
    assert (timeline.classes, timeline.dimensions, timeline.scale) == (
        ("happy", "sad"),
        ("valence", "arousal"),
        (1.0, 5.0),
    )
    rows = list(timeline.rows())
    assert [(row["start"], row["end"]) for row in rows] == [(0.0, 0.1), (0.1, 0.2)]
    assert smooth(rows, 0).stretches[0].values == pytest.approx(timeline.stretches[0].values)
    assert [entry["label"] for entry in rows[0]["dimensions"]] == ["valence", "arousal"]
    alone = list(smooth([make_row(0, 0.1, None, {"valence": 4.0})]).rows())
    assert alone == [{"start": 0.0, "end": 0.1, "scores": [{"label": "valence", "score": 4.0, "scale": [1.0, 5.0]}]}]


def test_wide_gaussian_has_wider_cells():
    assert len(smooth([happy(0, 3600, 0.5)], 18.0).stretches[0].values) == 2000


def test_means_over_steps_weigh_speech_alone():
    rows = [happy(0, 2, 1.0, speaker="A"), happy(3, 4, 0.4, speaker="A"), happy(21, 22, 0.2, speaker="A")]
    summary = smooth(rows, 0).summarise(10)
    assert [(one.start, one.end) for one in summary.stretches] == [(0, 10), (20, 30)]
    assert shares(summary) == pytest.approx([(2 * 1.0 + 0.4) / 3])
    assert shares(summary, 1) == pytest.approx([0.2])


def test_unions_and_differences_of_spans():
    assert join([(5, 6), (0, 2), (1, 3), (3.005, 4)]) == [(0, 4), (5, 6)]
    assert subtract([(0, 10)], [(0, 1), (2, 3), (9.5, 12)]) == [(1, 2), (3, 9.5)]
    assert subtract([(0, 1), (4, 5)], [(0, 1)]) == [(4, 5)]
    assert subtract([(0, 1)], []) == [(0, 1)]


def test_unusable_rows_are_refused():
    with pytest.raises(ValueError, match="no timeline without rows"):
        smooth([{"start": 0, "end": 1, "error": "it is damaged."}])
    with pytest.raises(ValueError, match=r"rows\[1\] has scores of happy"):
        smooth([happy(0, 1, 0.5), make_row(1, 2, {"happy": 1.0})])
    with pytest.raises(ValueError, match=r"rows\[0\] is from 1 to 1 s"):
        smooth([happy(1, 1, 0.5)])
    with pytest.raises(ValueError, match=r"rows\[0\] has scores that are not finite"):
        smooth([happy(0, 1, math.nan)])
    for seconds in (-1, math.inf, math.nan, "1"):
        with pytest.raises(ValueError, match="smoothing must be a number"):
            smooth([happy(0, 1, 0.5)], seconds)
