"""Records of scores on corpora that a model did not learn from (ours)."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from .records import Record


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
