"""Scores of models on corpora that they did not learn from: the content of the table, and its picture (ours)."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..configuration.plain_text import join_words, show_name
from .pictures import LONGEST_LABEL, LONGEST_TITLE, picture
from .records import Record

CROSS_CORPUS = "cross_corpus.png"
ALL, WITHOUT = "all", "all but "  # names of training sets: all corpora, and all but one
CELL = 1.15  # inches of a cell


@dataclass(kw_only=True)
class CrossCorpusResults(Record):
    """Scores of models by the corpora that they learned from and the corpus that they are tested on.

    Args:
        trained: Corpora of each training set, by its name.
        tested: Names of the corpora whose test splits are predicted.
        utterances: Number of utterances in each of these splits.
        absent: Classes that have no utterance there, by corpus; UA is the mean recall of the others.
        unlearned: Classes without an utterance in a training set, by its name; their recall is about 0.
        seeds: The seeds.
        runs: Names of the folders of the runs, one per training set and seed.
        scores: By training set, tested corpus and name of the score, its value with each seed.
    """

    trained: dict[str, list[str]] = field(default_factory=dict)
    tested: list[str] = field(default_factory=list)
    utterances: dict[str, int] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)
    unlearned: dict[str, list[str]] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)

    def cell(self, trained: str, tested: str, score: str, form: Callable[[str, float], str]) -> str:
        """Return the mean of a score over the seeds as text, with its standard deviation; empty if it is unknown.

        Args:
            trained: Name of the training set.
            tested: Name of the tested corpus.
            score: Name of the score.
            form: Function of the name and a value that returns its text.
        """
        values = self.scores.get(trained, {}).get(tested, {}).get(score, [])
        if not values:
            return ""
        mean = form(score, statistics.fmean(values))
        return mean if len(values) == 1 else f"{mean} ± {form(score, statistics.stdev(values)).removesuffix(' %')}"


def explain_table(results: CrossCorpusResults) -> list[str]:
    """Return sentences on what the scores are of."""
    counts = ", ".join(f"{corpus} {count:,}" for corpus, count in results.utterances.items())
    sentences = [f"Utterances of the test splits: {counts}."]
    if len(results.seeds) > 1:
        sentences.append(f"Means and sample standard deviations over {len(results.seeds)} seeds.")
    for corpus, classes in results.absent.items():
        sentences.append(
            f"The test split of {corpus} has no utterance of {join_words(classes)}; means over classes there are over the others."
        )
    for name, classes in results.unlearned.items():
        sentences.append(
            f"The training split of {name} has no utterance of {join_words(classes)}, which these models cannot recognise: their "
            "recall elsewhere is about 0."
        )
    return sentences


def draw_cross_corpus(
    path: str | Path, results: CrossCorpusResults, scores: Mapping[str, str], form: Callable[[str, float], str]
) -> None:
    """Draw a table of training sets (rows) and tested corpora (columns) for each score, coloured by its mean.

    Args:
        path: PNG to write.
        results: The scores.
        scores: Heading of each score to draw.
        form: As in `CrossCorpusResults.cell`.
    """
    rows, columns = list(results.trained), results.tested
    size = (CELL * len(columns) + 2.2, 0.75 * len(rows) + 1.8)
    with picture(path, figsize=(size[0] * len(scores), size[1])) as figure:
        panels = figure.subplots(1, len(scores), squeeze=False)[0]
        for panel, (score, heading) in zip(panels, scores.items(), strict=True):
            means = np.array(
                [
                    [np.mean(results.scores[row].get(column, {}).get(score) or [np.nan]) for column in columns]
                    for row in rows
                ]
            )
            panel.imshow(means, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            for row, column in np.ndindex(means.shape):
                text = results.cell(rows[row], columns[column], score, form).replace(" ± ", "\n± ")
                color = "white" if means[row, column] > 0.5 else "black"
                panel.text(column, row, text, ha="center", va="center", fontsize=9, color=color)
            names = [show_name(name, LONGEST_LABEL) for name in columns]
            panel.set_xticks(range(len(columns)), names, rotation=45, ha="right")
            panel.set_yticks(range(len(rows)), [show_name(name, LONGEST_LABEL) for name in rows])
            panel.set(xlabel="tested on", ylabel="trained on")
            panel.set_title(show_name(heading, LONGEST_TITLE))
