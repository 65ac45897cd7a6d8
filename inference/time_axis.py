"""Time axis of pictures: marks at round times, written as mm:ss or h:mm:ss."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Seconds between marks.
STEPS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200),
    *(14400, 21600, 43200, 86400),
)
MOST_MARKS = 12
HOUR = 3600


def set_time_axis(panel: "Axes", seconds: float) -> None:
    """Set the limits and the marks of the horizontal axis, from 0 to the length of a recording.

    Args:
        panel: The axes.
        seconds: The length.
    """
    step = round_step(seconds / MOST_MARKS)
    ticks = [number * step for number in range(int(seconds / step + 1e-6) + 1)]
    panel.set_xlim(0, seconds)
    panel.set_xticks(ticks, [format_time(tick, seconds >= HOUR, step) for tick in ticks])


def round_step(seconds: float) -> float:
    """Return the shortest of `STEPS` that is at least a number of seconds; the longest for more."""
    return next((step for step in STEPS if step >= seconds), STEPS[-1])


def format_time(seconds: float, hours: bool = False, step: float = 1) -> str:
    """Return a time as `mm:ss`, or `h:mm:ss`.

    Args:
        seconds: The time.
        hours: Whether to write the hours, also if they are 0; times from an hour on have them in any case.
        step: The distance between such times in seconds: below 1, decimals are written.
    """
    decimals = 0 if step >= 1 else 1 if step >= 0.1 else 2
    whole, part = divmod(round(seconds * 10**decimals), 10**decimals)
    minutes, rest = divmod(whole, 60)
    text = f"{rest:02d}" + (f".{part:0{decimals}d}" if decimals else "")
    if hours or minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{text}"
    return f"{minutes:02d}:{text}"
