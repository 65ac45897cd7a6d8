"""The table of scores by the corpora of training and test: its explanation and its picture (ours)."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..configuration.plain_text import join_words, show_name
from .cross_corpus_records import CrossCorpusResults
from .pictures import LONGEST_LABEL, LONGEST_TITLE, picture

CROSS_CORPUS = "cross_corpus.png"
CELL = 1.15  # inches of a cell


def explain_table(results: CrossCorpusResults) -> list[str]:
    """Return sentences on what the scores are of."""
    counts = ", ".join(f"{corpus} {count:,}" for corpus, count in results.utterances.items())
    sentences = [f"Utterances of the test splits: {counts}."]
    if len(results.seeds) > 1:
        sentences.append(f"Means and sample standard deviations over {len(results.seeds)} seeds.")
    for classes, names in _group(results.absent).items():
        sentences.append(
            f"The test split{'s' * (len(names) > 1)} of {join_words(names)} {'have' if len(names) > 1 else 'has'} no utterance of "
            f"{join_words(classes)}; means over classes there are over the others."
        )
    for classes, names in _group(results.unlearned).items():
        sentences.append(
            f"The training split{'s' * (len(names) > 1)} of {join_words(names)} {'have' if len(names) > 1 else 'has'} no utterance of "
            f"{join_words(classes)}, which these models have not learned to recognise."
        )
    return sentences


def _group(classes: Mapping[str, list[str]]) -> dict[tuple[str, ...], list[str]]:
    """Return the names that have the same classes, by these classes."""
    groups = {}
    for name, own in classes.items():
        groups.setdefault(tuple(own), []).append(name)
    return groups


def draw_cross_corpus(
    path: str | Path, results: CrossCorpusResults, scores: Mapping[str, str], form: Callable[[str, float], str]
) -> None:
    """Draw a table of training sets (rows) and tested corpora (columns) for each score, coloured by its mean.

    A frame marks the cells of corpora that the training set has.

    Args:
        path: PNG to write.
        results: The scores.
        scores: Heading of each score to draw.
        form: As in `CrossCorpusResults.cell`.
    """
    from matplotlib.patches import Rectangle

    rows, columns = list(results.trained), results.tested
    size = (CELL * len(columns) + 2.2, 0.75 * len(rows) + 1.8)
    with picture(path, figsize=(size[0] * len(scores), size[1])) as figure:
        panels = figure.subplots(1, len(scores), squeeze=False, sharey=True)[0]
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
                if columns[column] in results.trained[rows[row]]:
                    corner = (column - 0.46, row - 0.46)
                    panel.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor="black", linewidth=1.5))
            names = [show_name(name, LONGEST_LABEL) for name in columns]
            panel.set_xticks(range(len(columns)), names, rotation=45, ha="right")
            panel.set_yticks(range(len(rows)), [show_name(name, LONGEST_LABEL) for name in rows])
            panel.set_xlabel("tested on (framed: in the training)")
            panel.set_title(show_name(heading, LONGEST_TITLE))
        panels[0].set_ylabel("trained on")
