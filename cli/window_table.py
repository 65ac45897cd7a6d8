"""The rows of a long recording as text: what was cut, a table over time, and the mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..configuration.plain_text import one_line, show_name

BAR = 20  # characters of a probability of 1
TEXT = 60  # characters of a transcript


def describe_windows(name: str, rows: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
    """Return a sentence that says how a recording was cut.

    Args:
        name: The name of the recording.
        rows: Rows of the pipeline.
        options: The options of the pipeline that it was cut with.
    """
    speakers, of_speakers = {row["speaker"] for row in rows if row.get("speaker")}, ""
    if speakers:
        of_speakers = f", of {len(speakers)} speaker{'s' * (len(speakers) != 1)}"
    if options.get("vad"):
        seconds = sum(row["end"] - row["start"] for row in rows)
        parts = f"{len(rows)} segment{'s' * (len(rows) != 1)} with speech{of_speakers}, {seconds:.1f} s in all"
        return f"{one_line(name)} is cut into {parts}; the pauses between them are not recognised."
    if speakers:
        return f"{one_line(name)} is cut into {len(rows)} part{'s' * (len(rows) != 1)}{of_speakers}."
    length = rows[0]["end"] - rows[0]["start"]
    parts = f"{len(rows)} window{'s' * (len(rows) != 1)} of {length:g} s"
    if len(rows) > 2:
        parts += f", one every {rows[1]['start'] - rows[0]['start']:g} s"
    if options.get("window_seconds") == "auto":
        parts += ", the longest that this model takes; --window-seconds, --hop-seconds and --vad cut it otherwise"
    return f"{one_line(name)} is cut into {parts}. The last one ends with it." if len(rows) > 1 else f"{parts}."


def format_rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each window: its times, its most probable class, its dimensions, and speaker and text if known.

    Args:
        rows: Rows of the pipeline.
    """
    lines = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return [line.rstrip() for line in aligned]


def mean_entries(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the means of the scores over windows that are not silent, weighted by their lengths; entries as in a row.

    Args:
        rows: Rows of the pipeline.
    """
    sums, total = {}, 0.0
    for row in [row for row in rows if not row.get("silent")] or rows:
        length = row["end"] - row["start"]
        total += length
        for entry in _entries(row):
            mean = sums.setdefault(entry["label"], {**entry, "score": 0.0})
            mean["score"] += length * entry["score"]
    means = [{**entry, "score": entry["score"] / total} for entry in sums.values()]
    # Classes by their means; dimensions behind them, in the order of the model.
    return sorted(means, key=lambda entry: (1, 0.0) if "scale" in entry else (0, -entry["score"]))


def format_time(seconds: float) -> str:
    """Return a time as `1:02:03.4`, with hours where there are any."""
    tenths = round(10 * seconds)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{clock}:{tenths / 10:04.1f}"


def _entries(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return row["scores"] + row.get("dimensions", [])


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a line."""
    entries = _entries(row)
    best = next((entry for entry in entries if "scale" not in entry), None)
    values = [f"{show_name(entry['label'])} {entry['score']:.2f}" for entry in entries if "scale" in entry]
    name = [] if best is None else [show_name(best["label"]), f"{100 * best['score']:5.1f} %"]
    bar = [] if best is None else ["#" * round(BAR * best["score"])]
    silent = "silent" if row.get("silent") else ""
    text = one_line(row["text"], TEXT) if row.get("text") else ""
    speaker = one_line(row["speaker"], TEXT) if row.get("speaker") else ""
    return [format_time(row["start"]), format_time(row["end"]), *name, *values, *bar, silent, speaker, text]
