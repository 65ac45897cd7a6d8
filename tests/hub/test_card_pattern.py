"""Cards of every kind of run have one pattern."""

import dataclasses
import functools
import html
import json
import re
from pathlib import Path
from types import SimpleNamespace

import emofusion
import numpy as np
import pytest
import yaml
from emofusion.corpora import describe_corpus
from emofusion.evaluation.predictions import FILE, collect_predictions, write_predictions
from emofusion.evaluation.results import CorpusMetadata, LateFusionResults
from emofusion.evaluation.task import load_task
from emofusion.hub import write_card
from emofusion.hub.push import address_card
from emofusion.modeling.head_score_combination import COMBINATIONS
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.cross_validation.summary import summarise_runs
from emofusion.training.late_fusion.combinations import combine
from emofusion.training.late_fusion.fit import score_systems, split_systems
from emofusion.training.lifecycle import add_scores
from emofusion.training.metadata import RunMetadataCallback
from emofusion.training.planned_run import Run
from emofusion.training.recipe import Recipe
from huggingface_hub import ModelCard, RepoCard
from testing_cards import check_page, examples, sections, strange_numbers
from testing_common import CASES
from testing_predictions import make_corpus
from transformers.trainer_utils import PredictionOutput

ROOT = Path(emofusion.__file__).parent
LABELS = ["angry", "happy", "calm"]
CLASSES = load_task("classification", LABELS)
PICTURES = ("confusion_matrix.png", "reliability.png", "learning_curve.png")
SECTIONS = ["Use", "Scores", "Data", "Limits", "Out of scope", "Training", "Citation"]
NOT_FOR = (
    "hiring",
    "at work",
    "surveillance",
    "clinical",
    "EU AI Act",
    "(EU) 2024/1689",
    "workplace and in education",
)
ADDRESS = re.search(r"^url = (.*)$", (ROOT / "setup.cfg").read_text("utf-8"), re.MULTILINE)[1]
REMOTE_CODE = ("`revision`", "Python files", f"pip install git+{ADDRESS}", "import emofusion")
SHA = "0123456789" * 4
# One case per variant and set of modalities.
KINDS = {(case.variant, case.modalities): case for case in reversed(CASES)}
TASKS = {"audio": "audio-classification", "text": "text-classification", "video": "video-classification"}
ENCODERS = {"audio": "facebook/wav2vec2-base", "text": "google-bert/bert-base-uncased"}
every_kind = pytest.mark.parametrize("kind", [*(case.name for case in KINDS.values()), "adapter", "cross_validation"])


def predict(corpus, seed=0, members=1) -> dict[str, PredictionOutput]:
    """Return log-probabilities that are often correct."""
    random, outputs = np.random.default_rng(seed), {}
    for split in ("validation", "test"):
        labels = np.array(corpus[split]["label"][:])
        logits = random.normal(size=(len(labels), members, len(LABELS))) + 1.2 * np.eye(3)[labels][:, None]
        logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        outputs[split] = PredictionOutput(logits.reshape(len(labels), -1), labels, {})
    return outputs


@pytest.fixture(scope="module")
def results_of(tmp_path_factory):
    """Return the results of a kind of run."""
    corpus = make_corpus(LABELS)

    def make_recipe(case, seed, folder="run"):
        model_args = ModelArguments(case.variant)
        for kind in ("audio", "text"):
            if f"{kind}_config" in case.fields:
                setattr(model_args, f"{kind}_model_name_or_path", ENCODERS[kind])
        training_args = EmotionTrainingArguments(str(tmp_path_factory.getbasetemp() / folder), use_cpu=True, seed=seed)
        return Recipe(model=model_args, data=DataArguments("iemocap"), training=training_args)

    def run(case, recipe, corpus_name="iemocap", adapters=False):
        model = case.model(num_labels=3, id2label=dict(enumerate(LABELS)))
        if adapters:
            model.name_or_path = adapters
            model = put_adapters(model, Lora(rank=2), find_targets(model, Lora()))
        collator = EmotionCollator(None, LABELS)
        trainer = SimpleNamespace(model=model, args=recipe.training, train_data_collator=collator)
        metadata = RunMetadataCallback(trainer)
        metadata.add_recipe(recipe, corpus, CorpusMetadata.from_dict(describe_corpus(corpus_name)))
        results, outputs = metadata.results, predict(corpus, recipe.training.seed)
        if case.has_members:
            fused = {kind: combination(2, 3).double() for kind, combination in COMBINATIONS.items()}
            scores = predict(corpus, members=2)
            systems = score_systems(split_systems(["speech", "text"], fused, scores, CLASSES), CLASSES)
            results.late_fusion = LateFusionResults(combination="weighted", systems=systems)
            results.training = {"combination": "weighted", "members": "a, b"}
            outputs = {split: combine(fused["weighted"], rows) for split, rows in scores.items()}
        predictions = collect_predictions(corpus, outputs, CLASSES)
        add_scores(results, collator.task, predictions)
        results.seconds, results.pictures = 12.34, list(PICTURES)
        return results, predictions

    def cross_validate(case):
        runs = []
        for fold in (1, 2, 3):
            recipe = make_recipe(case, 0, f"protocol/fold-{fold}-seed-0")
            runs.append(Run(f"fold-{fold}-seed-0", fold, recipe))
            folder = Path(recipe.training.output_dir)
            folder.mkdir(parents=True)
            results, predictions = run(case, recipe)
            results.write(folder)
            write_predictions(folder / FILE, predictions, CLASSES)
        return summarise_runs(runs)[0]

    @functools.cache
    def make(kind, **options):
        cases = {case.name: case for case in CASES}
        if kind == "cross_validation":
            return cross_validate(cases["cross_attention"])
        if kind == "adapter":
            options = {"adapters": "someone/base"} | options
        case = cases.get(kind, cases["cross_attention"])
        return run(case, make_recipe(case, 0), **options)[0]

    return make


def write(folder, results):
    for name in results.pictures:
        (folder / name).write_bytes(b"\x89PNG")
    results.write(folder)
    return check_page(write_card(folder))


@every_kind
def test_a_card_shows_the_results_of_its_kind_and_no_other_number(results_of, tmp_path, kind):
    results = results_of(kind)
    card = write(tmp_path, results)
    parts, test = sections(card), results.metrics["test"]
    assert list(parts) == SECTIONS
    assert not strange_numbers(card.content, results.to_dict())

    claim = card.text.partition("## ")[0]
    shown = [
        f"{name} {percent(getattr(test, score))} ({100 * low:.1f} to {percent(high)})"
        for name, score in (("WA", "wa"), ("UA", "ua"), ("Weighted F1", "wf1"))
        for low, high in [getattr(results.intervals, score)]
    ]
    assert "**{}, {} and {}**".format(*shown) in claim
    assert "Few data: in the test split, angry, happy and calm have 10 utterances by 2 speakers each" in claim
    assert results.corpus.title in claim
    assert results.corpus.protocol in claim
    if results.paper and results.paper.title:
        assert results.paper.title in claim
        assert results.paper.url in parts["Citation"]

    assert f"| test | {percent(test.wa)} | {percent(test.ua)} |" in parts["Scores"]
    assert results.corpus.selection in parts["Scores"]
    for number, label in enumerate(LABELS):
        row = [percent(getattr(test, name)[number]) for name in ("recall", "precision", "f1")]
        assert f"| {label} | {' | '.join(row)} | {test.support[number]} |" in parts["Scores"]
        assert f"| {label} | {' | '.join(map(str, test.confusion_matrix[number]))} |" in parts["Scores"]
    assert set(results.breakdown) == {"scripted", "improvised", "text seen in training", "text not seen"}
    for name, subset in results.breakdown.items():
        counts = f"{subset.utterances} | {subset.classes} | {percent(subset.wa)}"
        assert f"| {name.capitalize()} | {counts} |" in parts["Scores"]
    for low, high in (results.intervals.wa, results.intervals.ua, results.intervals.wf1):
        assert f"{100 * low:.1f} to {percent(high)}" in parts["Scores"]
    for picture in results.pictures:
        assert f"]({picture})" in parts["Scores"]

    assert f"| test | {results.data['test'].utterances} |" in parts["Data"]
    assert results.corpus.license is None or results.corpus.license in parts["Data"]
    for word in ("perceived", "acted", "not measured"):
        assert word in parts["Limits"]
    assert all(word in " ".join(parts["Out of scope"].split()) for word in NOT_FOR)
    for name, value in results.environment.to_dict().items():
        assert f"| {name} | {value} |" in parts["Training"]
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    for value in (cff["title"], cff["authors"][0]["name"], results.environment.emofusion):
        assert f"{value}}}" in parts["Citation"]


@every_kind
def test_the_metadata_follow_the_hub(results_of, tmp_path, kind):
    results = results_of(kind)
    data = write(tmp_path, results).data
    task = TASKS[next(name for name in TASKS if name in results.modalities)]
    assert (data.pipeline_tag, data.license, data.language) == (task, None, results.corpus.language or None)
    assert data.to_dict()["library_name"] == ("peft" if kind == "adapter" else "transformers")
    bases = [ENCODERS[name] for name in results.modalities if results.base_models.get(name)]
    assert (data.base_model or []) == (["someone/base"] if kind == "adapter" else bases)
    assert {"emotion-recognition", "emofusion"} <= set(data.tags)
    assert ("multimodal" in data.tags) == (len(results.modalities) > 1)
    assert {result.metric_name[:2]: result.metric_value for result in data.eval_results} == {
        name: round(getattr(results.metrics["test"], key), 4)
        for name, key in (("WA", "wa"), ("UA", "ua"), ("We", "wf1"))
    }
    datasets = {(result.dataset_type, result.dataset_name, result.dataset_split) for result in data.eval_results}
    assert datasets == {("iemocap", results.corpus.title, "test")}


@every_kind
def test_a_model_is_loaded_from_one_commit_in_four_lines(results_of, tmp_path, kind):
    card = write(tmp_path, results_of(kind))
    first, *others = examples(card)
    last = (others or [first])[-1]
    assert len([line for line in first.splitlines()[1:] if line]) <= 4
    if kind == "cross_validation":
        assert '"./fold-1-seed-0"' in first
        return
    options = {"base_revision": "b" * 40} if kind == "adapter" else {}
    pinned = ModelCard(address_card(card.content, "someone/model", revision=SHA, **options))
    assert pinned.text.startswith("\n# model\n")
    calls = [line for code in examples(pinned) for line in code.splitlines() if "trust_remote_code" in line]
    assert len(calls) == sum(code.count("trust_remote_code") for code in (first, *others))
    assert all("someone/model" in call and f'"{SHA}"' in call for call in calls)
    assert "AutoProcessor.from_pretrained" in last
    assert all(word in sections(pinned)["Use"] for word in REMOTE_CODE)


def test_a_late_fusion_is_compared_with_members_and_other_combinations(results_of, tmp_path):
    results = results_of("late_fusion")
    section = sections(write(tmp_path, results))["Scores"]
    assert set(results.late_fusion.systems) == {"speech", "text", *COMBINATIONS}
    for name, splits in results.late_fusion.systems.items():
        cells = (
            f"{percent(scores['wa'])} | {percent(scores['ua'])} | {percent(scores['wf1'])} | {scores['nll']:.3f}"
            for scores in (splits["validation"], splits["test"])
        )
        assert f"| {name} | {' | '.join(cells)} |" in section
    assert "this repository holds `weighted`" in section


def test_a_cross_validation_shows_its_runs_and_their_spread(results_of, tmp_path):
    results = results_of("cross_validation")
    parts = sections(write(tmp_path, results))
    for run in results.cross_validation.runs:
        assert f"| {run.name} | {percent(run.metrics['test'].wa)} |" in parts["Scores"]
    for measure, title in (("mean", "Mean"), ("std", "Standard deviation")):
        value = getattr(results.cross_validation.over_runs["wa"], measure)
        assert f"| {title} over runs | {percent(value)} |" in parts["Scores"]
    assert "every test split was measured once" in parts["Scores"]


def test_adapters_name_their_base_and_the_versions_that_load_them(results_of, tmp_path):
    card = write(tmp_path, results_of("adapter"))
    assert card.data.tags[-1] == "lora"
    use = " ".join(sections(card)["Use"].split())
    assert "AutoModelForAudioClassification.from_pretrained" in use
    for words in ("`someone/base`", "`pip install peft`", "5.17 does not", "`peft.PeftModel.from_pretrained`"):
        assert words in use
    local = write(tmp_path, results_of("adapter", adapters=str(tmp_path / "base")))
    assert local.data.base_model is None
    assert "base model, which `adapter_config.json` names" in " ".join(sections(local)["Use"].split())


@pytest.mark.parametrize("name", ["spoken", "meld", "folder"])
def test_a_corpus_is_described_by_its_metadata(results_of, tmp_path, name):
    results = results_of("cross_attention", corpus_name=name)
    card = write(tmp_path, results)
    assert list(sections(card)) == SECTIONS
    assert ("no benchmark" in card.text) == (name == "spoken")
    assert ("Licence of the corpus" in card.text) == (results.corpus.license is not None)
    assert name == "spoken" or not results.corpus.license or results.corpus.license in html.unescape(card.text)


def test_a_checkpoint_without_scores_claims_nothing(results_of, tmp_path):
    results = dataclasses.replace(
        results_of("wavfusion"),
        metrics={},
        intervals=None,
        breakdown={},
        temperature=None,
        seconds=None,
        pictures=[],
    )
    card = write(tmp_path, results)
    assert list(sections(card)) == [name for name in SECTIONS if name != "Scores"]
    assert "%" not in card.text
    assert card.data.eval_results is None


SPEAKER = {
    "system": "speaker_resnet",
    "model_class": "SpeakerResNetForSpeakerRecognition",
    "paper": {"title": "A paper", "authors": "A and B", "year": 2022, "url": "https://arxiv.org/abs/2202.08974"},
    "metrics": {
        "validation": {"accuracy": 0.875, "eer": 0.125, "min_dcf": 0.5},
        "test": {"eer": 0.25, "min_dcf": 0.75},
    },
    "p_target": 0.01,
    "data": {"speakers": 40, "training": 1600, "validation": 160, "test_trials": 300},
    "parameters": 123456,
    "training": {"learning_rate": 0.003, "class_weights": None, "learning_rates": {}, "seed": 0},
    "recipe": {"model_config": {}},
    "environment": {"emofusion": "0.1.0", "torch": "2.13.0+cpu"},
    "seconds": 33.3,
}


@pytest.mark.parametrize("metrics", [SPEAKER["metrics"], {"validation": {"accuracy": 0.875}}, {}])
def test_the_card_of_a_speaker_network_has_the_pattern(tmp_path, metrics):
    results = SPEAKER | {"metrics": metrics}
    (tmp_path / "results.json").write_text(json.dumps(results))
    card = check_page(write_card(tmp_path))
    parts = sections(card)
    assert list(parts) == [name for name in SECTIONS if name != "Scores" or metrics]
    assert not strange_numbers(card.content, results)
    assert (card.data.pipeline_tag, card.data.to_dict()["library_name"]) == ("feature-extraction", "transformers")
    assert ("EER is" in card.text) == ("test" in metrics)
    assert ("| test |  | 25.0 % | 0.750 |" in card.text) == ("test" in metrics)
    assert all(word in " ".join(parts["Out of scope"].split()) for word in NOT_FOR)
    assert "| Parameters, total | 123,456 |" in parts["Training"]
    assert all(word in parts["Use"] for word in REMOTE_CODE)
    pinned = address_card(card.content, "someone/voices", revision=SHA)
    assert pinned.count(f'from_pretrained("someone/voices", revision="{SHA}", trust_remote_code=True)') == 2


def test_the_card_of_the_metric_has_its_own_pattern():
    file = ROOT / "metrics" / "emotion_metrics" / "README.md"
    card = RepoCard.load(file)
    data = card.data.to_dict()
    assert {"title", "license", "sdk", "sdk_version", "app_file", "tags"} <= data.keys()
    assert (data["sdk"], data["license"], data["tags"]) == ("gradio", "apache-2.0", ["evaluate", "metric"])
    assert (file.parent / data["app_file"]).is_file()
    assert list(sections(card)) == ["How to use", "Limits", "Source"]
    assert "`revision`" in card.text
    assert not re.search(r"\]\((?!https://)", card.text)
    for code in examples(card):
        compile(code, "example", "exec")


def percent(share):
    return f"{100 * share:.1f} %"
