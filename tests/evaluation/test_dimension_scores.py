"""Scores of dimensions on splits and subsets, their intervals, and comparisons, against slow references."""

import itertools
import json

import numpy as np
import pytest
from emofusion.evaluation.comparison import compare_systems
from emofusion.evaluation.dimension_scores import find_intervals
from emofusion.evaluation.dimension_statistics import group_moments, moment_scores
from emofusion.evaluation.prediction_records import pool, select_known
from emofusion.evaluation.predictions import FILE, write_predictions
from emofusion.evaluation.results import CrossValidationResults, FoldResults, MemberComparison, RunResults
from emofusion.evaluation.statistics import RESAMPLES
from emofusion.evaluation.task import load_task
from emofusion.metrics.dimension_metrics.dimension_scores import compute_scores
from testing_predictions import BOTH, CLASSES, LABELS, NAMES, SCALE, VALUES, make, make_both, make_values


def ccc_of(predicted, truth, place):
    return compute_scores(predicted, truth)["dimensions"][str(place)]["ccc"]


def test_sums_of_speakers_give_the_scores_of_the_metric():
    found = make_values(90, unknown=0.3)
    moments = group_moments(found.dimensions, found.dimension_labels, found.speakers)
    assert moments.shape == (7, 3, 7)
    scores = moment_scores(moments.sum(axis=0))
    expected = compute_scores(found.dimensions, found.dimension_labels)["dimensions"]
    for key, values in scores.items():
        assert values.tolist() == pytest.approx([expected[str(place)][key] for place in range(3)], abs=1e-9)
    part = [number for number, speaker in enumerate(found.speakers) if speaker in ("s0", "s3")]
    scores = moment_scores(moments[[0, 3]].sum(axis=0))["ccc"]
    assert scores[1] == pytest.approx(ccc_of(found.dimensions[part], found.dimension_labels[part], 1), abs=1e-9)


@pytest.mark.parametrize(
    ("predicted", "truth"),
    [([3.1] * 4, [1.0, 2, 3, 4]), ([1.0, 2, 3, 4], [0.1] * 4), ([0.1] * 4, [0.1] * 4), ([1.0] * 4, [np.nan] * 4)],
)
def test_constant_or_unknown_values_are_scored_as_by_the_metric(predicted, truth):
    moments = group_moments(np.array([predicted]).T, np.array([truth]).T, ["a", "b", "a", "b"])
    scores = moment_scores(moments.sum(axis=0))
    for key, value in compute_scores(predicted, truth)["dimensions"]["0"].items():
        if key in scores:
            assert scores[key][0] == pytest.approx(np.nan if value is None else value, nan_ok=True, abs=1e-9), key


def test_intervals_are_over_resampled_speakers():
    found = make_values(70, unknown=0.2)
    intervals = find_intervals(found, NAMES)
    assert (intervals.speakers, intervals.resamples) == (7, RESAMPLES)
    drawn = np.random.default_rng(0).multinomial(7, np.full(7, 1 / 7), size=RESAMPLES)
    rows = [np.flatnonzero([speaker == name for speaker in found.speakers]) for name in dict.fromkeys(found.speakers)]
    slow = []
    for times in drawn[:400]:
        sample = np.concatenate([np.tile(of_speaker, count) for of_speaker, count in zip(rows, times, strict=True)])
        slow.append(ccc_of(found.dimensions[sample], found.dimension_labels[sample], 0))
    moments = group_moments(found.dimensions, found.dimension_labels, found.speakers)
    fast = moment_scores(np.einsum("rg,gds->rds", drawn[:400].astype(float), moments))["ccc"][:, 0]
    assert fast.tolist() == pytest.approx(slow, abs=1e-9)
    low, high = intervals.dimensions["arousal"].ccc
    assert low < ccc_of(found.dimensions, found.dimension_labels, 0) < high
    assert intervals.ccc[0] < intervals.ccc[1]
    assert find_intervals(make_values(70, speakers=["a", None] * 35), NAMES) is None
    assert find_intervals(make_values(70, speakers=list("abcde") * 14), NAMES) is None


@pytest.mark.parametrize(
    ("task", "make"), [(VALUES, make_values), (BOTH, make_both)], ids=["dimensions", "multi_task"]
)
def test_splits_and_subsets_are_scored(task, make):
    splits = {"validation": make(40, seed=1), "test": make(60, seed=2)}
    found = task.measure(splits)
    test = found["metrics"]["test"]
    assert task.values(test)["ccc_valence"] == test.dimensions["valence"].ccc
    assert set(found["breakdown"]) == {"scripted", "improvised", "text seen in training", "text not seen"}
    scripted = splits["test"].select(np.array([value is True for value in splits["test"].scripted]))
    alone = task.measure({"test": scripted})["metrics"]["test"]
    assert found["breakdown"]["scripted"].ccc == alone.ccc
    assert found["breakdown"]["scripted"].utterances == 20
    assert found["breakdown"]["scripted"].ua == alone.ua
    assert found["intervals"].dimensions["dominance"].rmse is not None
    assert (found["intervals"].ua is None) == (task is VALUES)
    results = RunResults(**task.result_fields(), labels=list(task.labels), modalities=["text"], **found)
    assert RunResults.from_dict(json.loads(json.dumps(results.to_dict()))) == results


def write(folder, runs, task=VALUES):
    """Write the folder of a run or, for several predictions, of a cross-validation."""
    folder.mkdir(parents=True)
    fields = {**task.result_fields(), "labels": list(task.labels), "modalities": ["audio"]}
    results = RunResults(**fields)
    if len(runs) > 1:
        names = [f"run-{number}" for number in range(len(runs))]
        results.cross_validation = CrossValidationResults(runs=[FoldResults(name=name) for name in names])
        for name, one in zip(names, runs, strict=True):
            write(folder / name, [one], task)
    else:
        write_predictions(folder / FILE, {"validation": runs[0], "test": runs[0]}, task)
    results.write(folder)
    return str(folder)


def test_a_comparison_is_that_of_a_loop(tmp_path):
    one, other = make_values(60, seed=1, noise=1.5), make_values(60, seed=2, noise=1.2)
    found = compare_systems(write(tmp_path / "a", [one]), write(tmp_path / "b", [other]))
    assert list(found.ccc) == [*NAMES, "mean"]
    speakers = sorted(set(one.speakers))

    def differences(swapped):
        rows = np.isin(one.speakers, swapped)[:, None]
        systems = np.where(rows, other.dimensions, one.dimensions), np.where(rows, one.dimensions, other.dimensions)
        scores = [compute_scores(values, one.dimension_labels, NAMES) for values in systems]
        valence = [found["dimensions"]["valence"]["ccc"] for found in scores]
        return valence[1] - valence[0], scores[1]["ccc"] - scores[0]["ccc"]

    subsets = itertools.chain.from_iterable(itertools.combinations(speakers, size) for size in range(8))
    every = np.array([differences(swapped) for swapped in subsets])
    for place, name in enumerate(("valence", "mean")):
        observed, tested = every[0, place], found.differences[name]
        assert tested.value == pytest.approx(observed, abs=1e-9)
        assert tested.p_speakers == pytest.approx((np.abs(every[:, place]) >= abs(observed) - 1e-12).mean())
        assert tested.interval[0] < observed < tested.interval[1]


def test_the_verdict_names_what_is_significantly_better(tmp_path):
    poor, good = make_values(200, seed=1, noise=3.0), make_values(200, seed=2, noise=0.3)
    mixed = make_values(200, seed=3, dimensions=np.stack([good.dimensions[:, 0], *poor.dimensions.T[1:]], axis=1))
    a, b, c = (write(tmp_path / name, [one]) for name, one in zip("abc", (poor, good, mixed), strict=True))
    found = compare_systems(a, b)
    everything = "the CCC of arousal, the CCC of valence, the CCC of dominance and the mean CCC"
    assert found.verdict == f"{b} is significantly better in {everything}."
    assert compare_systems(a, a).verdict == f"The difference between {a} and {a} is not significant."
    partly = compare_systems(a, c).verdict
    assert partly.startswith(
        f"{c} is significantly better in the CCC of arousal and the mean CCC; the difference in the CCC"
    )
    screen = found.format()
    assert "200 utterances by 7 speakers." in screen
    assert screen.splitlines()[0].split() == ["CCC", *NAMES, "mean"]
    record = MemberComparison.from_dict(json.loads(json.dumps(found.to_record().to_dict())))
    assert record.ccc["mean"].p_speakers == found.differences["mean"].p_speakers
    assert record.wa is None


@pytest.mark.parametrize(
    ("speakers", "reason"), [(["a", "b"] * 20, "2 speakers are too few"), ([None] * 40, "must be known")]
)
def test_few_or_unknown_speakers_are_not_tested(tmp_path, speakers, reason):
    runs = [make_values(40, seed=seed, noise=noise, speakers=speakers) for seed, noise in ((1, 3), (2, 0.5))]
    found = compare_systems(*(write(tmp_path / name, [run]) for name, run in zip("ab", runs, strict=True)))
    assert f"On these utterances {tmp_path / 'b'} has the higher CCC of arousal, but" in found.verdict
    assert reason in found.verdict
    assert "95 %" not in found.format()


def test_runs_of_a_cross_validation_count_each_utterance_once(tmp_path):
    one, other = make_values(40, seed=1), make_values(40, seed=2)
    write(tmp_path / "several", [one, other])
    write(tmp_path / "single", [other])
    found = compare_systems(tmp_path / "several", tmp_path / "single")
    assert found.utterances == 40
    both = pool([one, other])
    expected = ccc_of(both.dimensions, both.dimension_labels, 0)
    assert found.ccc["arousal"][0] == pytest.approx(expected, abs=1e-9)


def test_classes_and_dimensions_are_compared_together(tmp_path):
    one, other = make_both(60, seed=1, noise=3.0), make_both(60, seed=2, noise=0.2)
    found = compare_systems(write(tmp_path / "a", [one], BOTH), write(tmp_path / "b", [other], BOTH))
    assert found.classes.utterances == 48
    assert found.dimensions.utterances == 60
    assert found.verdict.startswith("Classes: ")
    assert "Dimensions: " in found.verdict
    assert found.to_record().ccc["mean"].value > 0
    assert "WA" in found.format()
    assert "dominance" in found.format()


def test_a_system_of_both_is_compared_in_what_the_other_has(tmp_path):
    both, values = make_both(60, seed=1), make_values(60, seed=2, unknown=0.1)
    joint, alone = write(tmp_path / "both", [both], BOTH), write(tmp_path / "values", [values])
    for systems, sign in (((joint, alone), 1), ((alone, joint), -1)):
        found = compare_systems(*systems)
        assert found.utterances == int(np.isfinite(values.dimension_labels).any(axis=1).sum())
        expected = [ccc_of(one.dimensions, one.dimension_labels, 0) for one in (both, values)]
        assert found.differences["arousal"].value == pytest.approx(sign * (expected[1] - expected[0]), abs=1e-9)
    known = select_known(both, CLASSES)
    assert (len(known.ids), known.dimensions) == (48, None)
    classes = write(tmp_path / "classes", [known], load_task("classification", LABELS))
    found = compare_systems(joint, classes)
    assert (found.utterances, found.wa.value, found.ua.value) == (48, 0, 0)


def test_systems_of_other_tasks_scales_or_values_are_refused(tmp_path):
    found = make_values(20)
    a = write(tmp_path / "a", [found])
    scale = load_task("dimensions", NAMES, scale=(1, 5))
    fewer = load_task("dimensions", NAMES[:2], scale=SCALE)
    two = make_values(20, dimensions=found.dimensions[:, :2], dimension_labels=found.dimension_labels[:, :2])
    unlike = make_values(20, truth_seed=4)
    for name, other, message in (
        (
            "classes",
            write(tmp_path / "classes", [make(20)], CLASSES),
            "has the task dimensions, and .* classification",
        ),
        (
            "scale",
            write(tmp_path / "scale", [found], scale),
            "has values from 1 to 7, and .* from 1 to 5: compare systems of",
        ),
        (
            "fewer",
            write(tmp_path / "fewer", [two], fewer),
            "has the dimensions arousal, valence, dominance, and .* same dimensions",
        ),
        ("unlike", write(tmp_path / "unlike", [unlike]), r"'u0' is \(.*\) for .* and \(.*\) for"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_systems(a, other)
        assert name in other
    constant = make_values(20, dimension_labels=np.full((20, 3), 2.0), dimensions=np.full((20, 3), 2.0))
    flat = write(tmp_path / "flat", [constant])
    with pytest.raises(ValueError, match=r"No CCC of .* is defined"):
        compare_systems(flat, flat)


def test_dimensions_may_have_another_order(tmp_path):
    found = make_values(30)
    order = [2, 0, 1]
    task = load_task("dimensions", [NAMES[place] for place in order], scale=SCALE)
    moved = {name: getattr(found, name)[:, order] for name in ("dimensions", "dimension_labels")}
    comparison = compare_systems(
        write(tmp_path / "a", [found]), write(tmp_path / "b", [make_values(30, **moved)], task)
    )
    assert all(difference.value == 0 for difference in comparison.differences.values())


def test_predictions_that_vary_by_roundings_do_not_vary_in_any_score():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 5, (50, 1))
    for size, varies in ((1e-8, False), (1e-5, True)):
        values = 3 + size * (rng.normal(size=(50, 1)) + 3 * truth)
        one = compute_scores(values, truth, ["valence"])["dimensions"]["valence"]
        other = moment_scores(group_moments(values, truth, [None] * 50).sum(axis=0))
        assert (one["pearson"] > 0.9) == varies
        for name in ("ccc", "pearson", "rmse"):
            assert one[name] == pytest.approx(other[name][0], abs=1e-6)
