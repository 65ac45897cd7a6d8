"""Late fusions whose members are recipes: one fold, a cross-validation, ensembles and soups of a tiny text model."""

import json
import shutil

import pytest
import torch
import yaml
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.corpora.folds import digest_ids, read_folds
from emofusion.evaluation.comparison import compare_systems
from emofusion.evaluation.predictions import read_predictions
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task import task_of_results
from emofusion.evaluation.task_classification import ClassificationTask
from emofusion.training import lifecycle, planned_run, trainer
from emofusion.training.cross_validation.plan import find_states, format_plan, plan_runs
from emofusion.training.cross_validation.runs import cross_validate
from emofusion.training.late_fusion.fit import fit_late_fusion
from emofusion.training.late_fusion.members import plan_members
from emofusion.training.late_fusion.summary import format_fusion, pool_fusions
from emofusion.training.recipe import CROSS_VALIDATION, LATE_FUSION, parse_recipe
from emofusion.training.run import train
from testing_training import TEXT, tiny_recipe
from transformers import AutoModelForSequenceClassification

FOLDS = {"utterances": BLOCK, "speaker_folds": 3}
MODEL = {"modality": "text", "text_config": TEXT, "hidden_size": 8}


@pytest.fixture(scope="module", autouse=True)
def without_pictures_and_code():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "write_bundle", lambda *_: None)
        patch.setattr(ClassificationTask, "draw_test_split", lambda *_: None)
        patch.setattr(lifecycle, "draw_learning_curves", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory, corpus_root):
    """A folder with the recipes of two members, `slow` and `fast`, that are trained into `members/`."""
    place = tmp_path_factory.mktemp("protocol")
    fields = {"variant": "unimodal", "model_config": MODEL, "corpus_options": FOLDS, "num_train_epochs": 1, "seed": 3}
    for name, rate in (("slow", 1e-3), ("fast", 1e-1)):
        recipe = tiny_recipe(corpus_root, place / "members" / name, learning_rate=rate, **fields)
        (place / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    return place


def fusion(place, corpus_root, name, groups=LATE_FUSION, **others):
    """Return the recipe of a late fusion in the folder `name`."""
    settings = {"members": [str(place / "slow.yaml"), str(place / "fast.yaml")], "combination": "weighted"}
    settings |= {"corpus": "spoken", "corpus_root": str(corpus_root), "corpus_options": FOLDS, "seed": 1}
    settings |= {"output_dir": str(place / name), "disable_tqdm": True, "use_cpu": True, **others}
    path = place / f"{name}-fusion.yaml"
    path.write_text(yaml.safe_dump(settings))
    return parse_recipe([str(path)], groups)


@pytest.fixture(scope="module")
def validated(place, corpus_root):
    """Folds 1 and 2 of the late fusion: the plan, its screen, the results and the printed lines."""
    lines, runs = [], plan_runs(fusion(place, corpus_root, "fused", CROSS_VALIDATION, folds=[1, 2]))
    screen = format_plan(runs, find_states(runs))
    return runs, screen, cross_validate(runs, find_states(runs), lines.append), lines


def test_members_of_every_fold_are_trained_then_fused(validated, place):
    runs, screen, _, lines = validated
    names = [f"{member}/fold-{fold}-seed-1" for fold in (1, 2) for member in ("slow", "fast")]
    assert [line.split() for line in screen.splitlines()[3:]] == [
        *([name, "to", "be", "trained"] for name in names),
        *([run.name, "to", "be", "fitted"] for run in runs),
    ]
    done = [line.split(" (")[0] for line in lines]
    assert done == [*names[:2], "fold-1-seed-1", *names[2:], "fold-2-seed-1"]
    for name in names:
        member = RunResults.read(place / "members" / name)
        assert (member.corpus.fold, member.training["seed"]) == (int(name[-8]), 1)


def test_scores_of_members_and_combinations_are_pooled(validated):
    runs, _, results, _ = validated
    fused, folds = results.late_fusion, [RunResults.read(run.folder) for run in runs]
    assert [run.late_fusion for run in results.cross_validation.runs] == [fold.late_fusion for fold in folds]
    assert fused.systems["weighted"]["test"]["ua"] == pytest.approx(results.metrics["test"].ua)
    assert fused.systems["weighted"]["test"]["nll"] == pytest.approx(results.metrics["test"].nll, abs=1e-6)
    sizes = [fold.data["test"].utterances for fold in folds]
    expected = sum(n * fold.late_fusion.systems["fast"]["test"]["wa"] for n, fold in zip(sizes, folds, strict=True))
    assert fused.systems["fast"]["test"]["wa"] == pytest.approx(expected / sum(sizes))
    for kind, weights in fused.weights.items():
        mean = sum(fold.late_fusion.weights[kind]["fast"] for fold in folds) / 2
        assert weights["fast"] == pytest.approx(mean)
    assert fused.members.keys() == {"slow", "fast"}


def test_pooled_members_are_named_by_the_folder_of_their_runs(validated, place):
    runs, _, results, _ = validated
    folds = [RunResults.read(run.folder) for run in runs]
    splits = [read_predictions(run.folder, task_of_results(results)) for run in runs]
    for fold in folds:
        fold.late_fusion.members["slow"] += f"/checkpoint-{fold.corpus.fold}"
    for members in (results.late_fusion.members, pool_fusions(folds, splits).members):
        assert members == {name: str(place / "members" / name) for name in ("slow", "fast")}


def test_fusion_is_compared_with_each_member(validated, place):
    runs, _, results, _ = validated
    for name, found in results.late_fusion.comparisons.items():
        folder = place / "members" / name  # as the folder of a cross-validation of the member
        shutil.copyfile(runs[0].folder.parent / "results.json", folder / "results.json")
        expected = compare_systems(folder, runs[0].folder.parent)
        (folder / "results.json").unlink()
        assert (found.wa, found.ua) == pytest.approx((expected.wa.value, expected.ua.value))
        assert (found.p_utterances, found.p_ua) == (expected.p_utterances, expected.ua.p_speakers)
    best = max(("slow", "fast"), key=lambda name: results.late_fusion.systems[name]["validation"]["ua"])
    assert results.late_fusion.best_member == best


def test_card_and_screen_of_protocol_show_weights_and_comparisons(validated):
    runs, _, results, _ = validated
    page, screen = (runs[0].folder.parent / "README.md").read_text(), format_fusion(results)
    fused = results.late_fusion
    for name, weight in fused.weights["weighted"].items():
        assert f"{name} {weight:.3f}" in screen
    cells = " | ".join(f"{weight:.3f}" for weight in fused.weights["weighted"].values())
    assert f"| weighted, mean over runs | {cells} |" in page
    own = results.cross_validation.runs[1].late_fusion.weights["weighted"]
    assert f"| weighted, fold-2-seed-1 | {' | '.join(f'{weight:.3f}' for weight in own.values())} |" in page
    for name, found in fused.comparisons.items():
        assert f"| {name} | {100 * found.wa:+.1f} |" in page
    assert f"The best member on the validation split is {fused.best_member}" in page
    assert "each folder holds `weighted`" in page


def test_finished_members_and_folds_are_kept(validated, place, corpus_root, monkeypatch):
    runs, _, results, _ = validated
    monkeypatch.setattr(planned_run, "train", None)
    assert find_states(runs) == ["finished"] * 2
    assert cross_validate(runs, find_states(runs)) == results
    other = fusion(place, corpus_root, "other", CROSS_VALIDATION, combination="mean_probability", folds=[1])
    assert find_states(plan_runs(other)) == ["new"]
    assert cross_validate(plan_runs(other), ["new"]).late_fusion.combination == "mean_probability"


def test_fusion_of_members_that_are_trained_again_is_fitted_again(validated, place, tmp_path):
    runs, *_ = validated
    folder = place / "members" / "slow" / "fold-2-seed-1"
    shutil.move(folder / "results.json", tmp_path)
    assert find_states(runs) == ["finished", "new"]
    shutil.move(tmp_path / "results.json", folder)


def test_members_with_other_settings_are_refused(validated, place, corpus_root):
    recipe = fusion(place, corpus_root, "changed", CROSS_VALIDATION, member_options={"weight_decay": 0.5})
    with pytest.raises(ValueError, match=r"slow/fold-1-seed-1 was made with other settings \(weight_decay: default"):
        find_states(plan_runs(recipe))


def test_run_names_its_training_utterances(validated, place):
    folder = place / "members" / "slow" / "fold-2-seed-1"
    (fold,), results = read_folds(folder / "splits.json").values(), RunResults.read(folder)
    tested = read_predictions(folder, task_of_results(results))["test"].ids
    assert fold["test"] == tested
    assert len(fold["train"]) == results.data["train"].utterances
    assert results.data["train"].digest == digest_ids(fold["train"])


def members_of(place, fold):
    return [str(place / "members" / name / f"fold-{fold}-seed-1") for name in ("slow", "fast")]


def test_member_of_another_fold_is_refused(validated, place, corpus_root):
    recipe = fusion(place, corpus_root, "mixed", members=members_of(place, 1), corpus_options={**FOLDS, "fold": 3})
    message = (
        r"The member slow/fold-1-seed-1 \(.*\) was trained on fold 1: \d+ of its training utterances are in the test "
    )
    with pytest.raises(ValueError, match=message + "split of fold 3, as 'Ses"):
        fit_late_fusion(recipe)


def test_member_of_another_fold_is_refused_in_checkpoints_too(validated, place, corpus_root):
    checkpoint = next(path for path in sorted((place / "members/slow/fold-1-seed-1").glob("checkpoint-*")))
    recipe = fusion(place, corpus_root, "mixed", members=[str(checkpoint)], corpus_options={**FOLDS, "fold": 2})
    with pytest.raises(ValueError, match="was trained on fold 1"):
        fit_late_fusion(recipe)


def test_published_member_is_proven_by_its_digest(validated, place, corpus_root, tmp_path):
    published = tmp_path / "published"
    shutil.copytree(members_of(place, 1)[0], published, ignore=shutil.ignore_patterns("*.jsonl", "splits.json"))
    recipe = fusion(place, corpus_root, "digest", members=[str(published)], corpus_options={**FOLDS, "fold": 1})
    assert fit_late_fusion(recipe).late_fusion.unproven == []
    recipe = fusion(place, corpus_root, "digest", members=[str(published)], corpus_options={**FOLDS, "fold": 2})
    with pytest.raises(
        ValueError, match=r"nothing proves that it was not trained on .* fold 2: it has no splits\.json"
    ):
        fit_late_fusion(recipe)


def test_member_without_results_is_named(validated, place, corpus_root, tmp_path):
    foreign = tmp_path / "foreign"
    ignored = shutil.ignore_patterns("*.jsonl", "splits.json", "results.json")
    shutil.copytree(members_of(place, 1)[0], foreign, ignore=ignored)
    recipe = fusion(place, corpus_root, "foreign", members=[str(foreign)])
    with pytest.warns(UserWarning, match="It is unknown whether foreign was trained on utterances of the validation"):
        results = fit_late_fusion(recipe)
    assert results.late_fusion.unproven == ["foreign"]
    assert "It is unknown whether foreign was trained" in (place / "foreign" / "README.md").read_text()


def test_members_of_all_folds_are_fused_on_another_corpus_only(validated, place, corpus_root):
    folders = [str(place / "fused")]
    recipe = fusion(place, corpus_root, "folds", members=folders)
    assert [member.source for member in plan_members(recipe)] == [
        str(place / "fused" / f"fold-{fold}-seed-1") for fold in (1, 2)
    ]


@pytest.fixture(scope="module")
def ensemble(validated, place, corpus_root):
    """The ensemble of two seeds of the fast member on the splits of fold 1."""
    options = {"members": [str(place / "fast.yaml")], "combination": "mean", "member_seeds": [1, 2]}
    return fit_late_fusion(fusion(place, corpus_root, "seeds", corpus_options={**FOLDS, "fold": 1}, **options))


def test_seeds_of_recipe_are_an_ensemble(ensemble, place):
    fused = ensemble.late_fusion
    assert list(fused.members) == ["fast-seed-1", "fast-seed-2"]
    assert fused.best_member in fused.members
    assert fused.comparisons.keys() == fused.members.keys()
    assert (place / "members/fast/seed-2/results.json").is_file()
    assert ensemble.corpus.selection.startswith("Nothing was fitted")


def test_checkpoints_of_recipe_are_averaged_to_a_soup(place, corpus_root):
    options = {"members": [str(place / "fast.yaml")], "combination": "soup", "member_checkpoints": 2}
    recipe = fusion(
        place,
        corpus_root,
        "soup",
        **options,
        corpus_options={**FOLDS, "fold": 1},
        member_options={"num_train_epochs": 3},
    )
    assert plan_members(recipe)[0].run.recipe.training.save_total_limit == 3  # the best, and the last two
    results = fit_late_fusion(recipe)
    fused = results.late_fusion
    saved = [int(folder.rpartition("-")[2]) for folder in fused.members.values()]
    assert saved == [2 * saved[1] // 3, saved[1]]
    assert list(fused.members) == ["fast-checkpoint-1", "fast-checkpoint-2"]
    assert "soup" in fused.systems
    assert fused.systems["soup"]["test"]["ua"] == results.metrics["test"].ua
    load = AutoModelForSequenceClassification.from_pretrained
    soup, *parts = (load(folder).state_dict() for folder in (place / "soup", *fused.members.values()))
    for name, value in soup.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.stack([part[name] for part in parts]).mean(dim=0))
    page = (place / "soup" / "README.md").read_text()
    assert "this repository holds `soup`" in page
    assert type(load(place / "soup")).__name__ == results.model_class == "UnimodalForSequenceClassification"


def test_plain_classifiers_have_a_plain_soup(place, corpus_root, tmp_path):
    fields = {
        "variant": "text_classifier",
        "model_config": {"text_config": TEXT},
        "corpus_options": FOLDS,
        "max_steps": 1,
    }
    recipe = tiny_recipe(corpus_root, tmp_path / "bert", **fields, max_seconds=None)
    (tmp_path / "bert.yaml").write_text(yaml.safe_dump(recipe))
    options = {"members": [str(tmp_path / "bert.yaml")], "member_seeds": [1, 2], "combination": "soup"}
    results = fit_late_fusion(fusion(place, corpus_root, "plain", **options))
    assert results.model_class == "BertForSequenceClassification"
    assert results.late_fusion.systems["soup"]["test"]["ua"] == results.metrics["test"].ua
    assert not [*(place / "plain").glob("*.py")]


def test_members_of_other_sizes_have_no_soup(ensemble, place, corpus_root, tmp_path):
    own = json.loads(json.dumps(yaml.safe_load((place / "fast.yaml").read_text())))
    own |= {"output_dir": str(tmp_path / "wide"), "model_config": {**MODEL, "hidden_size": 12}}
    (tmp_path / "wide.yaml").write_text(yaml.safe_dump(own | {"corpus_options": {**FOLDS, "fold": 1}}))
    train(parse_recipe([str(tmp_path / "wide.yaml")]))
    members = [str(tmp_path / "wide"), members_of(place, 1)[1]]
    recipe = fusion(place, corpus_root, "unequal", members=members, combination="soup")
    with pytest.raises(ValueError, match="The members wide and fold-1-seed-1 have no common mean of weights"):
        fit_late_fusion(recipe)


def test_members_are_not_pushed(place, corpus_root, tmp_path):
    own = yaml.safe_load((place / "fast.yaml").read_text())
    (tmp_path / "pushed.yaml").write_text(yaml.safe_dump(own | {"push_to_hub": True}))
    (member,) = plan_members(fusion(place, corpus_root, "quiet", members=[str(tmp_path / "pushed.yaml")]))
    assert member.run.recipe.training.push_to_hub is False


def test_soup_of_one_member_is_refused_before_anything_is_trained(place, corpus_root, monkeypatch):
    monkeypatch.setattr(planned_run, "train", None)
    options = {"members": [str(place / "fast.yaml")], "combination": "soup", "member_seeds": [7]}
    with pytest.raises(ValueError, match="A soup needs two or more members"):
        fit_late_fusion(fusion(place, corpus_root, "alone", **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"member_seeds": [1, 1]}, "member_seeds names a number twice: 1, 1"),
        ({"member_checkpoints": 1}, "member_checkpoints is 1; it must be at least 2"),
        ({"member_options": {"seed": 1}}, "member_options has seed, which the fusion sets for its members"),
        ({"variant": "unimodal"}, "variant is given, but a recipe with members is a late fusion"),
        ({"members": None, "combination": "mean"}, "combination is given without members"),
    ],
)
def test_wrong_options_of_members_are_refused(options, message, place, corpus_root):
    with pytest.raises(ValueError, match=message):
        fusion(place, corpus_root, "wrong", CROSS_VALIDATION, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"corpus": "meld", "corpus_options": {}},
            r"slow\.yaml, whose corpus is spoken, and that of the fusion is meld",
        ),
        (
            {"corpus_options": {"utterances": BLOCK}},
            r"slow\.yaml has corpus_options\.speaker_folds, which the fusion lacks",
        ),
        ({"members": ["nowhere.yaml"]}, r"There is no recipe nowhere\.yaml"),
    ],
)
def test_members_for_another_corpus_are_refused(options, message, place, corpus_root):
    with pytest.raises(ValueError, match=message):
        plan_members(fusion(place, corpus_root, "wrong", **options))


def test_equal_members_of_several_seeds_are_refused(place, corpus_root):
    recipe = fusion(place, corpus_root, "wrong", CROSS_VALIDATION, seeds=[1, 2], member_seeds=[1, 2])
    with pytest.raises(ValueError, match="the members of every seed would be the same"):
        plan_runs(recipe)
