"""Charts of a corpus: their content and their legibility."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from emofusion.corpora.report import charts
from emofusion.corpora.report.charts import (
    bin_edges,
    class_color,
    draw_balance,
    draw_dimensions,
    draw_distribution,
    draw_ratings,
    draw_waveform,
)
from matplotlib.colors import to_rgb


def texts(svg):
    return [
        "".join(node.itertext()).strip()
        for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def luminance(color):
    """Return the relative luminance of the WCAG."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("color", [*charts.PALETTE, charts.NEUTRAL])
def test_colours_have_contrast(color):
    for page in ("#ffffff", "#14181c"):
        light, dark = sorted((luminance(color), luminance(page)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 2
    assert (luminance(color) + 0.05) / 0.05 > 4.5


def test_many_classes_look_different():
    assert len({class_color(number) for number in range(16)}) == 16


def test_bars_have_percentages_where_there_is_room():
    written = texts(
        draw_balance(
            ["one", "nobody", "a very long name of a session indeed"], np.array([[30, 67, 3], [0, 0, 0], [1, 0, 1]])
        )
    )
    assert [text for text in written if text in ("30", "67", "3")] == ["30", "67"]
    assert written.count("50") == 2
    assert {"one  (100)", "nobody  (0)", "a very long name of a…  (2)"} <= {*written}


def test_charts_use_colour_of_page_and_real_text():
    values, classes = np.array([0.5, 1.0, 2.0]), np.array([0, 1, 1])
    svg = draw_distribution(values, classes, ["$\\sad$ & <b>", "_glad"], "seconds", bin_edges(values))
    assert {"$\\sad$ & <b>", "_glad", "seconds", "utterances"} <= {*texts(svg)}
    assert "currentColor" in svg
    assert charts.INK not in svg
    assert not re.search(r"<metadata|<!--|<svg[^>]*(width|height)=", svg)


def test_only_classes_with_ratings_have_panel():
    vad = np.array([[1.0, 5.0, np.nan], [3.0, np.nan, 3.0], [2.5, 2.5, 2.5]])
    written = texts(draw_dimensions(vad, np.array([0, 1, 2]), ["sad", "unrated", "glad"], (1, 5)))
    assert {"sad", "glad", "valence", "arousal"} <= {*written}
    assert "unrated" not in written


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        ((1, 7), list("1234567")),
        ((-3, 3), ["−3", "−2", "−1", "0", "1", "2", "3"]),
        ((0, 1), ["0.00", "0.25", "0.50", "0.75", "1.00"]),
    ],
)
def test_charts_of_ratings_have_their_scale(scale, ticks):
    lowest, highest = scale
    values = np.array([lowest, lowest, highest], float)
    for svg in (
        draw_ratings({"valence": values, "dominance": values[:1]}, scale),
        draw_dimensions(np.stack([values, values], axis=1), np.zeros(3, int), ["sad"], scale),
    ):
        written = texts(svg)
        assert {*ticks, "valence"} <= {*written}
        assert not {"8", "−4", "2.0"} & {*written}


@pytest.mark.parametrize("waveform", [np.zeros(1000, np.float32), np.ones(1, np.float32), np.sin(np.arange(5000) / 9)])
def test_waveform_stays_in_its_picture(waveform):
    svg = draw_waveform(waveform)
    heights = [float(height) for pair in re.findall(r"M[\d.]+ (-?[\d.]+)V(-?[\d.]+)", svg) for height in pair]
    assert len(heights) == 2 * min(len(waveform), charts.WAVE[0])
    assert 0 <= min(heights) <= max(heights) <= charts.WAVE[1]
    assert all(top < bottom for top, bottom in zip(heights[::2], heights[1::2], strict=True))


@pytest.mark.parametrize("longest", [0, 1, 9, 39, 40, 79, 400])
def test_integer_bins_have_equal_width(longest):
    values = np.repeat(np.arange(longest + 1), 200)
    edges = charts.bin_edges(values)
    assert edges[0] == -0.5
    assert edges[-1] > longest
    assert len(edges) <= charts.BINS + 2
    np.testing.assert_array_equal(np.diff(edges), edges[1] - edges[0])
    assert (edges[1] - edges[0]).is_integer()
    if longest:
        with_outlier = np.append(values, 100 * longest)
        assert longest / 2 < charts.bin_edges(with_outlier)[-1] < 2 * longest + 2
        assert charts.bin_edges(with_outlier.astype(float))[-1] <= longest
