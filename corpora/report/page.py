"""The report: an HTML page with the counts of a corpus beside the published ones, its problems, statistics and samples."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePath
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from ...configuration.dimensions import DIMENSIONS
from ...configuration.plain_text import format_seconds
from ..atomic_write import check_replaceable, staged
from ..records import Prepared
from ..registry import describe_corpus
from ..schema import SPLITS
from . import charts
from .counts import ALL, Counts, compare_counts
from .samples import SAMPLE_SECONDS, list_samples
from .survey import COMPANIONS, Survey, survey

GROUPS = 30  # rows of a table and bars of a chart; the others are summed in one row
SPEAKERS = 30
EXAMPLES = 5  # examples per kind of problem
UNKNOWN = "unknown"


def write_corpus_report(prepared: Prepared, published: Counts, count_by: str, path: str | Path) -> None:
    """Write the report, a single file. The same corpus gives the same bytes.

    Args:
        prepared: The corpus. Only the recordings of the samples are decoded.
        published: Published utterances per value of `count_by` and label; {} if none were published.
        count_by: The column by which utterances are counted, or "split".
        path: HTML file to write, in an existing folder.

    Raises:
        FileNotFoundError: If that folder does not exist.
        ValueError: If the corpus has no row.
    """
    path = Path(path)
    check_replaceable(path)
    found = survey(prepared.splits, count_by)
    if not found.ids:
        raise ValueError(f"{path.name} cannot be written: the corpus has no row.")
    tally = _tally(found, published)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": "{:,}".format, "duration": format_seconds, "percent": _percent}
    metadata = _metadata(prepared.metadata)
    template = resources.files("emofusion.corpora.report").joinpath("report.html.jinja").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        metadata=metadata,
        headline=_headline(found, prepared.problems),
        counts=_counts(found.labels, *tally, published, count_by),
        problems=_problems(prepared.problems, prepared.metadata.get("root")),
        legend=_legend(found),
        balance=_balance(*tally),
        durations=_distribution(found, found.seconds, "seconds"),
        words=_distribution(found, found.words, "words"),
        dimensions=_dimensions(found, metadata["dimension_scale"]),
        speakers=_speakers(found),
        companions=_companions(found),
        samples=list_samples(found, prepared.splits),
        sample_seconds=f"{SAMPLE_SECONDS:g}",
    )
    with staged(path.parent) as staging:
        (staging / path.name).write_text(page, encoding="utf-8")


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of the preparation, with the name of the root only, because its path is private."""
    options = metadata.get("options") or {}
    description = describe_corpus(metadata["corpus"], **options)
    return {
        "name": metadata["corpus"],
        "title": description["title"],
        "demonstration": description["demonstration"],
        "license": description.get("license"),
        "dimension_scale": description.get("dimension_scale"),
        "root": PurePath(metadata["root"]).name if metadata.get("root") else None,
        "options": options,
        "fingerprint": metadata.get("fingerprint"),
        "decoded": bool(metadata.get("decoded")),
        "embedded": bool(metadata.get("embedded")),
    }


def _headline(found: Survey, problems: Sequence[Mapping]) -> dict[str, Any]:
    own = [problem for problem in problems if not problem["known"]]
    return {
        "utterances": len(found.ids),
        "seconds": float(np.nansum(found.seconds)),
        "unmeasured": int(np.isnan(found.seconds).sum()),
        "speakers": len({speaker for speaker in found.speakers if speaker is not None}),
        "unnamed": sum(speaker is None for speaker in found.speakers),
        "classes": len(found.labels),
        "dropped": sum(problem["dropped"] for problem in problems),
        "expected": sum(problem["dropped"] and problem["known"] for problem in problems),
        "problems": len(own),
        "known": len(problems) - len(own),
    }


def _tally(found: Survey, published: Counts) -> tuple[list[str], np.ndarray]:
    """Return the groups and their utterances per class `(groups, classes)`; small groups beyond `GROUPS` are summed."""
    groups = [UNKNOWN if group is None else group for group in found.groups]
    sizes, expected = Counter(groups), published.keys() - {ALL}
    order = sorted(sizes.keys() | expected, key=lambda name: (name not in expected, -sizes[name], name))
    shown, hidden = order[: max(GROUPS, len(expected))], order[max(GROUPS, len(expected)) :]
    shown.sort(key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))
    names = [*shown, _others(len(hidden))] if hidden else shown
    place = {name: number for number, name in enumerate(shown)} | dict.fromkeys(hidden, len(shown))
    counts = np.zeros((len(names), len(found.labels)), dtype=np.int64)
    np.add.at(counts, ([place[group] for group in groups], found.classes), 1)
    return names, counts


def _counts(
    labels: Sequence[str], groups: Sequence[str], tally: np.ndarray, published: Counts, count_by: str
) -> dict[str, Any]:
    """Return the table of counts, with the count and the published count (None if there is none) in each cell."""
    found = {name: dict(zip(labels, row, strict=True)) for name, row in zip(groups, tally.tolist(), strict=True)}
    compared = compare_counts(found, published)
    columns = list(dict.fromkeys((*labels, *compared[ALL])))
    rows = [{"name": name, "cells": [compared[name][column] for column in columns]} for name in (*groups, ALL)]
    pairs = [(count, wanted) for row in rows for count, wanted in row["cells"] if wanted is not None]
    return {
        "group": count_by,
        "labels": columns,
        "rows": rows if len(rows) > 2 else rows[:1],
        "compared": len(pairs),
        "different": sum(count != wanted for count, wanted in pairs),
    }


def _problems(problems: Sequence[Mapping], root: str | None) -> list[dict[str, Any]]:
    """Return the kinds of problems: those of this copy first, the most frequent first."""
    groups = {}
    for problem in problems:
        groups.setdefault((problem["known"], problem["kind"]), []).append(problem)
    return [
        {
            "kind": kind,
            "known": known,
            "count": len(members),
            "dropped": sum(problem["dropped"] for problem in members),
            "examples": [_shorten_paths(problem, root) for problem in members[:EXAMPLES]],
        }
        for (known, kind), members in sorted(
            groups.items(), key=lambda group: (group[0][0], -len(group[1]), group[0][1])
        )
    ]


def _shorten_paths(problem: Mapping, root: str | None) -> dict[str, Any]:
    """Return the problem with paths relative to the root."""
    shorter = {name: problem[name] and problem[name].replace(f"{root}{os.sep}", "") for name in ("what", "file")}
    return {**problem, **(shorter if root else {})}


def _legend(found: Survey) -> list[dict[str, Any]]:
    colors = [charts.class_color(number) for number in range(len(found.labels))]
    return [
        {"label": label, "color": color, "hatched": hatched}
        for label, (color, hatched) in zip(found.labels, colors, strict=True)
    ]


def _balance(groups: Sequence[str], tally: np.ndarray) -> Markup:
    if len(groups) > 1:
        groups, tally = [*groups, ALL], np.vstack([tally, tally.sum(axis=0)])
    return Markup(charts.draw_balance(groups, tally))


def _distribution(found: Survey, values: np.ndarray, unit: str) -> dict[str, Any] | None:
    """Return chart and quantiles per class of durations or words; None if no utterance has a value."""
    valid = values >= 0  # False for NaN
    if not valid.any():
        return None
    chosen, classes = values[valid], found.classes[valid]
    edges = charts.bin_edges(chosen)
    rows = [(label, chosen[classes == number]) for number, label in enumerate(found.labels)]
    longest = int(np.flatnonzero(valid)[chosen.argmax()])
    return {
        "chart": Markup(charts.draw_distribution(chosen, classes, found.labels, unit, edges)),
        "rows": [
            {"label": label, "count": some.size, "sum": some.sum().item(), "quantiles": _quantiles(some)}
            for label, some in [*rows, ("all", chosen)]
            if some.size
        ],
        "limit": int(edges[-1]),
        "beyond": int((chosen > edges[-1]).sum()),
        "longest": {"id": found.ids[longest], "value": values[longest].item()},
    }


def _quantiles(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(values, (0.05, 0.5, 0.95))]


def _dimensions(found: Survey, scale: Sequence[float] | None) -> dict[str, Any] | None:
    """Return mean and deviation of each dimension per class, and charts; None if no utterance is rated.

    Args:
        found: The survey.
        scale: Lowest and highest value; None for those that occur.
    """
    rows = []
    for number, label in enumerate(found.labels):
        ratings = [values[~np.isnan(values)] for values in found.vad[found.classes == number].T]
        if any(values.size for values in ratings):
            cells = [
                (values.mean().item(), values.std().item(), values.size) if values.size else None for values in ratings
            ]
            rows.append({"label": label, "cells": cells})
    if not rows:
        return None
    scale = scale or [float(np.floor(np.nanmin(found.vad))), float(np.floor(np.nanmax(found.vad)) + 1)]
    ratings = {name: values[~np.isnan(values)] for name, values in zip(DIMENSIONS, found.vad.T, strict=True)}
    both = ~np.isnan(found.vad[:, :2]).any(axis=1)
    chart = Markup(charts.draw_dimensions(found.vad, found.classes, found.labels, scale)) if both.any() else None
    return {
        "names": DIMENSIONS,
        "scale": scale,
        "rows": rows,
        "histograms": Markup(
            charts.draw_ratings({name: values for name, values in ratings.items() if values.size}, scale)
        ),
        "chart": chart,
        "count": int(both.sum()),
    }


def _speakers(found: Survey) -> dict[str, Any] | None:
    """Return utterances per class and seconds of each speaker, the most frequent speaker first."""
    if all(speaker is None for speaker in found.speakers):
        return None
    speakers = [UNKNOWN if speaker is None else speaker for speaker in found.speakers]
    order = [name for name, _ in sorted(Counter(speakers).items(), key=lambda item: (-item[1], item[0]))]
    place = {name: min(number, SPEAKERS) for number, name in enumerate(order)}
    names = order[:SPEAKERS] + ([_others(len(order) - SPEAKERS)] if len(order) > SPEAKERS else [])
    counts, seconds = np.zeros((len(names), len(found.labels)), dtype=np.int64), np.zeros(len(names))
    rows = [place[speaker] for speaker in speakers]
    np.add.at(counts, (rows, found.classes), 1)
    np.add.at(seconds, rows, np.nan_to_num(found.seconds))
    return {
        "count": len(order),
        "rows": [
            {"name": name, "counts": row.tolist(), "sum": int(row.sum()), "seconds": float(length)}
            for name, row, length in zip(names, counts, seconds, strict=True)
        ],
    }


def _companions(found: Survey) -> list[dict[str, Any]]:
    total = len(found.ids)
    rows = [(name, found.companions[name]) for name in COMPANIONS]
    rows += [("scripted", found.scripted[True]), ("improvised", found.scripted[False])]
    return [{"name": name, "count": count, "share": count / total} for name, count in rows]


def _others(count: int) -> str:
    return "1 other" if count == 1 else f"{count:,} others"


def _percent(share: float) -> str:
    """Format a share in percent; only a share of 1 is "100 %", and only 0 is "0 %"."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %".replace(".0 %", " %")
