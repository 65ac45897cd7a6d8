"""Text for messages: sizes and durations with units. What escapes and shortens is tested where it is shown."""

import pytest
from emofusion.configuration.plain_text import format_seconds, format_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_999, "1.0 MB"),
        (2.5e6, "2.5 MB"),
        (4e10, "40.0 GB"),
        (3e15, "3000.0 TB"),
    ],
)
def test_sizes_have_unit_that_shows_them(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "expected"), [(8.23, "8.2 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_in_words(seconds, expected):
    assert format_seconds(seconds) == expected
