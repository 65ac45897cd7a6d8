"""The parts of a card on several corpora: label maps, other corpora, and the table of cross-corpus scores (ours)."""

from dataclasses import replace
from typing import Any

from ..corpora.schema import SPLITS
from ..evaluation.corpus_text import explain_other, find_others
from ..evaluation.cross_corpus import explain_table
from ..evaluation.results import RunResults
from ..evaluation.task import Task
from .markdown import Markdown, format_table


def name_split(split: str) -> str:
    """Return the name of a split in tables: that of another corpus is its test split."""
    return split if split in SPLITS else f"test split of {split}"


def map_table(results: RunResults) -> Markdown:
    """Return the class of every label of every corpus, with the number of utterances that are dropped.

    Empty if every label keeps its name and no utterance is dropped.
    """
    corpus, rows = results.corpus, {}
    if not corpus.dropped and all(
        label == known for classes in corpus.label_map.values() for label, known in classes.items()
    ):
        return Markdown("")
    for name, classes in corpus.label_map.items():
        dropped = corpus.dropped.get(name, {})
        for label, known in classes.items():
            cells = {"class": "none (dropped)" if known is None else known}
            if known is None:
                cells["dropped"] = f"{dropped.get(label, 0):,}"
            rows[f"{name}: {label}"] = cells
    return format_table("Label", {"class": "Class", "dropped": "Dropped utterances"}, rows)


def describe_others(results: RunResults, task: Task) -> list[dict[str, Any]]:
    """Return the other corpora that a model was tested on: name, description, and tables of the task."""
    return [
        {
            "name": name,
            "about": results.corpus.tested.get(name, ""),
            "explanation": explain_other(results, name),
            "tables": [
                (f"{title.removesuffix(':')} ({name}):".replace("in the test split (", "("), text)
                for title, *columns_and_rows in task.detail_tables(replace(results, metrics={"test": scores}))
                if (text := format_table(*columns_and_rows))
            ],
        }
        for name in find_others(results)
        for scores in [results.metrics[name]]
    ]


def cross_tables(results: RunResults, task: Task) -> list[tuple[str, Markdown]]:
    """Return heading and table of each score of a cross-corpus table; empty if the results have none."""
    table = results.cross_corpus
    if table is None:
        return []
    columns = {name: f"on {name}" for name in table.tested}
    tables = []
    for score, heading in task.summary.items():
        rows = {
            name: {
                corpus: cell for corpus in table.tested if (cell := table.cell(name, corpus, score, task.format_score))
            }
            for name in table.trained
        }
        if text := format_table("Trained on", columns, rows):
            tables.append((task.headings.get(score, heading), text))
    return tables


def explain_cross(results: RunResults) -> list[str]:
    """Return sentences on the cross-corpus table; empty if the results have none."""
    return [] if results.cross_corpus is None else explain_table(results.cross_corpus)
