"""Answers of the pipeline as HTML, for a page. Every text from outside is escaped."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..configuration.plain_text import show_name

NOT_HEARD = "Nothing is heard in the recording (its amplitude is below -80 dB): the scores say nothing about a voice."


def show_error(sentence: str) -> str:
    """Return a message in place of an answer.

    Args:
        sentence: One sentence.
    """
    return f'<p class="ef-error" role="alert">{escape(sentence)}</p>'


def show_hint(sentence: str) -> str:
    """Return what stands in place of an answer before there is one.

    Args:
        sentence: One sentence.
    """
    return f'<p class="ef-hint">{escape(sentence)}</p>'


def show_answer(answer: Mapping[str, Any], transcribed: bool = False) -> str:
    """Return the answer for one utterance: the most probable class, a bar for each class and dimension, the transcript.

    Args:
        answer: Answer of the pipeline with `return_text`: `scores`, where they apply `dimensions`, and `text`.
        transcribed: Whether a recogniser made the transcript.
    """
    scores, dimensions = split_entries(answer)
    parts = [_headline(scores[0])] if scores else []
    parts += [f'<p class="ef-note">{NOT_HEARD}</p>'] if _is_silent(answer) else []
    parts += [_bars("Probability of each emotion", scores)] if scores else []
    parts += [_bars("Value of each dimension", dimensions)] if dimensions else []
    if answer.get("text"):
        by = " by the speech recogniser" if transcribed else ""
        parts.append(f'<p class="ef-text"><span>Transcript{by}:</span> {escape(answer["text"])}</p>')
    return f'<section class="ef-answer" aria-label="Answer">{"".join(parts)}</section>'


def show_windows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the answer for a long recording: a row for each window, in the order of time.

    Args:
        rows: Rows of the pipeline: `start` and `end` in seconds, `scores`, and where they apply `dimensions` and `text`.
    """
    scores, dimensions = split_entries(rows[0])
    heads = ["Time", *(["Most probable"] if scores else []), *(show_name(entry["label"]) for entry in dimensions)]
    heads += ["Transcript"] if any(row.get("text") for row in rows) else []
    body = "".join(f"<tr>{_window_cells(row, 'Transcript' in heads)}</tr>" for row in rows)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return (
        '<section class="ef-answer" aria-label="Answer">'
        f'<p class="ef-headline"><strong>{len(rows)} windows</strong><span>{_clock(rows[-1]["end"])} min in all</span></p>'
        '<div class="ef-scroll" tabindex="0" role="region" aria-label="Answer for each window">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def show_picture(picture: bytes, description: str) -> str:
    """Return a picture that scrolls sideways where the page is narrow.

    Args:
        picture: A PNG.
        description: What it shows, for those who cannot see it.
    """
    data = base64.b64encode(picture).decode()
    return (
        f'<div class="ef-picture" tabindex="0" role="region" aria-label="{escape(description)}">'
        f'<img alt="{escape(description)}" src="data:image/png;base64,{data}"></div>'
    )


def split_entries(answer: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the entries of an answer as classes, the most probable first, and dimensions.

    Args:
        answer: `scores`, and where they apply `dimensions`.
    """
    entries = [*answer["scores"], *(answer.get("dimensions") or ())]
    classes = sorted((entry for entry in entries if not entry.get("scale")), key=lambda entry: -entry["score"])
    return classes, [entry for entry in entries if entry.get("scale")]


def _headline(entry: Mapping[str, Any]) -> str:
    name = escape(show_name(entry["label"]))
    return f'<p class="ef-headline"><strong>{name}</strong><span>most probable, {_percent(entry["score"])}</span></p>'


def _bars(title: str, entries: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(f'<li class="{"ef-first" if entry is entries[0] else ""}">{_bar(entry)}</li>' for entry in entries)
    return f'<h3>{title}</h3><ul class="ef-bars" aria-label="{title}">{rows}</ul>'


def _bar(entry: Mapping[str, Any]) -> str:
    """Return the name of an entry, its bar and its number."""
    share, number = entry["score"], _percent(entry["score"])
    if scale := entry.get("scale"):
        lowest, highest = scale
        share, number = (share - lowest) / (highest - lowest), f"{share:.2f} of {lowest:g} to {highest:g}"
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        f'<span class="ef-name">{escape(show_name(entry["label"]))}</span>'
        f'<span class="ef-track" aria-hidden="true"><span style="width:{width:.1f}%"></span></span>'
        f'<span class="ef-number">{number}</span>'
    )


def _window_cells(row: Mapping[str, Any], with_text: bool) -> str:
    scores, dimensions = split_entries(row)
    cells = [f'<th scope="row">{_clock(row["start"])}&ndash;{_clock(row["end"])}</th>']
    if scores:
        silent = _is_silent(row)
        cells.append(f"<td>{'nothing is heard' if silent else _bar(scores[0])}</td>")
    cells += [f"<td>{entry['score']:.2f}</td>" for entry in dimensions]
    cells += [f"<td>{escape(row.get('text') or '')}</td>"] if with_text else []
    return "".join(cells)


def _is_silent(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("silent") or answer["scores"][0].get("silent"))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds: `1:05`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
