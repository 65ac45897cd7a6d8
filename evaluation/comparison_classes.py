"""Comparison of two classifiers on the same utterances: the differences of WA and UA, and whether they are significant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..configuration.plain_text import show_name
from .comparison_records import ALPHA, Comparison, Difference, check_same_utterances, describe_size
from .prediction_records import Predictions
from .results import MemberComparison
from .sample_size import count_words, describe_small_classes
from .statistics import (
    MIN_SPEAKERS,
    confusion_scores,
    count_speakers,
    exchange_test,
    group_confusions,
    interval,
    resample,
    sign_test,
)


@dataclass(frozen=True, eq=False)
class SystemPredictions:
    """Predictions of a system on the test split, over all of its runs.

    Args:
        name: Its folder.
        truth: True class number by id of the utterance.
        speakers: Speaker by id.
        shares: Share of the runs that predict each class `(classes,)`, by id.
    """

    name: str
    truth: dict[str, int]
    speakers: dict[str, str | None]
    shares: dict[str, np.ndarray]


@dataclass(frozen=True)
class SystemScores:
    """Scores of a system on the utterances of a comparison.

    Args:
        name: Its folder.
        wa: Overall accuracy.
        ua: Mean recall of the classes.
    """

    name: str
    wa: float
    ua: float


@dataclass(frozen=True)
class ClassComparison(Comparison):
    """Comparison of two classifiers.

    Args:
        first: The first system.
        second: The second system.
        utterances: Number of utterances.
        speakers: Number of speakers, None if one is unknown.
        wa: Difference of the overall accuracies.
        ua: Difference of the mean recalls.
        only_first: Number of utterances on which the first system is better.
        only_second: Number of utterances on which the second system is better.
        p_utterances: P-value of McNemar's exact test of the difference in WA, over utterances.
        few: Sentence on classes with few utterances or speakers, empty if all have enough.
    """

    first: SystemScores
    second: SystemScores
    utterances: int
    speakers: int | None
    wa: Difference
    ua: Difference
    only_first: int
    only_second: int
    p_utterances: float
    few: str = ""

    @property
    def verdict(self) -> str:
        """A sentence that says whether the differences are significant.

        A difference in WA is significant if the tests over utterances and over speakers both are, one in UA if the test
        over speakers is.
        """
        first, second = self.first.name, self.second.name
        if self.wa.p_speakers is None:
            reason = "the speakers must be known"
            if self.speakers is not None:
                reason = f"{count_words(self.speakers, 'speaker')} {'is' if self.speakers == 1 else 'are'} too few"
            finding = "significant" if self.p_utterances < ALPHA else "not significant"
            return (
                f"On these utterances the difference in WA is {finding} (p = {self.p_utterances:.3g}), but {reason} to "
                "generalise to other speakers."
            )
        significant = {
            "WA": max(self.p_utterances, self.wa.p_speakers) < ALPHA,
            "UA": self.ua.p_speakers < ALPHA,
        }
        better = {
            "WA": second if self.wa.value > 0 else first,
            "UA": second if self.ua.value > 0 else first,
        }
        if not any(significant.values()):
            return f"The difference between {first} and {second} is not significant."
        if all(significant.values()):
            if better["WA"] == better["UA"]:
                return f"{better['WA']} is significantly better in WA and in UA."
            return f"{better['WA']} is significantly better in WA, and {better['UA']} in UA."
        (score,) = (name for name, is_significant in significant.items() if is_significant)
        (rest,) = significant.keys() - {score}
        return f"{better[score]} is significantly better in {score}; the difference in {rest} is not significant."

    def format(self) -> str:
        """Return the scores, their differences and the tests as a table for the console; scores in percent."""
        systems = (self.first, self.second)
        width = max(12, *(len(system.name) for system in systems))

        def row(name: str, format_cell: Callable[[Difference], str]) -> str:
            return f"{name:<{width}}{format_cell(self.wa):>16}{format_cell(self.ua):>16}"

        lines = [f"{'':<{width}}{'WA':>16}{'UA':>16}"]
        for system in systems:
            lines.append(f"{system.name:<{width}}{100 * system.wa:>16.1f}{100 * system.ua:>16.1f}")
        lines.append(row("difference", lambda score: f"{100 * score.value:+z.1f}"))
        if self.wa.interval:
            lines.append(row("95 %", lambda score: " to ".join(f"{100 * edge:+z.1f}" for edge in score.interval)))
            lines.append(row("p, speakers", lambda score: f"{score.p_speakers:.3g}"))
        lines.append(f"{'p, utterances':<{width}}{self.p_utterances:>16.3g}")
        counts = (
            f"{describe_size(self.utterances, self.speakers)}: the first system is better on {self.only_first}, the second "
            f"on {self.only_second}."
        )
        return "\n".join([*lines, "", counts, *([self.few] if self.few else [])])

    def to_record(self) -> MemberComparison:
        """Return what a late fusion stores of its comparison with a member; see [`Comparison.to_record`]."""
        return MemberComparison(
            wa=self.wa.value,
            ua=self.ua.value,
            wa_interval=self.wa.interval,
            ua_interval=self.ua.interval,
            p_utterances=self.p_utterances,
            p_wa=self.wa.p_speakers,
            p_ua=self.ua.p_speakers,
            verdict=self.verdict,
        )


def compare_classes(one: SystemPredictions, other: SystemPredictions, labels: Sequence[str]) -> ClassComparison:
    """Compare two classifiers by their predictions.

    WA is tested over utterances (McNemar's exact test; the sign test for systems of several runs), and WA and UA are
    tested over speakers (permutation test). Intervals of the differences are over resampled speakers.

    Args:
        one: The first system.
        other: The second system.
        labels: Names of the classes.

    Raises:
        ValueError: If the two systems have different test utterances, or do not agree on a label or speaker.
    """
    check_same_utterances(one, other, lambda number: show_name(labels[number]))
    truth = np.array(list(one.truth.values()))
    shares = [np.array([system.shares[name] for name in one.truth]) for system in (one, other)]
    speakers = list(one.speakers.values())
    counts = np.stack([group_confusions(truth, predicted, speakers) for predicted in shares])
    scores = confusion_scores(counts.sum(axis=1))
    number = None if None in speakers else counts.shape[1]
    resampled = None
    if number is not None and number >= MIN_SPEAKERS:
        resampled = confusion_scores(resample(counts))

    def subtract(score: str) -> Difference:
        return Difference(
            value=float(scores[score][1] - scores[score][0]),
            interval=interval(resampled[score][1] - resampled[score][0]) if resampled else None,
            p_speakers=exchange_test(*counts, lambda sums: confusion_scores(sums)[score]) if resampled else None,
        )

    systems = [
        SystemScores(system.name, float(scores["wa"][place]), float(scores["ua"][place]))
        for place, system in enumerate((one, other))
    ]
    test = sign_test(*(predicted[np.arange(len(truth)), truth] for predicted in shares))
    return ClassComparison(
        *systems,
        utterances=len(truth),
        speakers=number,
        wa=subtract("wa"),
        ua=subtract("ua"),
        only_first=test["first"],
        only_second=test["second"],
        p_utterances=test["p"],
        few=_describe_few(one, labels),
    )


def pool_classes(name: str, runs: Sequence[Predictions], system: str | None = None) -> SystemPredictions:
    """Return the predictions of several runs, which need not test the same utterances, by utterance.

    Args:
        name: Name of the system.
        runs: Predictions of each run.
        system: The member or combination of a late fusion that predicts; by default the run itself.
    """
    truth, speakers, counts = {}, {}, {}
    for run in runs:
        predicted = run.predicted if system is None else run.systems[system]
        columns = (run.ids, run.labels.tolist(), run.speakers, np.eye(run.logits.shape[1])[predicted])
        for utterance, label, speaker, predicted in zip(*columns, strict=True):
            if truth.setdefault(utterance, label) != label or speakers.setdefault(utterance, speaker) != speaker:
                raise ValueError(f"{name}: the runs do not agree on the label and speaker of {utterance!r}.")
            counts[utterance] = counts.get(utterance, 0) + predicted
    return SystemPredictions(name, truth, speakers, {key: count / count.sum() for key, count in counts.items()})


def _describe_few(system: SystemPredictions, labels: Sequence[str]) -> str:
    """Return a sentence on classes with few utterances or speakers."""
    classes = list(system.truth.values())
    speakers = count_speakers(classes, [system.speakers[utterance] for utterance in system.truth], len(labels))
    utterances = {label: classes.count(number) for number, label in enumerate(labels)}
    return describe_small_classes(utterances, dict(zip(labels, speakers, strict=True)), "among these utterances")
