"""One page by which a reader judges a copy of a corpus: whether it is whole, what is in it, and how it sounds."""

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from datasets import DatasetDict
from markupsafe import Markup

from ..processing.media import load_audio
from . import charts, describe_corpus
from .schema import SPLITS
from .staging import staged
from .survey import COMPANIONS, DIMENSIONS, Survey, span_seconds, survey

if TYPE_CHECKING:
    from .prepare import Prepared

SAMPLING_RATE = 16000  # Hz
SAMPLES = 12  # utterances that can be heard
SAMPLES_PER_CLASS = 3
SAMPLE_SECONDS = 5.0  # of each at most: what does not compress at all then fits into 3 MB
PARTS = 24  # rows of a table and bars of a chart; what is over is one row
SPEAKERS = 24
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
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": "{:,}".format, "duration": _duration, "percent": _percent}
    template = resources.files("emofusion.corpora").joinpath("report.html.jinja").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        facts=_facts(prepared.facts),
        headline=_headline(found, prepared.problems),
        counts=_counts(found, published, part),
        problems=_problems(prepared.problems),
        legend=_legend(found),
        balance=_balance(found),
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
        "problems": len(own),
        "known": len(problems) - len(own),
    }


def _counts(found: Survey, published: Mapping[str, Mapping[str, int]], part: str) -> dict[str, Any]:
    """The table of counts: cells with what was found and what was published (None where nothing was)."""
    labels = [*found.labels, *sorted({label for row in published.values() for label in row} - {*found.labels})]
    counter = Counter(zip(_parts(found), (found.labels[number] for number in found.classes), strict=True))
    names, others = _largest(Counter(_parts(found)) + Counter(dict.fromkeys(published, 1)), PARTS, keep=published)

    def row(name: str, members: Sequence[str]) -> dict[str, Any]:
        cells = [
            _cell(
                sum(counter[member, label] for member in members),
                [published.get(member, {}).get(label) for member in members],
            )
            for label in labels
        ]
        return {"name": name, "cells": [*cells, _sum(cells)]}

    rows = [row(name, [name]) for name in names]
    if others:
        rows.append(row(f"{len(others):,} others", others))
    total = row("all", [*names, *others])
    compared = [cell for each in rows for cell in each["cells"][:-1] if cell["published"] is not None]
    return {
        "part": part,
        "labels": labels,
        "rows": [*rows, total] if len(rows) > 1 else rows,
        "compared": len(compared),
        "different": sum(cell["found"] != cell["published"] for cell in compared),
    }


def _cell(count: int, published: Sequence[int | None]) -> dict[str, int | None]:
    known = [each for each in published if each is not None]
    return {"found": count, "published": sum(known) if known and len(known) == len(published) else None}


def _sum(cells: Sequence[Mapping]) -> dict[str, int | None]:
    """Beside what was published, only if that was published of every class that is there."""
    published = [cell["published"] for cell in cells if cell["found"] or cell["published"] is not None]
    return _cell(sum(cell["found"] for cell in cells), published)


def _problems(problems: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Kinds of problems, those of this copy first and the most frequent first."""
    kinds = Counter((problem["known"], problem["kind"]) for problem in problems)
    return [
        {
            "kind": kind,
            "known": known,
            "count": count,
            "dropped": sum(problem["dropped"] for problem in problems if (problem["known"], problem["kind"]) == (known, kind)),
            "examples": [problem for problem in problems if (problem["known"], problem["kind"]) == (known, kind)][:EXAMPLES],
        }
        for (known, kind), count in sorted(kinds.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    ]


def _legend(found: Survey) -> list[dict[str, Any]]:
    colors = [charts.class_color(number) for number in range(len(found.labels))]
    return [
        {"label": label, "color": color, "hatched": hatched}
        for label, (color, hatched) in zip(found.labels, colors, strict=True)
    ]


def _balance(found: Survey) -> Markup:
    parts = _parts(found)
    names, others = _largest(Counter(parts), PARTS)
    place = {name: number for number, name in enumerate(names)} | dict.fromkeys(others, len(names))
    rows = [*names, f"{len(others):,} others"] if others else names
    counts = np.zeros((len(rows), len(found.labels)), dtype=np.int64)
    np.add.at(counts, ([place[part] for part in parts], found.classes), 1)
    if len(rows) > 1:
        rows, counts = [*rows, "all"], np.vstack([counts, counts.sum(axis=0)])
    return Markup(charts.draw_balance(rows, counts))


def _distribution(found: Survey, values: np.ndarray, unit: str) -> dict[str, Any] | None:
    """Chart and quantiles per class of what lasts or counts something; None where no utterance has it."""
    there = values >= 0  # NaN is not
    if not there.any():
        return None
    chosen, classes = values[there], found.classes[there]
    limit = max(float(np.ceil(np.quantile(chosen, 0.99))), 1.0)
    rows = [(label, chosen[classes == number]) for number, label in enumerate(found.labels)]
    longest = int(np.flatnonzero(there)[chosen.argmax()])
    return {
        "chart": Markup(charts.draw_distribution(chosen, classes, found.labels, unit, limit)),
        "rows": [
            {"label": label, "count": some.size, "sum": some.sum().item(), "quantiles": _quantiles(some)}
            for label, some in [*rows, ("all", chosen)]
            if some.size
        ],
        "limit": limit,
        "beyond": int((chosen > limit).sum()),
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
            cells = [(values.mean().item(), values.std().item(), values.size) if values.size else None for values in ratings]
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
    names = order[:SPEAKERS] + ([f"{len(order) - SPEAKERS:,} others"] if len(order) > SPEAKERS else [])
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
    return [*first.values(), *(place for place in order if place not in {*first.values()})][:count]


def _sample(found: Survey, place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    color, hatched = charts.class_color(int(found.classes[place]))
    sample = {
        "label": found.labels[found.classes[place]],
        "color": color,
        "hatched": hatched,
        "seconds": float(found.seconds[place]),
        **{name: row[name] for name in ("id", "text", "asr_text", "speaker", "session", "vad")},
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


def _parts(found: Survey) -> list[str]:
    return [UNKNOWN if part is None else part for part in found.parts]


def _largest(counts: Counter, limit: int, keep: Mapping | None = None) -> tuple[list[str], list[str]]:
    """The names with the highest counts in their natural order, and those of the rest; what is in `keep` is never of it."""
    order = sorted(counts, key=lambda name: (name not in (keep or {}), -counts[name], name))
    limit = max(limit, len(keep or {}))
    places = {split: number for number, split in enumerate(SPLITS)}
    return sorted(order[:limit], key=lambda name: (places.get(name, len(SPLITS)), name)), sorted(order[limit:])


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
