"""Two systems on the same utterances: how large is the difference, and is it more than noise?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .predictions import Predictions, read_predictions
from .statistics import (
    LEVEL,
    MIN_SPEAKERS,
    confusion_scores,
    exchange_test,
    group_confusions,
    interval,
    resample,
    sign_test,
)

ALPHA = 1 - LEVEL  # the p below which a difference counts as more than noise


@dataclass(frozen=True, eq=False)
class Answers:
    """What a system said of each utterance of the test part, over all of its runs.

    Args:
        name: of the system, its folder.
        labels: names of the classes.
        truth: per id, the true class number.
        speakers: per id, who speaks.
        shares: per id, how often each class was the answer `(classes,)`, in shares of the runs that test the utterance.
    """

    name: str
    labels: list[str]
    truth: dict[str, int]
    speakers: dict[str, str | None]
    shares: dict[str, np.ndarray]


def compare_systems(first: str | Path, second: str | Path) -> dict:
    """Compare two folders that `train`, `fit_late_fusion` or `cross_validate` made.

    WA is tested over utterances (McNemar's exact test; over several runs of a system, the sign test), and WA and UA
    over speakers (permutation). Intervals are of the difference, over resampled speakers.

    Args:
        first: a folder.
        second: another.

    Returns:
        `systems`, their names and scores; per score, the `difference` (second less first), its `interval`, `p_speakers`
        (both None with fewer than six speakers) and for WA `p_utterances`; numbers of utterances and speakers; and the
        `verdict`, a sentence.

    Raises:
        FileNotFoundError: if a folder lacks results or predictions.
        ValueError: if the two are not about the same utterances and labels.
    """
    one, other = (read_answers(folder) for folder in (first, second))
    _check_same(one, other)
    truth, order = np.array(list(one.truth.values())), [other.labels.index(label) for label in one.labels]
    shares = [
        np.array([one.shares[name] for name in one.truth]),
        np.array([other.shares[name] for name in one.truth])[:, order],
    ]
    speakers = list(one.speakers.values())
    counts = np.stack([group_confusions(truth, part, speakers) for part in shares])
    scores = confusion_scores(counts.sum(axis=1))
    number = None if None in speakers else counts.shape[1]
    comparison = {
        "utterances": len(truth),
        "speakers": number,
        "systems": [
            {"name": system.name, "wa": float(scores["wa"][place]), "ua": float(scores["ua"][place])}
            for place, system in enumerate((one, other))
        ],
    }
    drawn = None
    if number is not None and number >= MIN_SPEAKERS:
        drawn = confusion_scores(resample(counts))
    for score in ("wa", "ua"):
        comparison[score] = {
            "difference": float(scores[score][1] - scores[score][0]),
            "interval": interval(drawn[score][1] - drawn[score][0]) if drawn else None,
            "p_speakers": exchange_test(*counts, score) if drawn else None,
        }
    right = [part[np.arange(len(truth)), truth] for part in shares]
    test = sign_test(*right)
    comparison["wa"] |= {"p_utterances": test["p"], "only_first": test["first"], "only_second": test["second"]}
    return comparison | {"verdict": judge(comparison)}


def read_answers(folder: str | Path) -> Answers:
    """The answers of a system on the test part, from the predictions of its run or of all its runs.

    Raises:
        FileNotFoundError: if the folder lacks results or predictions.
        ValueError: if they are damaged, or contradict each other.
    """
    path = Path(folder, "results.json")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: give a folder that train.py or cross_validate.py finished.")
    results = json.loads(path.read_text("utf-8"))
    if "labels" not in results or "metrics" not in results:
        raise ValueError(f"{path} is not the result of an emotion recogniser.")
    labels = results["labels"]
    runs = [run["name"] for run in results.get("cross_validation", {}).get("runs", [])]
    parts = [read_predictions(part, labels)["test"] for part in ([Path(folder, run) for run in runs] or [folder])]
    return _collect(str(folder), labels, parts)


def _collect(name: str, labels: list[str], parts: list[Predictions]) -> Answers:
    truth, speakers, counts = {}, {}, {}
    for part in parts:
        answers = np.eye(len(labels))[part.answers]
        for utterance, label, speaker, answer in zip(
            part.ids, part.labels.tolist(), part.speakers, answers, strict=True
        ):
            if truth.setdefault(utterance, label) != label or speakers.setdefault(utterance, speaker) != speaker:
                raise ValueError(f"{name}: the runs do not agree on the label and speaker of {utterance!r}.")
            counts[utterance] = counts.get(utterance, 0) + answer
    return Answers(name, labels, truth, speakers, {key: count / count.sum() for key, count in counts.items()})


def _check_same(one: Answers, other: Answers) -> None:
    if set(one.labels) != set(other.labels):
        raise ValueError(
            f"{one.name} knows {', '.join(one.labels)}, and {other.name} {', '.join(other.labels)}: compare systems of the "
            "same labels."
        )
    lacking = [
        f"{name} has {len(lone)} that {where} lacks, as {lone[0]!r}"
        for name, lone, where in (
            (one.name, sorted(one.truth.keys() - other.truth.keys()), other.name),
            (other.name, sorted(other.truth.keys() - one.truth.keys()), one.name),
        )
        if lone
    ]
    if lacking:
        raise ValueError(f"The two were not tested on the same utterances: {'; '.join(lacking)}.")
    for utterance, label in one.truth.items():
        names = one.labels[label], other.labels[other.truth[utterance]]
        if names[0] != names[1]:
            raise ValueError(f"{utterance!r} is {names[0]} for {one.name} and {names[1]} for {other.name}.")
        if one.speakers[utterance] != other.speakers[utterance]:
            raise ValueError(f"{one.name} and {other.name} do not agree on who speaks {utterance!r}.")


def judge(comparison: Mapping) -> str:
    """Whether a difference is more than noise, in a sentence.

    A difference in WA counts if neither the test over utterances nor that over speakers takes it for noise, one in UA
    if the test over speakers does not.
    """
    first, second = (system["name"] for system in comparison["systems"])
    wa, ua = comparison["wa"], comparison["ua"]
    if wa["p_speakers"] is None:
        who = (
            "speakers are not known"
            if comparison["speakers"] is None
            else f"{comparison['speakers']} speakers are too few"
        )
        found = "more" if wa["p_utterances"] < ALPHA else "no more"
        return (
            f"On these utterances alone the difference in WA is {found} than noise (p = {wa['p_utterances']:.3g}), but "
            f"{who} to tell whether that holds for others."
        )
    real = {
        "WA": max(wa["p_utterances"], wa["p_speakers"]) < ALPHA,
        "UA": ua["p_speakers"] < ALPHA,
    }
    better = {
        "WA": second if wa["difference"] > 0 else first,
        "UA": second if ua["difference"] > 0 else first,
    }
    if not any(real.values()):
        return f"The difference between {first} and {second} is no more than noise."
    if all(real.values()):
        if better["WA"] == better["UA"]:
            return f"{better['WA']} is better, in WA and in UA, by more than noise."
        return f"{better['WA']} is better in WA and {better['UA']} in UA, both by more than noise."
    (score,) = (name for name, is_real in real.items() if is_real)
    (rest,) = real.keys() - {score}
    return f"{better[score]} is better in {score} by more than noise; the difference in {rest} is no more than noise."


def format_comparison(comparison: Mapping) -> str:
    """The scores, their differences and the tests, for the console; scores in percent."""
    systems = comparison["systems"]
    width = max(12, *(len(system["name"]) for system in systems))
    lines = [f"{'':<{width}}{'WA':>16}{'UA':>16}"]
    for system in systems:
        lines.append(f"{system['name']:<{width}}{100 * system['wa']:>16.1f}{100 * system['ua']:>16.1f}")
    lines.append(_row("difference", comparison, width, lambda score: f"{100 * score['difference']:+.1f}"))
    if comparison["wa"]["interval"]:
        spans = _row(
            "95 %", comparison, width, lambda score: "{:+.1f} to {:+.1f}".format(*_percent(score["interval"]))
        )
        lines += [spans, _row("p, speakers", comparison, width, lambda score: f"{score['p_speakers']:.3g}")]
    lines.append(f"{'p, utterances':<{width}}{comparison['wa']['p_utterances']:>16.3g}")
    speakers = "unknown" if comparison["speakers"] is None else comparison["speakers"]
    told = f"{comparison['utterances']} utterances, speakers: {speakers}; {comparison['wa']['only_first']} utterances"
    return "\n".join(
        [*lines, "", f"{told} go better with the first, {comparison['wa']['only_second']} with the second."]
    )


def _row(name: str, comparison: Mapping, width: int, tell) -> str:
    return f"{name:<{width}}{tell(comparison['wa']):>16}{tell(comparison['ua']):>16}"


def _percent(values: list[float]) -> list[float]:
    return [100 * value for value in values]
