"""One page by which a reader judges a copy of a corpus: whether it is whole, what is in it, and how it sounds."""

import base64
import hashlib
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from datasets import DatasetDict
from markupsafe import Markup

from ...processing.media import load_audio
from .. import describe_corpus
from ..atomic_write import staged
from ..schema import SPLITS
from . import charts
from .counts import ALL, compare_counts
from .survey import COMPANIONS, DIMENSIONS, Survey, span_seconds, survey

if TYPE_CHECKING:
    from ..preparation.prepared_folder import Prepared

SAMPLING_RATE = 16000  # Hz
SAMPLES = 12  # utterances that can be heard
SAMPLES_PER_CLASS = 3
SAMPLE_SECONDS = 5.0  # of each at most: what does not compress at all then fits into 3 MB
PARTS = 30  # rows of a table and bars of a chart; what is over is one row
SPEAKERS = 30
EXAMPLES = 5  # of each kind of problem
UNKNOWN = "unknown"


def write_corpus_report(
    prepared: "Prepared", published: Mapping[str, Mapping[str, int]], part: str, path: str | Path
) -> None:
    """Write the page. It needs nothing but itself, and is the same to the byte for the same corpus.

    Args:
        prepared: With `splits`, `problems` and `facts`. Of the recordings only some are decoded.
        published: Utterances per value of `part` and label as published; {} where nothing was.
        part: The column by which these counts are given, or "split".
        path: HTML file to write, in an existing folder.

    Raises:
        FileNotFoundError: If that folder does not exist.
        ValueError: If the corpus has no row.
    """
    path = Path(path)
    found = survey(prepared.splits, part)
    if not found.ids:
        raise ValueError(f"{path.name} cannot be written: the corpus has no row that could be shown.")
    tally = _tally(found, published)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": "{:,}".format, "duration": _duration, "percent": _percent}
    template = resources.files("emofusion.corpora.report").joinpath("report.html.jinja").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        facts=_facts(prepared.facts),
        headline=_headline(found, prepared.problems),
        counts=_counts(found.labels, *tally, published, part),
        problems=_problems(prepared.problems, prepared.facts.get("root")),
        legend=_legend(found),
        balance=_balance(*tally),
        durations=_distribution(found, found.seconds, "seconds"),
        words=_distribution(found, found.words, "words"),
        dimensions=_dimensions(found),
        speakers=_speakers(found),
        companions=_companions(found),
        samples=_samples(found, prepared.splits),
        sample_seconds=f"{SAMPLE_SECONDS:g}",
    )
    with staged(path.parent) as staging:
        (staging / path.name).write_text(page, encoding="utf-8")


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What was prepared; of the root only its name, for the rest of the path is nobody's business."""
    options = facts.get("options") or {}
    about = describe_corpus(facts["corpus"], **options)
    return {
        "name": facts["corpus"],
        "title": about["title"],
        "demonstration": about["demonstration"],
        "license": about.get("license"),
        "root": PurePath(facts["root"]).name if facts.get("root") else None,
        "options": options,
        "fingerprint": facts.get("fingerprint"),
        "decoded": bool(facts.get("decoded")),
        "embedded": bool(facts.get("embedded")),
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


def _tally(found: Survey, published: Mapping[str, Mapping[str, int]]) -> tuple[list[str], np.ndarray]:
    """The parts of the corpus and their utterances per class `(parts, classes)`; small parts beyond `PARTS` are one."""
    parts = [UNKNOWN if part is None else part for part in found.parts]
    sizes, expected = Counter(parts), published.keys() - {ALL}
    order = sorted(sizes.keys() | expected, key=lambda name: (name not in expected, -sizes[name], name))
    shown, hidden = order[: max(PARTS, len(expected))], order[max(PARTS, len(expected)) :]
    shown.sort(key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))
    names = [*shown, _others(len(hidden))] if hidden else shown
    place = {name: number for number, name in enumerate(shown)} | dict.fromkeys(hidden, len(shown))
    counts = np.zeros((len(names), len(found.labels)), dtype=np.int64)
    np.add.at(counts, ([place[part] for part in parts], found.classes), 1)
    return names, counts


def _counts(
    labels: Sequence[str],
    parts: Sequence[str],
    tally: np.ndarray,
    published: Mapping[str, Mapping[str, int]],
    part: str,
) -> dict[str, Any]:
    """The table of counts: cells with what was found and what was published (None where nothing was)."""
    found = {name: dict(zip(labels, row, strict=True)) for name, row in zip(parts, tally.tolist(), strict=True)}
    compared = compare_counts(found, published)
    columns = list(dict.fromkeys((*labels, *compared[ALL])))
    rows = [{"name": name, "cells": [compared[name][column] for column in columns]} for name in (*parts, ALL)]
    pairs = [(count, wanted) for row in rows for count, wanted in row["cells"] if wanted is not None]
    return {
        "part": part,
        "labels": columns,
        "rows": rows if len(rows) > 2 else rows[:1],
        "compared": len(pairs),
        "different": sum(count != wanted for count, wanted in pairs),
    }


def _problems(problems: Sequence[Mapping], root: str | None) -> list[dict[str, Any]]:
    """Kinds of problems, those of this copy first and the most frequent first."""
    groups = {}
    for problem in problems:
        groups.setdefault((problem["known"], problem["kind"]), []).append(problem)
    return [
        {
            "kind": kind,
            "known": known,
            "count": len(members),
            "dropped": sum(problem["dropped"] for problem in members),
            "examples": [_inside(problem, root) for problem in members[:EXAMPLES]],
        }
        for (known, kind), members in sorted(
            groups.items(), key=lambda group: (group[0][0], -len(group[1]), group[0][1])
        )
    ]


def _inside(problem: Mapping, root: str | None) -> dict[str, Any]:
    """The problem with paths from the root on."""
    shorter = {name: problem[name] and problem[name].replace(f"{root}{os.sep}", "") for name in ("what", "file")}
    return {**problem, **(shorter if root else {})}


def _legend(found: Survey) -> list[dict[str, Any]]:
    colors = [charts.class_color(number) for number in range(len(found.labels))]
    return [
        {"label": label, "color": color, "hatched": hatched}
        for label, (color, hatched) in zip(found.labels, colors, strict=True)
    ]


def _balance(parts: Sequence[str], tally: np.ndarray) -> Markup:
    if len(parts) > 1:
        parts, tally = [*parts, ALL], np.vstack([tally, tally.sum(axis=0)])
    return Markup(charts.draw_balance(parts, tally))


def _distribution(found: Survey, values: np.ndarray, unit: str) -> dict[str, Any] | None:
    """Chart and quantiles per class of what lasts or counts something; None where no utterance has it."""
    there = values >= 0  # NaN is not
    if not there.any():
        return None
    chosen, classes = values[there], found.classes[there]
    edges = charts.bin_edges(chosen)
    rows = [(label, chosen[classes == number]) for number, label in enumerate(found.labels)]
    longest = int(np.flatnonzero(there)[chosen.argmax()])
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


def _dimensions(found: Survey) -> dict[str, Any] | None:
    """Mean and deviation of each dimension per class; the chart where there are valence and arousal."""
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
    both = ~np.isnan(found.vad[:, :2]).any(axis=1)
    chart = Markup(charts.draw_dimensions(found.vad, found.classes, found.labels)) if both.any() else None
    return {"names": DIMENSIONS, "rows": rows, "chart": chart, "count": int(both.sum())}


def _speakers(found: Survey) -> dict[str, Any] | None:
    """Utterances per class and seconds of each speaker, the one who speaks most often first."""
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


def _samples(found: Survey, corpus: DatasetDict) -> list[dict[str, Any]]:
    """Some utterances of each class, with what can be seen and heard of them."""
    frequent = [number for number, _ in Counter(found.classes.tolist()).most_common(SAMPLES)]
    each = min(SAMPLES_PER_CLASS, SAMPLES // len(frequent))
    return [
        _sample(found, place, corpus[found.splits[place]][found.rows[place]])
        for number in sorted(frequent)
        for place in _choose(found, number, each)
    ]


def _choose(found: Survey, number: int, count: int) -> list[int]:
    """Utterances of a class as if by chance, but always the same: heard whole if possible, of several speakers."""

    def rank(place: int) -> tuple[bool, str]:
        whole = 1 <= found.seconds[place] <= SAMPLE_SECONDS
        return not whole, hashlib.sha256(found.ids[place].encode()).hexdigest()

    order = sorted(np.flatnonzero(found.classes == number).tolist(), key=rank)
    first = {}  # of each speaker
    for place in order:
        first.setdefault(found.speakers[place], place)
    chosen = list(first.values())[:count]
    return chosen + [place for place in order if place not in chosen][: count - len(chosen)]


def _sample(found: Survey, place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    color, hatched = charts.class_color(int(found.classes[place]))
    sample = {
        "label": found.labels[found.classes[place]],
        "color": color,
        "hatched": hatched,
        "seconds": float(found.seconds[place]),
        **{name: row[name] for name in ("id", "text", "asr_text", "speaker", "session")},
        "ratings": [(name, value) for name in DIMENSIONS if (value := (row["vad"] or {}).get(name)) is not None],
    }
    try:
        waveform, cut = _hear(row["audio"])
    except (ValueError, OSError):
        return sample | {"recording": None}
    return sample | {
        "recording": {
            "waveform": Markup(charts.draw_waveform(waveform)),
            "flac": base64.b64encode(_flac(waveform)).decode(),
            "seconds": len(waveform) / SAMPLING_RATE,
            "cut": cut,
            "peak": 20 * float(np.log10(max(np.abs(waveform).max(), 1e-6))),  # dB of full scale
        }
    }


def _hear(audio: Mapping[str, Any]) -> tuple[np.ndarray, bool]:
    """The beginning of a recording `(samples,)`, and whether there is more."""
    seconds, most = span_seconds(audio), round(SAMPLE_SECONDS * SAMPLING_RATE)
    cut = seconds is not None and seconds > SAMPLE_SECONDS
    waveform = load_audio(audio, SAMPLING_RATE, end=(audio["start"] or 0.0) + SAMPLE_SECONDS if cut else None)
    return waveform[:most], cut or len(waveform) > most


def _flac(waveform: np.ndarray) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1, 1), SAMPLING_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _others(count: int) -> str:
    return "1 other" if count == 1 else f"{count:,} others"


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _percent(share: float) -> str:
    """A share; what is not all is never called 100 %, nor what is not nothing 0 %."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %".replace(".0 %", " %")
