"""Comparison of two systems, each a folder of results and predictions."""

import json
import re

import numpy as np
import pytest
from emofusion.evaluation.comparison import compare_systems
from emofusion.evaluation.comparison_classes import ClassComparison, SystemScores
from emofusion.evaluation.comparison_records import Difference
from emofusion.evaluation.predictions import FILE, Predictions, write_predictions
from emofusion.evaluation.results import (
    CrossValidationResults,
    FoldResults,
    RunResults,
    SpeakerData,
    SpeakerResults,
)
from emofusion.evaluation.statistics import confusion_scores, exchange_test, group_confusions
from emofusion.evaluation.task import load_task
from scipy.stats import binomtest

LABELS = ["angry", "happy", "sad", "calm"]
ROWS, SPEAKERS = 240, 8


def make(folder, right=0.5, seed=0, labels=LABELS, speakers=SPEAKERS, rows=ROWS):
    """Write the folder of a run that is correct with probability `right`; the true classes are always the same."""
    truth = np.random.default_rng(9).integers(4, size=rows)
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.uniform(size=rows) < right, truth, (truth + 1) % 4)
    order = [labels.index(label) for label in LABELS]
    logits = np.zeros((rows, 4))
    logits[:, order] = np.eye(4)[predicted]
    predictions = Predictions(
        ids=[f"u{number}" for number in range(rows)],
        speakers=[f"s{number % speakers}" if speakers else None for number in range(rows)],
        labels=np.array(order)[truth],
        logits=logits,
        scripted=[None] * rows,
        text_seen=[None] * rows,
        temperature=np.ones(rows),
    )
    folder.mkdir(parents=True)
    write_predictions(
        folder / FILE, {"validation": predictions, "test": predictions}, load_task("classification", labels)
    )
    RunResults(labels=labels, modalities=["audio"]).write(folder)
    return truth, predicted


def test_p_values_are_those_of_scipy_and_of_the_exchange_test(tmp_path):
    truth, one = make(tmp_path / "a", 0.5, seed=1)
    _, other = make(tmp_path / "b", 0.6, seed=2)
    found = compare_systems(tmp_path / "a", tmp_path / "b")
    only = int(((one == truth) & (other != truth)).sum()), int(((one != truth) & (other == truth)).sum())
    assert (found.only_first, found.only_second) == only
    assert found.p_utterances == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    assert found.wa.value == pytest.approx((other == truth).mean() - (one == truth).mean())
    groups = [f"s{number % SPEAKERS}" for number in range(ROWS)]
    counts = [group_confusions(truth, np.eye(4)[predicted], groups) for predicted in (one, other)]
    assert found.ua.p_speakers == exchange_test(*counts, lambda sums: confusion_scores(sums)["ua"])
    low, high = found.ua.interval
    assert low < found.ua.value < high
    assert (found.utterances, found.speakers) == (ROWS, SPEAKERS)


def test_a_large_difference_is_significant_and_none_is_not(tmp_path):
    make(tmp_path / "poor", 0.4, seed=1)
    make(tmp_path / "good", 0.9, seed=2)
    make(tmp_path / "same", 0.9, seed=2)
    good, poor, same = (str(tmp_path / name) for name in ("good", "poor", "same"))
    assert compare_systems(poor, good).verdict == f"{good} is significantly better in WA and in UA."
    assert compare_systems(good, poor).verdict == f"{good} is significantly better in WA and in UA."
    alike = compare_systems(good, same)
    assert alike.verdict == f"The difference between {good} and {same} is not significant."
    assert alike.p_utterances == alike.ua.p_speakers == 1
    screen = compare_systems(poor, good).format()
    assert f"{ROWS} utterances by {SPEAKERS} speakers: the first system is better on " in screen
    assert "Few data" not in screen


def test_classes_may_have_another_order(tmp_path):
    make(tmp_path / "a", 0.7, seed=1)
    make(tmp_path / "b", 0.7, seed=1, labels=LABELS[::-1])
    found = compare_systems(tmp_path / "a", tmp_path / "b")
    assert found.only_first == found.only_second == 0
    assert found.ua.value == 0


@pytest.mark.parametrize(
    ("speakers", "words"),
    [
        (5, "but 5 speakers are too few to"),
        (1, "but 1 speaker is too few to"),
        (None, "but the speakers must be known to"),
    ],
)
def test_few_speakers_do_not_generalise(tmp_path, speakers, words):
    make(tmp_path / "a", 0.4, seed=1, speakers=speakers)
    make(tmp_path / "b", 0.9, seed=2, speakers=speakers)
    found = compare_systems(tmp_path / "a", tmp_path / "b")
    assert found.ua.interval is None
    assert "is significant" in found.verdict
    assert words in found.verdict
    assert "95 %" not in found.format()
    if speakers:
        few = f"Few data: among these utterances, angry has \\d+ utterances by {speakers} speakers?( and|,) happy has"
        assert re.search(few, found.format())


def test_runs_with_several_seeds_are_one_system(tmp_path):
    predicted = [make(tmp_path / "many" / f"seed-{seed}", 0.6, seed=seed)[1] for seed in (1, 2)]
    runs = CrossValidationResults(runs=[FoldResults(name=f"seed-{seed}") for seed in (1, 2)])
    RunResults(labels=LABELS, modalities=["audio"], cross_validation=runs).write(tmp_path / "many")
    truth, one = make(tmp_path / "one", 0.6, seed=3)
    found = compare_systems(tmp_path / "many", tmp_path / "one")
    share = np.mean([classes == truth for classes in predicted], axis=0)
    assert found.first.wa == pytest.approx(share.mean())
    assert found.only_first == (share > (one == truth)).sum()
    assert found.only_second == (share < (one == truth)).sum()


def verdict(utterances, wa, ua, signs=(1, 1)):
    systems = [SystemScores(name, 0.5, 0.5) for name in "AB"]
    differences = [Difference(sign, [0.0, 0.1], p) for sign, p in zip(signs, (wa, ua), strict=True)]
    return ClassComparison(*systems, 100, 9, *differences, 10, 20, utterances).verdict


def test_the_verdict_names_the_score():
    assert verdict(0.2, 0.01, 0.2) == "The difference between A and B is not significant."
    assert verdict(0.01, 0.2, 0.2) == "The difference between A and B is not significant."
    assert verdict(0.01, 0.01, 0.01, (1, -1)) == "B is significantly better in WA, and A in UA."
    only = "B is significantly better in UA; the difference in WA is not significant."
    assert verdict(0.2, 0.2, 0.01) == only
    assert verdict(0.01, 0.01, 0.2, (-1, 1)).startswith("A is significantly better in WA;")


def test_other_utterances_labels_or_speakers_are_refused(tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "fewer", rows=200)
    make(tmp_path / "speakers", speakers=7)
    make(tmp_path / "named")
    RunResults(labels=[*LABELS[:3], "bored"], modalities=["audio"]).write(tmp_path / "named")
    make(tmp_path / "turned")
    lines = (tmp_path / "turned" / FILE).read_text().splitlines()
    row = json.loads(lines[-1])
    row["label"] = next(label for label in LABELS if label != row["label"])
    (tmp_path / "turned" / FILE).write_text("\n".join([*lines[:-1], json.dumps(row)]))
    for other, message in (
        ("fewer", "not tested on the same utterances: .*a has 40 that .*fewer lacks"),
        ("speakers", "do not agree on the speaker of"),
        ("turned", f"'u{ROWS - 1}' is "),
    ):
        with pytest.raises(ValueError, match=message):
            compare_systems(tmp_path / "a", tmp_path / other)
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line"):
        compare_systems(tmp_path / "a", tmp_path / "named")
    with pytest.raises(FileNotFoundError, match="name the folder of a finished run"):
        compare_systems(tmp_path / "a", tmp_path / "nowhere")
    network = SpeakerResults(p_target=0.01, data=SpeakerData(speakers=2, training=4, validation=2))
    network.write(tmp_path / "named")
    with pytest.raises(ValueError, match="results of the task speaker_recognition, not of classification"):
        compare_systems(tmp_path / "a", tmp_path / "named")


def test_systems_of_other_labels_are_not_compared(tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "b")
    for name in (FILE, "results.json"):
        path = tmp_path / "b" / name
        path.write_text(path.read_text().replace("calm", "bored"))
    with pytest.raises(ValueError, match="compare systems of the same labels"):
        compare_systems(tmp_path / "a", tmp_path / "b")
