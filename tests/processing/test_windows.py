"""Spans of long recordings."""

import math
from itertools import pairwise

import pytest
from emofusion.processing.windows import Span, plan_segments, plan_windows, split_span


@pytest.mark.parametrize(
    ("seconds", "window", "hop", "expected"),
    [
        (30, 10, None, [(0, 10), (10, 20), (20, 30)]),
        (25, 10, 10, [(0, 10), (10, 20), (15, 25)]),
        (25, 10, 5, [(0, 10), (5, 15), (10, 20), (15, 25)]),
        (10, 10, 5, [(0, 10)]),
        (3.5, 10, None, [(0, 3.5)]),
        (10.001, 10, 10, [(0, 10), (0.001, 10.001)]),
        (0.9, 0.3, 0.1, [(number / 10, number / 10 + 0.3) for number in range(7)]),
    ],
)
def test_windows_cover_the_recording_and_the_last_ends_with_it(seconds, window, hop, expected):
    planned = plan_windows(seconds, window, hop)
    assert [(span.start, span.end) for span in planned] == [pytest.approx(pair) for pair in expected]


@pytest.mark.parametrize("seconds", [0.05, 9.99999999, 10.00000001, 61.37, 3600.004])
@pytest.mark.parametrize("hop", [None, 0.7, 3.3, 10])
def test_nothing_lies_between_windows(seconds, hop):
    planned = plan_windows(seconds, 10, hop)
    assert planned[0].start == 0
    assert planned[-1].end == pytest.approx(seconds, abs=2e-6)
    assert all(after.start <= before.end + 1e-9 for before, after in pairwise(planned))
    assert all(span.end - span.start == pytest.approx(min(10, seconds), abs=2e-6) for span in planned)


@pytest.mark.parametrize(
    ("window", "hop", "named"),
    [
        (0.01, None, "window_seconds"),
        (math.nan, None, "window_seconds"),
        (True, None, "window_seconds"),
        ("10", None, "window_seconds"),
        (10, 11, "nothing is left out"),
        (10, 0, "hop_seconds"),
        (10, math.inf, "hop_seconds"),
    ],
)
def test_impossible_windows_are_refused(window, hop, named):
    with pytest.raises(ValueError, match=named):
        plan_windows(60, window, hop)


def test_segments_keep_their_order_speakers_and_texts():
    segments = [
        {"start": 4, "end": 6.02, "speaker": "B"},
        {"start": 0.5, "end": 2.0, "speaker": "A", "text": "hello"},
        {"start": 1.5, "end": 2.5},
    ]
    assert plan_segments(segments, 6.0, 10) == [
        Span(4, 6.0, "B"),
        Span(0.5, 2.0, "A", "hello"),
        Span(1.5, 2.5),
    ]


def test_long_segments_are_divided_equally():
    assert plan_segments([{"start": 1, "end": 26, "speaker": "A"}], 30, 10) == [
        Span(1.0, round(28 / 3, 6), "A"),
        Span(round(28 / 3, 6), round(53 / 3, 6), "A"),
        Span(round(53 / 3, 6), 26.0, "A"),
    ]
    assert split_span(Span(0, 20.0000001), 10) == [Span(0, 10), Span(10, 20)]


@pytest.mark.parametrize(
    ("segment", "error", "sentence"),
    [
        (
            {"start": 1, "end": 1},
            ValueError,
            r"segments\[0\] is from 1 to 1 s: a segment needs numbers with 0 <= start",
        ),
        ({"start": 2, "end": 1}, ValueError, "0 <= start < end"),
        ({"start": -1, "end": 1}, ValueError, "0 <= start < end"),
        ({"start": 1}, ValueError, "from 1 to None s"),
        ({"start": 1, "end": math.inf}, ValueError, "0 <= start < end"),
        ({"start": 7, "end": 8}, ValueError, "is from 7 to 8 s, and the recording lasts 6.000 s"),
        ({"start": 5, "end": 6.1}, ValueError, "the recording lasts"),
        ({"start": 0, "end": 1, "stop": 2}, ValueError, "has no key 'stop'; its keys are start, end, speaker, text"),
        ({"start": 0, "end": 1, "speaker": 3}, TypeError, "has a speaker that is int"),
        ({"start": 0, "end": 6, "text": "go"}, ValueError, "lasts 6.0 s, longer than 5 s, and its text has no times"),
        ((0, 1), TypeError, "must be a dict with start and end"),
    ],
)
def test_segments_that_cannot_be_used_are_named(segment, error, sentence):
    with pytest.raises(error, match=sentence):
        plan_segments([segment], 6.0, 5)
