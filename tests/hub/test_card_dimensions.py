"""Cards of models that predict dimensions, and of models that predict classes and dimensions."""

import dataclasses

import pytest
from emofusion.evaluation.metadata import CorpusMetadata, Environment, SplitCounts
from emofusion.evaluation.results import CrossValidationResults, FoldResults, LateFusionResults, RunResults, Spread
from emofusion.evaluation.task import load_task
from emofusion.hub import write_card
from testing_cards import check_page, examples, sections, strange_numbers
from testing_predictions import BOTH, SCALE, VALUES, make_both, make_values

every_task = pytest.mark.parametrize("task", [VALUES, BOTH], ids=lambda task: task.name)


def measure(task, make, **fields):
    """Results of a run on MSP-Podcast's scale."""
    splits = {"validation": make(60, seed=1), "test": make(80, seed=2)}
    speakers = {split: len(set(found.speakers)) for split, found in splits.items()}
    return RunResults(
        **task.result_fields(),
        labels=list(task.labels),
        modalities=["audio", "text"],
        system="cross_attention",
        corpus=CorpusMetadata(name="msp_podcast", title="MSP-Podcast", dimension_scale=list(SCALE)),
        data={
            split: SplitCounts(utterances=len(found.ids), speakers=speakers[split], **task.count_predictions(found))
            for split, found in splits.items()
        },
        environment=Environment(emofusion="0.1"),
        **task.measure(splits),
        **fields,
    )


@every_task
def test_a_card_shows_the_dimensions_with_their_scale(tmp_path, task):
    results = measure(task, {VALUES.name: make_values, BOTH.name: make_both}[task.name])
    (tmp_path / "dimensions.png").touch()
    results.pictures = list(task.pictures)
    card = check_page(write_card(tmp_path, results))
    first = card.text.split("\n\n")[1]
    assert "arousal, valence and dominance" in first
    assert "on a scale from 1 to 7, from its speech and text: **" in first
    assert "CCC of valence 0." in first
    assert ("Recognises which emotion" in first) == (task is BOTH)
    assert {result.metric_type for result in card.data.eval_results} >= {"ccc", "pearsonr", "rmse"}
    published = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert published["CCC, arousal"] == round(results.metrics["test"].dimensions["arousal"].ccc, 4)
    assert len(card.data.metrics) == len(set(card.data.metrics))
    text = sections(card)
    assert "| Dimension | CCC | Pearson's r | RMSE | CCC, 95 % | Utterances | Unknown |" in text["Scores"]
    assert ("Confusion matrix" in text["Scores"]) == (task is BOTH)
    assert ("temperature" in text["Scores"].lower()) == (task is BOTH)
    assert "| With valence |" in text["Data"]
    assert ("predicts one of the emotions listed above" in text["Limits"]) == (task is BOTH)
    assert "The values are on a scale from 1 to 7" in text["Limits"]
    assert "![Dimensions](dimensions.png)" in card.text
    assert "arousal_valence.png" not in card.text  # it is not in the folder
    assert not strange_numbers(
        card.text.replace("Lin 1989", "").replace("1 to 7,", ""), results.to_dict() | {"more": [len(task.labels)]}
    )
    assert any("logits[0]" in example or "output.dimensions[0]" in example for example in examples(card))


def test_a_card_of_one_dimension_has_no_means(tmp_path):
    task = load_task("dimensions", ["valence"], scale=SCALE)
    found = make_values(80)
    one = {name: getattr(found, name)[:, :1] for name in ("dimensions", "dimension_labels")}
    splits = {"validation": make_values(80, **one), "test": make_values(80, **one)}
    results = RunResults(
        **task.result_fields(),
        labels=["valence"],
        modalities=["audio"],
        corpus=CorpusMetadata(name="msp_podcast"),
        **task.measure(splits),
    )
    card = check_page(write_card(tmp_path, results))
    assert "mean" not in card.text.split("## Limits")[0].replace("mean squared", "")
    assert "| Split | CCC | Pearson's r | RMSE |" in card.text
    assert [result.metric_name for result in card.data.eval_results] == [
        "CCC, valence",
        "Pearson's r, valence",
        "RMSE, valence",
    ]


def test_a_card_names_dimensions_with_few_values_and_undefined_scores(tmp_path):
    found = make_values(20, speakers=["a", "b"] * 10)
    found.dimension_labels[1:, 2] = float("nan")
    results = measure(VALUES, lambda *_, **__: found)
    card = check_page(write_card(tmp_path, results))
    assert "dominance has 1 utterance; with fewer than 30 utterances or 6 speakers for a dimension" in card.text
    assert "it needs at least 6 speakers, and the data have 2" in card.text
    row = next(line for line in card.text.splitlines() if line.startswith("| dominance |"))
    assert row.split("|")[2:4] == ["  ", "  "]  # CCC and r of one utterance


@every_task
def test_the_card_of_a_late_fusion_compares_dimensions(tmp_path, task):
    make = {VALUES.name: make_values, BOTH.name: make_both}[task.name]
    members = {"speech": make(80, seed=5, noise=2.0), "text": make(80, seed=6, noise=4.0)}
    test = dataclasses.replace(
        make(80, seed=2, noise=0.5),
        dimension_systems={name: found.dimensions for name, found in members.items()},
        systems={} if task is VALUES else {name: found.predicted for name, found in members.items()},
    )
    systems = {name: dict.fromkeys(("validation", "test"), task.score_system(test, name)) for name in members}
    best = task.find_best({name: scores["validation"] for name, scores in systems.items()})
    fusion = LateFusionResults(
        combination="weighted",
        members={"speech": "a", "text": "b"},
        systems=systems,
        best_member=best,
        comparisons=task.compare_with_members([test], members, "weighted"),
    )
    results = measure(task, make, late_fusion=fusion)
    card = check_page(write_card(tmp_path, RunResults.from_dict(results.to_dict())))
    assert "| speech, valence | +0." in card.text
    assert "| text, mean | +0." in card.text
    assert ("in points" in card.text) == (task is BOTH)
    assert "weighted is significantly better in the CCC of arousal" in card.text
    assert f"The best member on the validation split is {best}" in card.text
    assert task is BOTH or best == "speech"


def test_the_card_of_a_cross_validation_shows_the_spread(tmp_path):
    runs = [VALUES.measure({"test": make_values(40, seed=seed)})["metrics"] for seed in (1, 2)]
    results = measure(VALUES, make_values)
    results.cross_validation = CrossValidationResults(
        folds=[1, 2],
        over_runs={"ccc_valence": Spread(mean=0.5, std=0.0123), "rmse": Spread(mean=0.75, std=0.05)},
        runs=[FoldResults(name=f"fold-{number}", metrics=metrics) for number, metrics in enumerate(runs, start=1)],
    )
    card = check_page(write_card(tmp_path, RunResults.from_dict(results.to_dict())))
    (row,) = [line for line in card.text.splitlines() if line.startswith("| Standard deviation over runs |")]
    assert row == "| Standard deviation over runs |  |  | 0.012 |  |  | 0.050 |"
    assert f"| fold-1 | {runs[0]['test'].ccc:.3f} |" in card.text


@every_task
def test_label_maps_are_shown_only_if_they_change_something(tmp_path, task):
    results = measure(task, {VALUES.name: make_values, BOTH.name: make_both}[task.name])
    results.corpus.label_map = {"calls": {"glad": "glad", "sad": "sad"}}
    assert "| Label |" not in write_card(tmp_path, results).read_text("utf-8")
    results.corpus.label_map["calls"]["sad"] = None
    page = write_card(tmp_path, results).read_text("utf-8")
    assert "| calls: sad | none (dropped) | 0 |" in page
    assert ("mapped to common classes" in page) == (task is BOTH)
    assert ("the classes are not learned" in page) == (task is VALUES)
