"""Pictures of timelines by their structure: panels, areas, lines, marks, limits and texts."""

import itertools
import warnings

import numpy as np
import pytest
from emofusion.inference.emotion_colours import DIMENSIONS, emotion_colours
from emofusion.inference.envelope import MOST_BINS, Envelope, measure_envelope
from emofusion.inference.time_axis import format_time
from emofusion.inference.timeline_picture import MOST_SPEAKERS, draw_timeline
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from testing_timelines import happy, make_row

# Machado, Oliveira and Fernandes 2009: colours as protanopes and deuteranopes see them, in linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}
EMOTIONS = [
    "neutral calm happy sad angry fearful disgust surprised",
    "angry happy neutral sad excited frustrated",
    "anger boredom disgust fear happiness neutral sadness",
    "neutral joy surprise anger sadness disgust fear",
    "angry contempt disgust fear happy neutral sad surprise",
]


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draws a timeline; returns the figure, which is not rendered."""
    drawn = []

    def keep(self, file, **options):
        self.draw_without_rendering()
        drawn.append(self)
        file.write_bytes(b"")

    monkeypatch.setattr(Figure, "savefig", keep)

    def run(*arguments, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            draw_timeline(tmp_path / "timeline.png", *arguments, **options)
        return drawn[-1]

    return run


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_picture_is_written(tmp_path):
    path = tmp_path / "timeline.png"
    timeline = draw_timeline(path, [happy(0, 2, 0.5)])
    assert path.read_bytes().startswith(b"\x89PNG")
    assert (timeline.smoothing, len(timeline.stretches)) == (1.0, 1)


def test_classes_are_stacked_areas_under_the_waveform(draw):
    rows = [happy(0, 4, 0.9), happy(4, 6, 0.5, silent=True), happy(6, 10, 0.2)]
    figure = draw(rows, measure_envelope({"array": np.ones(160_000), "sampling_rate": 16000}), 0, "$\\bad{$")
    waveform, panel = figure.axes
    assert figure.get_suptitle() == "$\\bad{$"
    assert [waveform.get_ylabel(), panel.get_ylabel()] == ["waveform", "probability"]
    assert panel.get_xlim() == waveform.get_xlim() == (0, 10)
    assert panel.get_ylim() == (0, 1)
    assert legend(figure) == ["happy", "sad", "silence"]
    sad, happiness = panel.collections
    colours = emotion_colours(["happy", "sad"])
    assert [to_hex(area.get_facecolor()[0]) for area in (sad, happiness)] == [colours["sad"], colours["happy"]]
    # An area for each stretch, none in the silence; the upper one fills the panel.
    assert [path.get_extents().intervalx.tolist() for path in happiness.get_paths()] == [[0, 4], [6, 10]]
    assert happiness.get_paths()[0].get_extents().intervaly == pytest.approx([0.1, 1.0])
    assert sad.get_paths()[1].get_extents().intervaly == pytest.approx([0.0, 0.8])
    assert [(mark.get_x(), mark.get_width(), mark.get_hatch()) for mark in panel.patches] == [(4, 2, "....")]
    assert [(text.get_text(), text.get_position()[0]) for text in panel.texts] == [("happy", 2), ("sad", 8)]
    assert panel.get_xlabel() == "time in mm:ss; mean over windows"


def test_every_speaker_has_a_band_and_overlap_is_marked(draw):
    rows = [happy(0, 5, 0.5, speaker="agent"), happy(4, 8, 0.5, speaker="a customer with a long name")]
    waves = {f"channel {number}": Envelope(np.zeros(4), np.zeros(4), 2.0, 8.0) for number in (1, 2)}
    figure = draw(rows, waves)
    names = ["channel 1", "channel 2", "agent", "a customer with…"]
    assert [panel.get_ylabel() for panel in figure.axes] == names
    assert legend(figure) == ["happy", "sad", "several speakers"]
    for panel in figure.axes[2:]:
        assert [(mark.get_x(), mark.get_width()) for mark in panel.patches] == [(4, 1)]


def test_most_speakers_are_shown_and_the_others_counted(draw):
    count = MOST_SPEAKERS + 2
    rows = [happy(number, number + 1 + (number > 1), 0.5, speaker=str(number)) for number in range(count)]
    figure = draw(rows)
    assert [panel.get_ylabel() for panel in figure.axes] == [str(number) for number in range(2, count)]
    assert "2 more who speak less are not shown" in figure.axes[-1].get_xlabel()


def test_dimensions_are_lines_in_their_scale(draw):
    values = [{"valence": 2.0, "arousal": 5.4}, {"valence": 4.0, "arousal": 3.0}]
    rows = [make_row(number, number + 0.8, None, own) for number, own in enumerate(values)]
    (panel,) = draw(rows, None, 0).axes
    valence, arousal = panel.lines[:2]
    assert [line.get_color() for line in panel.lines] == [colour for colour, _ in DIMENSIONS[:2]]
    assert valence.get_linestyle() != arousal.get_linestyle()
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["1", "3", "5"]
    low, high = panel.get_ylim()
    assert low < 1
    assert high > 5.4
    known = np.isfinite(valence.get_ydata())
    assert valence.get_ydata()[known][[0, -1]] == pytest.approx([2.0, 4.0])
    assert not known.all()  # the pause


def test_classes_and_dimensions_have_a_panel_each(draw):
    figure = draw([make_row(0, 2, {"happy": 0.75, "sad": 0.25}, {"valence": 4.0})])
    assert [panel.get_ylabel() for panel in figure.axes] == ["probability", "value"]
    assert legend(figure) == ["happy", "sad", "valence"]


def test_an_hour_is_smoothed_more_and_has_hours(draw):
    (panel,) = draw([happy(start, start + 20, 0.5) for start in range(0, 3600, 20)]).axes
    assert panel.get_xlabel().startswith("time in h:mm:ss; mean over windows, smoothed with a Gaussian of 18 s")
    labels = [tick.get_text() for tick in panel.get_xticklabels()]
    assert labels == [f"{minute // 60}:{minute % 60:02d}:00" for minute in range(0, 61, 5)]


def test_short_turns_of_a_long_call_are_means_with_the_turns_on_top(draw):
    rows = [happy(start, start + 4, 0.5, speaker="AB"[start // 5 % 2]) for start in range(0, 3600, 5)]
    figure = draw(rows)
    assert "mean of a speaker's speech in each 30 s" in figure.axes[-1].get_xlabel()
    assert legend(figure) == ["happy", "sad", "turn"]
    for panel in figure.axes:
        area, turns = panel.collections[0], panel.collections[-1]
        assert len(area.get_paths()) == 1
        assert len(turns.get_paths()) == 360


def test_recording_of_silence_is_drawn(draw):
    (panel,) = draw([happy(0, 3, 0.5, silent=True)]).axes
    assert [mark.get_width() for mark in panel.patches] == [3]


@pytest.mark.parametrize(
    ("seconds", "hours", "step", "text"),
    [
        *[(0, False, 1, "00:00"), (65, False, 5, "01:05"), (59.96, False, 1, "01:00"), (5, True, 60, "0:00:05")],
        *[(3661, False, 1, "1:01:01"), (36000, True, 3600, "10:00:00"), (0.25, False, 0.05, "00:00.25")],
        *[(61.5, False, 0.5, "01:01.5")],
    ],
)
def test_times_are_written_with_minutes_or_hours(seconds, hours, step, text):
    assert format_time(seconds, hours, step) == text


@pytest.mark.parametrize("samples", [1, 31, 1000, 32 * MOST_BINS + 17, 1_000_003])
def test_envelope_has_the_range_of_each_bin_for_any_length(samples):
    waveform = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    found = measure_envelope({"array": waveform, "sampling_rate": 16000})
    size = round(found.step * 16000)
    parts = [waveform[place : place + size] for place in range(0, samples, size)]
    np.testing.assert_array_equal(found.low, [part.min() for part in parts])
    np.testing.assert_array_equal(found.high, [part.max() for part in parts])
    assert found.seconds == samples / 16000
    assert len(found.low) <= 2 * MOST_BINS + 1


@pytest.mark.parametrize("labels", EMOTIONS)
@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_of_a_corpus_are_distinct_also_to_the_colour_blind(labels, kind):
    colours = emotion_colours(labels.split())
    assert len({*colours.values()}) == len(colours)
    seen = {label: look(colour, BLINDNESS[kind]) for label, colour in colours.items()}
    for (one, first), (two, second) in itertools.combinations(seen.items(), 2):
        assert np.linalg.norm(first - second) > 10, (one, two)


def test_colours_do_not_depend_on_the_other_classes():
    assert emotion_colours(["angry", "sad"]).items() <= emotion_colours(EMOTIONS[0].split()).items()
    assert (
        emotion_colours(["ang"])["ang"] == emotion_colours(["anger"])["anger"] == emotion_colours(["Angry"])["Angry"]
    )
    unknown = emotion_colours(["happy", "happy_loud", "x"])
    assert len({*unknown.values()}) == 3


def look(colour, blindness):
    """A colour in CIELAB, as someone with a colour blindness sees it; distances of 10 are seen at a glance."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(blindness) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    scaled = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * scaled[1] - 16, 500 * (scaled[0] - scaled[1]), 200 * (scaled[1] - scaled[2])])
