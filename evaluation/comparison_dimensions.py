"""Comparison of two systems on the same utterances: the differences of the CCC of each dimension and of their mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..configuration.plain_text import join_words
from .comparison_records import ALPHA, Comparison, Difference, check_same_utterances, describe_size
from .dimension_statistics import group_moments, moment_scores
from .prediction_records import Predictions
from .results import MemberComparison, ScoreDifference
from .sample_size import count_words
from .statistics import MIN_SPEAKERS, exchange_test, interval, resample

MEAN = "mean"


@dataclass(frozen=True, eq=False)
class SystemValues:
    """Predicted values of a system on the test split, over all of its runs.

    Args:
        name: Its folder.
        truth: True values `(dimensions,)` by id of the utterance, NaN where unknown.
        speakers: Speaker by id.
        values: Values `(runs, dimensions)` of the runs that tested the utterance, by id.
    """

    name: str
    truth: dict[str, tuple[float, ...]]
    speakers: dict[str, str | None]
    values: dict[str, np.ndarray]


@dataclass(frozen=True)
class DimensionComparison(Comparison):
    """Comparison of two systems that predict dimensions.

    Args:
        first: Name of the first system.
        second: Name of the second system.
        utterances: Number of utterances.
        speakers: Number of speakers, None if one is unknown.
        ccc: CCC of the first and of the second system by dimension and, for several dimensions, their "mean".
        differences: Differences by the same names.
    """

    first: str
    second: str
    utterances: int
    speakers: int | None
    ccc: dict[str, tuple[float, float]]
    differences: dict[str, Difference]

    @property
    def verdict(self) -> str:
        """A sentence that says whether the differences are significant over speakers."""
        names = {name: "the mean CCC" if name == MEAN else f"the CCC of {name}" for name in self.differences}
        tested = {name: found.p_speakers for name, found in self.differences.items() if found.p_speakers is not None}
        if not tested:
            main = next(iter(self.ccc))
            higher = self.second if self.differences[main].value > 0 else self.first
            reason = "the speakers must be known"
            if self.speakers is not None:
                reason = f"{count_words(self.speakers, 'speaker')} {'is' if self.speakers == 1 else 'are'} too few"
            return (
                f"On these utterances {higher} has the higher {names[main][4:]}, but {reason} to test the difference."
            )
        better = {self.first: [], self.second: []}
        for name, p in tested.items():
            if p < ALPHA:
                better[self.second if self.differences[name].value > 0 else self.first].append(names[name])
        rest = [names[name] for name, p in tested.items() if p >= ALPHA]
        if not any(better.values()):
            return f"The difference between {self.first} and {self.second} is not significant."
        parts = [f"{system} is significantly better in {join_words(won)}" for system, won in better.items() if won]
        parts += [f"the difference in {join_words(rest)} is not significant"] if rest else []
        return f"{'; '.join(parts)}."

    def format(self) -> str:
        """Return the CCC of both systems, their differences and the tests as a table for the console."""
        width = max(12, len(self.first), len(self.second))

        def row(name: str, cells: Sequence[str]) -> str:
            return f"{name:<{width}}" + "".join(f"{cell:>18}" for cell in cells)

        found = list(self.differences.values())
        lines = [row("CCC", list(self.ccc))]
        for place, name in enumerate((self.first, self.second)):
            lines.append(row(name, [f"{scores[place]:z.3f}" for scores in self.ccc.values()]))
        lines.append(row("difference", [f"{one.value:+z.3f}" for one in found]))
        if any(one.interval for one in found):
            lines.append(row("95 %", [" to ".join(f"{edge:+z.3f}" for edge in one.interval or []) for one in found]))
        if any(one.p_speakers is not None for one in found):
            lines.append(
                row("p, speakers", ["" if one.p_speakers is None else f"{one.p_speakers:.3g}" for one in found])
            )
        return "\n".join([*lines, "", f"{describe_size(self.utterances, self.speakers)}."])

    def to_record(self) -> MemberComparison:
        """Return what a late fusion stores of its comparison with a member; see [`Comparison.to_record`]."""
        return MemberComparison(
            ccc={name: ScoreDifference(**vars(found)) for name, found in self.differences.items()},
            verdict=self.verdict,
        )


def compare_dimensions(one: SystemValues, other: SystemValues, names: Sequence[str]) -> DimensionComparison:
    """Compare two systems by the CCC of each dimension, and by its mean.

    Intervals of the differences are over resampled speakers, and the differences are tested over speakers (permutation
    test). The p-values are not corrected for the number of dimensions.

    Args:
        one: The first system.
        other: The second system.
        names: Names of the dimensions.

    Raises:
        ValueError: If the two systems have different test utterances, do not agree on a value or speaker, or no CCC is
            defined.
    """
    check_same_utterances(one, other, lambda values: f"({', '.join(f'{value:g}' for value in values)})")
    speakers = list(one.speakers.values())
    moments = np.stack([_find_moments(system, list(one.truth), one.speakers) for system in (one, other)])
    number = None if None in speakers else moments.shape[1]
    enough = number is not None and number >= MIN_SPEAKERS
    scores, resampled = _measure(moments.sum(axis=1)), _measure(resample(moments)) if enough else None
    places = {name: place for place, name in enumerate((*names, MEAN)) if np.isfinite(scores[:, place]).all()}
    if len(names) == 1:
        places.pop(MEAN, None)
    if not places:
        raise ValueError(
            f"No CCC of {one.name} and {other.name} is defined: it needs two or more utterances whose values differ."
        )

    def subtract(place: int) -> Difference:
        differences = None if resampled is None else resampled[1, :, place] - resampled[0, :, place]
        defined = [] if differences is None else differences[np.isfinite(differences)]
        return Difference(
            value=float(scores[1, place] - scores[0, place]),
            interval=interval(defined) if len(defined) else None,
            p_speakers=exchange_test(*moments, lambda sums: _measure(sums)[..., place]) if enough else None,
        )

    return DimensionComparison(
        one.name,
        other.name,
        utterances=len(one.truth),
        speakers=number,
        ccc={name: (float(scores[0, place]), float(scores[1, place])) for name, place in places.items()},
        differences={name: subtract(place) for name, place in places.items()},
    )


def _measure(moments: np.ndarray) -> np.ndarray:
    """Return the CCC of each dimension, and last their mean `(..., dimensions + 1)`; NaN where undefined.

    A dimension without any known value is left out of the mean.
    """
    ccc = moment_scores(moments)["ccc"]
    known = moments[..., 0] > 0
    with np.errstate(invalid="ignore"):
        mean = np.where(known, ccc, 0.0).sum(axis=-1) / known.sum(axis=-1)
    return np.concatenate([ccc, mean[..., None]], axis=-1)


def _find_moments(system: SystemValues, ids: Sequence[str], speakers: dict[str, str | None]) -> np.ndarray:
    runs = [len(system.values[name]) for name in ids]
    return group_moments(
        np.concatenate([system.values[name] for name in ids]),
        np.repeat([system.truth[name] for name in ids], runs, axis=0),
        np.repeat(np.array([speakers[name] for name in ids], dtype=object), runs).tolist(),
        np.repeat(1 / np.array(runs), runs),
    )


def pool_values(name: str, runs: Sequence[Predictions], system: str | None = None) -> SystemValues:
    """Return the values of several runs, which need not test the same utterances, by utterance.

    Args:
        name: Name of the system.
        runs: Predictions of each run.
        system: The member or combination of a late fusion that predicts; by default the run itself.
    """
    truth, speakers, values = {}, {}, {}
    for run in runs:
        predicted = run.dimensions if system is None else run.dimension_systems[system]
        for place, utterance in enumerate(run.ids):
            true, speaker = tuple(run.dimension_labels[place].tolist()), run.speakers[place]
            known = truth.setdefault(utterance, true)
            same = np.array_equal(known, true, equal_nan=True)
            if not same or speakers.setdefault(utterance, speaker) != speaker:
                raise ValueError(f"{name}: the runs do not agree on the values and speaker of {utterance!r}.")
            values.setdefault(utterance, []).append(predicted[place])
    return SystemValues(name, truth, speakers, {key: np.stack(rows) for key, rows in values.items()})
