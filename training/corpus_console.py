"""Console output on several corpora: label maps before a training, and scores of each corpus after it (ours)."""

import textwrap

from ..evaluation.corpus_text import explain_other, find_others, list_maps
from ..evaluation.records import Record
from ..evaluation.results import RunResults
from ..evaluation.subsets import subset_of_corpus
from ..evaluation.task import Task

COLUMNS = 80


def format_maps(results: RunResults) -> list[str]:
    """Return lines with the class of every label of every corpus; none if the labels are those of the only corpus."""
    maps = list_maps(results.corpus)
    lines = [
        line
        for name, text in maps.items()
        for line in textwrap.wrap(f"{name}: {text}", COLUMNS, initial_indent="  ", subsequent_indent="    ")
    ]
    return ["classes of the labels", *lines, ""] if lines else []


def format_corpora(results: RunResults, task: Task) -> list[str]:
    """Return lines with the scores of each corpus, and of other corpora, on their test splits; none for one corpus."""
    subsets = {name: results.breakdown.get(subset_of_corpus(name)) for name in results.corpus.corpora}
    lines = [f"{name}: {_format(part, task)}" for name, part in subsets.items() if part is not None]
    for name in find_others(results):
        lines.append(f"{name}, another corpus: {_format(results.metrics[name], task)}")
        lines += textwrap.wrap(explain_other(results, name), COLUMNS)
    return ["", *lines] if lines else []


def _format(scores: Record, task: Task) -> str:
    values = task.values(scores)
    return ", ".join(
        f"{heading} {task.format_cell(name, values[name])}" for name, heading in task.summary.items() if name in values
    )
