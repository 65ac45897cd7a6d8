"""Cross-validation of the smallest spoken corpus in three folds by speaker."""

import dataclasses
import json
import shutil
import statistics

import pytest
import yaml
from emofusion.corpora import describe_corpus, list_folds, load_corpus, registry
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.corpora.folds import check_speaker_independent, write_folds
from emofusion.evaluation.results import RunResults, Spread
from emofusion.evaluation.task import task_of_results
from emofusion.metrics import EmotionMetrics
from emofusion.training import planned_run, processor_building, run
from emofusion.training.cross_validation import runs as cross_validation
from emofusion.training.cross_validation.plan import find_states, format_plan, plan_runs
from emofusion.training.cross_validation.runs import cross_validate
from emofusion.training.cross_validation.summary import format_results, spread
from emofusion.training.planned_run import find_state
from emofusion.training.recipe import CROSS_VALIDATION, parse_recipe
from emofusion.training.run import train
from huggingface_hub import ModelCard
from testing_folder import make_folder, make_rows
from testing_training import TEXT, tiny_recipe

FOLDS = {"utterances": BLOCK, "speaker_folds": 3}
MODEL = {"modality": "text", "text_config": TEXT, "hidden_size": 8}


def parse(folder, corpus_root, **others):
    fields = {"variant": "unimodal", "model_config": MODEL, "corpus_options": FOLDS, "seed": 1, **others}
    fields = {"per_device_train_batch_size": 20, "save_total_limit": 2, **fields}
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(tiny_recipe(corpus_root, folder, **fields)))
    return parse_recipe([str(path)], CROSS_VALIDATION)


def plan(folder, corpus_root, **others):
    return plan_runs(parse(folder, corpus_root, **others))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, corpus_root, corpus):
    """All three folds: the runs, the results, the printed lines, and the texts that the tokenizer of each run learned from."""
    lines, texts = [], []

    def recording(sentences, *sizes):
        texts.append(list(sentences))
        return train_tokenizer(texts[-1], *sizes)

    runs = plan(tmp_path_factory.mktemp("cross") / "tiny", corpus_root)
    train_tokenizer = processor_building.train_tokenizer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor_building, "train_tokenizer", recording)
        results = cross_validate(runs, find_states(runs), lines.append)
    return runs, results, lines, texts


def fold_of(corpus_root, number):
    return load_corpus("spoken", corpus_root, **FOLDS, fold=number)


def rows_of(folder, split="test"):
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    return [row for row in rows if row["split"] == split]


def test_every_fold_is_a_run_with_a_line_of_output(finished):
    runs, results, lines, _ = finished
    assert [run.name for run in runs] == ["fold-1-seed-1", "fold-2-seed-1", "fold-3-seed-1"]
    assert [line.split(":")[0] for line in lines] == [f"{run.name} ({n} of 3)" for n, run in enumerate(runs, start=1)]
    for run_, summary in zip(runs, results.cross_validation.runs, strict=True):
        own = RunResults.read(run_.folder)
        assert summary.metrics == own.metrics
        assert {"model.safetensors", "config.json", "README.md", "reliability.png"} <= {
            file.name for file in run_.folder.iterdir()
        }


@pytest.fixture(scope="module")
def alone(tmp_path_factory, corpus_root):
    """The folder of the second fold, trained alone, with other texts and labels in its test split."""

    def spoiled(name, root, **options):
        corpus = load_corpus(name, root, **options)
        corpus["test"] = corpus["test"].map(
            lambda row: {"label": (row["label"] + 1) % 4, "text": "nothing"}, features=corpus["test"].features
        )
        return corpus

    folder = tmp_path_factory.mktemp("alone") / "tiny"
    recipe = parse(folder, corpus_root, corpus_options={**FOLDS, "fold": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "load_corpus", spoiled)
        train(recipe)
    return folder


def test_a_fold_has_the_same_weights_as_trained_alone(finished, alone):
    runs, *_ = finished
    assert (alone / "model.safetensors").read_bytes() == (runs[1].folder / "model.safetensors").read_bytes()
    recipes = [json.loads((folder / "results.json").read_text())["recipe"] for folder in (alone, runs[1].folder)]
    assert recipes[0] == recipes[1]


def test_the_test_split_does_not_influence_training_and_selection(finished, alone):
    runs, *_ = finished
    for file in ("model.safetensors", "tokenizer.json"):
        assert (alone / file).read_bytes() == (runs[1].folder / file).read_bytes()
    rows = [rows_of(folder, "validation") for folder in (alone, runs[1].folder)]
    assert [row["logits"] for row in rows[0]] == [row["logits"] for row in rows[1]]
    assert [row["label"] for row in rows_of(alone)] != [row["label"] for row in rows_of(runs[1].folder)]


def test_the_folds_test_every_utterance_once(finished, corpus):
    runs, results, *_ = finished
    tested = [row["id"] for run in runs for row in rows_of(run.folder)]
    assert sorted(tested) == sorted(name for rows in corpus.values() for name in rows["id"])
    assert results.data["test"].utterances == len(tested) == BLOCK
    assert results.corpus.speaker_independent is True


def test_the_tokenizer_learns_from_the_training_split(finished, corpus_root):
    *_, texts = finished
    assert texts == [fold_of(corpus_root, number)["train"]["text"][:] for number in (1, 2, 3)]


def test_pooled_scores_are_those_of_all_predictions(finished):
    runs, results, *_ = finished
    labels = results.labels
    rows = [row for run in runs for row in rows_of(run.folder)]
    predicted = [row["logits"].index(max(row["logits"])) for row in rows]
    truth = [labels.index(row["label"]) for row in rows]
    expected = EmotionMetrics(keep_in_memory=True).compute(predictions=predicted, references=truth, labels=labels)
    pooled = results.metrics["test"]
    assert pooled.confusion_matrix == expected["confusion_matrix"]
    for name in ("wa", "ua", "wf1", "recall", "f1"):
        assert getattr(pooled, name) == pytest.approx(expected[name])
    assert None not in (pooled.ece, pooled.ece_scaled, pooled.nll, pooled.nll_scaled)
    for score in ("wa", "ua"):
        low, high = getattr(results.intervals, score)
        assert low <= getattr(pooled, score) <= high
    assert results.intervals.speakers == 26
    assert sum(part.utterances for part in results.breakdown.values()) == BLOCK


def test_mean_and_deviation_are_over_the_runs(finished):
    _, results, *_ = finished
    values = [run.metrics["test"].wa for run in results.cross_validation.runs]
    over_runs = results.cross_validation.over_runs["wa"]
    assert over_runs.mean == pytest.approx(statistics.mean(values))
    assert over_runs.std == pytest.approx(statistics.stdev(values))
    assert results.cross_validation.over_seeds == {}
    assert spread([results.metrics["test"]], task_of_results(results))["ua"] == Spread(
        mean=results.metrics["test"].ua, std=None
    )


def test_no_transcript_is_stored(finished, corpus):
    runs, *_ = finished
    kept = "".join((run.folder / name).read_text() for run in runs for name in ("predictions.jsonl", "results.json"))
    assert not [text for rows in corpus.values() for text in rows["text"] if text in kept]


def test_the_folder_has_a_card_with_a_model_index(finished):
    runs, results, *_ = finished
    folder = runs[0].folder.parent
    assert RunResults.read(folder) == results
    card = ModelCard.load(folder / "README.md")
    values = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert values["UA (mean class recall)"] == pytest.approx(results.metrics["test"].ua, abs=1e-4)
    for text in ("fold-3-seed-1", "Standard deviation over runs", "resampled speakers", "3 folds with 1 seed"):
        assert text in card.content
    assert all(f"]({picture})" in card.content and (folder / picture).is_file() for picture in results.pictures)
    assert 'from_pretrained("./fold-1-seed-1"' in card.content


def test_the_screens_list_every_run(finished):
    runs, results, *_ = finished
    screen = format_plan(runs, ["finished", "checkpoint-3", "new"])
    assert "3 runs, 1 finished" in screen
    assert "resumes from checkpoint-3" in screen
    screen = format_results(results)
    assert [line.split()[0] for line in screen.splitlines()[1:4]] == [run.name for run in runs]
    assert f"{100 * results.metrics['test'].ua:.1f}" in screen
    assert "95 % by speaker" in screen


def test_finished_runs_are_not_trained_again(finished, monkeypatch):
    runs, results, *_ = finished
    monkeypatch.setattr(planned_run, "train", None)
    assert find_states(runs) == ["finished"] * 3
    assert cross_validate(runs, find_states(runs)) == results


def test_an_interrupted_run_resumes_to_the_same_results(finished, tmp_path, corpus_root):
    runs, *_ = finished
    (first, *_) = plan(tmp_path / "again", corpus_root, folds=[3])
    for name in ("recipe.json", "checkpoint-2"):
        source, target = runs[2].folder / name, first.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    assert find_state(first) == "checkpoint-2"
    cross_validate([first], ["checkpoint-2"])
    for file in ("model.safetensors", "predictions.jsonl"):
        assert (first.folder / file).read_bytes() == (runs[2].folder / file).read_bytes()
    assert find_state(first) == "finished"


@pytest.mark.parametrize("unfinished", [True, False])
def test_runs_with_other_settings_are_refused(finished, tmp_path, corpus_root, unfinished):
    runs, *_ = finished
    folder = tmp_path / "tiny"
    (folder / runs[0].name).mkdir(parents=True)
    name = "recipe.json" if unfinished else "results.json"
    shutil.copyfile(runs[0].folder / name, folder / runs[0].name / name)
    assert find_state(plan(folder, corpus_root, logging_steps=5)[0]) == ("new" if unfinished else "finished")
    other = plan(folder, corpus_root, learning_rate=0.5)[0]
    with pytest.raises(
        ValueError, match=r"fold-1-seed-1 was made with other settings \(learning_rate: 0.01, now 0.5\)"
    ):
        find_state(other)
    deeper = plan(folder, corpus_root, model_config={**MODEL, "hidden_size": 16})[0]
    with pytest.raises(ValueError, match=r"model_config\.hidden_size: 8, now 16"):
        find_state(deeper)


def test_folder_of_a_cross_validation_is_no_run(finished):
    runs, *_ = finished
    recipe = runs[0].recipe.replace(output_dir=str(runs[0].folder.parent))
    with pytest.raises(ValueError, match="holds a cross-validation, not a run"):
        find_state(dataclasses.replace(runs[0], recipe=recipe))


def test_checkpoints_of_unknown_settings_are_refused(tmp_path, corpus_root):
    first = plan(tmp_path / "tiny", corpus_root)[0]
    (first.folder / "checkpoint-2").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"holds checkpoints, but no recipe\.json"):
        find_state(first)


def test_the_description_of_a_run_has_what_decides_the_weights(tmp_path, corpus_root):
    plain = parse(tmp_path / "a", corpus_root)
    elsewhere = parse(tmp_path / "b", corpus_root, logging_steps=3, disable_tqdm=False)
    assert plain.describe() == elsewhere.describe()
    assert {"seed", "learning_rate", "model_config", "corpus_options"} <= set(plain.describe())
    for change in ({"seed": 2}, {"max_seconds": 0.2}, {"weight_decay": 0.1}, {"corpus_options": {**FOLDS, "fold": 2}}):
        assert parse(tmp_path / "c", corpus_root, **change).describe() != plain.describe()


@pytest.mark.parametrize(
    ("column", "message"),
    [("id", "both in 'train' and in 'test'"), ("speaker", "Speakers occur in more than one split")],
)
def test_overlapping_splits_are_refused_before_training(column, message, tmp_path, corpus_root, monkeypatch):
    def leaking(name, root, **options):
        corpus = load_corpus(name, root, **options)
        known = corpus["train"][0][column]
        corpus["test"] = corpus["test"].map(
            lambda row, number: {column: known} if number == 0 else {},
            with_indices=True,
            features=corpus["test"].features,
        )
        return corpus

    monkeypatch.setattr(registry, "load_corpus", leaking)
    monkeypatch.setattr(run, "build_model", None)  # the run fails before
    recipe = parse(tmp_path / "leaking", corpus_root)
    with pytest.raises(ValueError, match=message):
        train(recipe)


@pytest.mark.parametrize("metric", ["test_ua", "train_loss", "eval_test_ua", "support"])
def test_a_checkpoint_is_selected_by_a_validation_metric_only(metric, tmp_path, corpus_root):
    with pytest.raises(ValueError, match=f"metric_for_best_model is '{metric}'; the validation split has"):
        parse(tmp_path / "a", corpus_root, metric_for_best_model=metric)
    for known in ("ua", "eval_wf1", "loss"):
        parse(tmp_path / "a", corpus_root, metric_for_best_model=known)


def test_folds_and_seeds_can_be_chosen(tmp_path, corpus_root):
    runs = plan(tmp_path / "some", corpus_root, folds=[2], seeds=[3, 4])
    assert [(run.name, run.seed, run.recipe.data.corpus_options["fold"]) for run in runs] == [
        ("fold-2-seed-3", 3, 2),
        ("fold-2-seed-4", 4, 2),
    ]
    seeds_only = plan(tmp_path / "meld", corpus_root, corpus="meld", corpus_options={}, seeds=[0, 1])
    assert [run.name for run in seeds_only] == ["seed-0", "seed-1"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"folds": [4]}, "There is no fold 4; this protocol of spoken has 3."),
        ({"seeds": [1, 1]}, "seeds names a number twice"),
        ({"push_to_hub": True}, "push_to_hub is given"),
        ({"resume_from_checkpoint": "runs/x"}, "resume_from_checkpoint names a folder"),
    ],
)
def test_arguments_for_a_single_run_are_refused(others, message, tmp_path, corpus_root):
    with pytest.raises(ValueError, match=message):
        plan(tmp_path / "wrong", corpus_root, **others)


def test_iemocap_has_the_folds_of_its_protocols(tmp_path):
    assert list_folds("iemocap", classes=4, fold=3) == [{"fold": number} for number in range(1, 6)]
    assert len(list_folds("iemocap", protocol="leave-one-speaker-out")) == 10
    fold = {split: [split] for split in ("train", "validation", "test")}
    write_folds(tmp_path / "folds.json", {"a": fold, "b": fold})
    assert len(list_folds("iemocap", fold_file=str(tmp_path / "folds.json"))) == 2
    assert list_folds("meld") == list_folds("spoken", utterances=BLOCK) == [{}]
    with pytest.raises(ValueError, match="protocol must be one of"):
        list_folds("iemocap", protocol="mine")


def test_the_spread_over_seeds_is_that_of_pooled_folds(finished, tmp_path):
    runs, results, *_ = finished
    copies = []
    for run_ in runs:
        for seed in (1, 2):
            folder = tmp_path / f"{run_.fold}-{seed}"
            shutil.copytree(run_.folder, folder, ignore=shutil.ignore_patterns("checkpoint-*", "*.safetensors"))
            recipe = run_.recipe.replace(output_dir=str(folder), seed=seed)
            copies.append(dataclasses.replace(run_, name=folder.name, recipe=recipe))
    several = cross_validation.write_summary(copies)
    over_seeds = several.cross_validation.over_seeds["ua"]
    assert over_seeds.mean == pytest.approx(results.metrics["test"].ua)
    assert over_seeds.std == pytest.approx(0)
    assert several.metrics["test"].support == [2 * count for count in results.metrics["test"].support]
    assert several.data["test"].utterances == BLOCK


def test_a_folder_can_be_split_into_folds_by_speaker(tmp_path):
    make_folder(tmp_path, make_rows())
    assert list_folds("folder", speaker_folds=3) == [{"fold": number} for number in (1, 2, 3)]
    tested = []
    for options in list_folds("folder", speaker_folds=3):
        corpus = load_corpus("folder", tmp_path, speaker_folds=3, **options)
        assert sum(map(len, check_speaker_independent(corpus).values())) == 6
        tested += corpus["test"]["id"]
        assert describe_corpus("folder", speaker_folds=3, **options)["speaker_independent"]
    assert len(set(tested)) == len(tested) == 12
    with pytest.raises(ValueError, match="fold must be from 1 to 3, not 4"):
        load_corpus("folder", tmp_path, speaker_folds=3, fold=4)
    with pytest.raises(ValueError, match="k must be from 3 to 6, the number of speakers, not 7"):
        load_corpus("folder", tmp_path, speaker_folds=7)
