"""Comparison of two systems on the same utterances: the difference of their scores, and whether it is significant."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..configuration.plain_text import show_name, show_value
from .predictions import Predictions, read_predictions
from .results import FILE, MemberComparison, RunResults
from .sample_size import count_words, describe_small_classes
from .statistics import (
    LEVEL,
    MIN_SPEAKERS,
    confusion_scores,
    count_speakers,
    exchange_test,
    group_confusions,
    interval,
    resample,
    sign_test,
)

ALPHA = 1 - LEVEL  # level of significance


@dataclass(frozen=True, eq=False)
class SystemPredictions:
    """Predictions of a system on the test split, over all of its runs.

    Args:
        name: Its folder.
        labels: Names of the classes.
        truth: True class number by id of the utterance.
        speakers: Speaker by id.
        shares: Share of the runs that predict each class `(classes,)`, by id.
    """

    name: str
    labels: list[str]
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
class Difference:
    """Difference of a score between two systems.

    Args:
        value: Score of the second system minus that of the first.
        interval: 95 % interval `[low, high]` over resampled speakers; None with fewer than six speakers.
        p_speakers: P-value of the permutation test over speakers; None with fewer than six speakers.
    """

    value: float
    interval: list[float] | None
    p_speakers: float | None


@dataclass(frozen=True)
class Comparison:
    """Comparison of two systems.

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


def compare_systems(first: str | Path, second: str | Path) -> Comparison:
    """Compare two systems, each the folder of a run, of a late fusion or of a cross-validation.

    WA is tested over utterances (McNemar's exact test; the sign test for systems of several runs), and WA and UA are
    tested over speakers (permutation test). Intervals of the differences are over resampled speakers.

    Args:
        first: Folder of the first system.
        second: Folder of the second system.

    Raises:
        FileNotFoundError: If a folder has no results or predictions.
        ValueError: If the two systems have different test utterances or labels.
    """
    return compare(*(read_system(folder) for folder in (first, second)))


def compare(one: SystemPredictions, other: SystemPredictions) -> Comparison:
    """Compare two systems by their predictions; see `compare_systems`.

    Raises:
        ValueError: If the two systems have different test utterances or labels.
    """
    _check_same(one, other)
    truth, order = np.array(list(one.truth.values())), [other.labels.index(label) for label in one.labels]
    shares = [
        np.array([one.shares[name] for name in one.truth]),
        np.array([other.shares[name] for name in one.truth])[:, order],
    ]
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
            p_speakers=exchange_test(*counts, score) if resampled else None,
        )

    systems = [
        SystemScores(system.name, float(scores["wa"][place]), float(scores["ua"][place]))
        for place, system in enumerate((one, other))
    ]
    test = sign_test(*(predicted[np.arange(len(truth)), truth] for predicted in shares))
    return Comparison(
        *systems,
        utterances=len(truth),
        speakers=number,
        wa=subtract("wa"),
        ua=subtract("ua"),
        only_first=test["first"],
        only_second=test["second"],
        p_utterances=test["p"],
        few=_describe_few(one),
    )


def read_system(folder: str | Path) -> SystemPredictions:
    """Read the test predictions of a run, or of all runs of a cross-validation.

    Raises:
        FileNotFoundError: If the folder has no results or predictions.
        ValueError: If they are damaged or contradict each other.
    """
    results = RunResults.read(folder)
    runs = find_runs(folder, results)
    return pool_runs(str(folder), results.labels, [read_predictions(run, results.labels)["test"] for run in runs])


def find_runs(folder: str | Path, results: RunResults) -> list[Path]:
    """Return the folders of the runs of a cross-validation; of another run its own.

    Args:
        folder: The folder of the results.
        results: The results.

    Raises:
        ValueError: If the results name no run, or one outside the folder.
    """
    if results.cross_validation is None:
        return [Path(folder)]
    names = [run.name for run in results.cross_validation.runs]
    if outside := [name for name in names if not name or Path(name).name != name]:
        raise ValueError(
            f"{Path(folder, FILE)}: {show_value(outside[0])} is no folder beside the results of its runs."
        )
    if not names:
        raise ValueError(f"{Path(folder, FILE)} names no run of the cross-validation: repeat it.")
    return [Path(folder, name) for name in names]


def compare_with_members(
    labels: list[str], runs: list[Predictions], members: Iterable[str], combination: str
) -> dict[str, MemberComparison]:
    """Compare a late fusion with each of its members.

    Args:
        labels: Names of the classes.
        runs: Predictions of the fusion on the test split of each run, with those of its members in `systems`.
        members: Names of the members.
        combination: Name of the fusion in the verdicts.
    """
    fusion = pool_runs(combination, labels, runs)
    return {name: _to_record(compare(pool_runs(name, labels, runs, name), fusion)) for name in members}


def _to_record(found: Comparison) -> MemberComparison:
    return MemberComparison(
        wa=found.wa.value,
        ua=found.ua.value,
        wa_interval=found.wa.interval,
        ua_interval=found.ua.interval,
        p_utterances=found.p_utterances,
        p_wa=found.wa.p_speakers,
        p_ua=found.ua.p_speakers,
        verdict=found.verdict,
    )


def pool_runs(name: str, labels: list[str], runs: list[Predictions], system: str | None = None) -> SystemPredictions:
    """Return the predictions of several runs, which need not test the same utterances, by utterance.

    Args:
        name: Name of the system.
        labels: Names of the classes.
        runs: Predictions of each run.
        system: The member or combination of a late fusion that predicts; by default the run itself.
    """
    truth, speakers, counts = {}, {}, {}
    for run in runs:
        predicted = run.predicted if system is None else run.systems[system]
        columns = (run.ids, run.labels.tolist(), run.speakers, np.eye(len(labels))[predicted])
        for utterance, label, speaker, predicted in zip(*columns, strict=True):
            if truth.setdefault(utterance, label) != label or speakers.setdefault(utterance, speaker) != speaker:
                raise ValueError(f"{name}: the runs do not agree on the label and speaker of {utterance!r}.")
            counts[utterance] = counts.get(utterance, 0) + predicted
    return SystemPredictions(
        name, labels, truth, speakers, {key: count / count.sum() for key, count in counts.items()}
    )


def _describe_few(system: SystemPredictions) -> str:
    """Return a sentence on classes with few utterances or speakers."""
    classes, labels = list(system.truth.values()), system.labels
    speakers = count_speakers(classes, [system.speakers[utterance] for utterance in system.truth], len(labels))
    utterances = {label: classes.count(number) for number, label in enumerate(labels)}
    return describe_small_classes(utterances, dict(zip(labels, speakers, strict=True)), "among these utterances")


def _check_same(one: SystemPredictions, other: SystemPredictions) -> None:
    if set(one.labels) != set(other.labels):
        raise ValueError(
            f"{one.name} has the labels {_list(one.labels)}, and {other.name} {_list(other.labels)}: compare systems of the "
            "same labels."
        )
    lacking = [
        f"{name} has {len(extra)} that {where} lacks, as {extra[0]!r}"
        for name, extra, where in (
            (one.name, sorted(one.truth.keys() - other.truth.keys()), other.name),
            (other.name, sorted(other.truth.keys() - one.truth.keys()), one.name),
        )
        if extra
    ]
    if lacking:
        raise ValueError(f"The two were not tested on the same utterances: {'; '.join(lacking)}.")
    for utterance, label in one.truth.items():
        names = one.labels[label], other.labels[other.truth[utterance]]
        if names[0] != names[1]:
            first, second = map(show_name, names)
            raise ValueError(f"{utterance!r} is {first} for {one.name} and {second} for {other.name}.")
        if one.speakers[utterance] != other.speakers[utterance]:
            raise ValueError(f"{one.name} and {other.name} do not agree on the speaker of {utterance!r}.")


def _list(labels: list[str]) -> str:
    return ", ".join(map(show_name, labels))


def format_comparison(comparison: Comparison) -> str:
    """Return the scores, their differences and the tests as a table for the console; scores in percent."""
    systems = (comparison.first, comparison.second)
    width = max(12, *(len(system.name) for system in systems))

    def row(name: str, format_cell: Callable[[Difference], str]) -> str:
        return f"{name:<{width}}{format_cell(comparison.wa):>16}{format_cell(comparison.ua):>16}"

    lines = [f"{'':<{width}}{'WA':>16}{'UA':>16}"]
    for system in systems:
        lines.append(f"{system.name:<{width}}{100 * system.wa:>16.1f}{100 * system.ua:>16.1f}")
    lines.append(row("difference", lambda score: f"{100 * score.value:+.1f}"))
    if comparison.wa.interval:
        lines.append(row("95 %", lambda score: " to ".join(f"{100 * edge:+.1f}" for edge in score.interval)))
        lines.append(row("p, speakers", lambda score: f"{score.p_speakers:.3g}"))
    lines.append(f"{'p, utterances':<{width}}{comparison.p_utterances:>16.3g}")
    speakers = "unknown speakers" if comparison.speakers is None else count_words(comparison.speakers, "speaker")
    counts = (
        f"{count_words(comparison.utterances, 'utterance')} by {speakers}: the first system is better on "
        f"{comparison.only_first}, the second on {comparison.only_second}."
    )
    return "\n".join([*lines, "", counts, *([comparison.few] if comparison.few else [])])
