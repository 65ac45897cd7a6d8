import json

import numpy as np
import pytest
import torch
from emofusion.configuration.configuration_late_fusion import MEMBER_CONFIGS
from emofusion.corpora import registry
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.evaluation.results import RunResults
from emofusion.modeling.head_score_combination import COMBINATIONS, LogisticCombination
from emofusion.processing import EmoFusionProcessor
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.command_arguments import LateFusionArguments
from emofusion.training.late_fusion.combinations import (
    INVERSE_STRENGTHS,
    WEIGHTED,
    fit_combinations,
    fit_logistic,
    minimise,
)
from emofusion.training.late_fusion.fit import fit_late_fusion, load_processor
from emofusion.training.late_fusion.summary import format_fusion
from emofusion.training.recipe import LATE_FUSION, Recipe, parse_recipe
from emofusion.training.run import train
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from testing_training import FUSION, record_writes, tiny_recipe
from torch.testing import assert_close
from transformers import (
    AutoModelForAudioClassification,
    AutoProcessor,
    BertConfig,
    BertTokenizer,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
)
from transformers.trainer_utils import PredictionOutput

MEMBERS, CLASSES, ROWS = 3, 4, 120


@pytest.fixture(scope="module")
def member_outputs():
    """Log-probabilities of a good, a weak and a useless member, and the labels."""
    random = np.random.default_rng(0)
    labels = np.arange(ROWS) % CLASSES
    logits = random.normal(0, 1, (ROWS, MEMBERS, CLASSES))
    for member, knowledge in enumerate((1.6, 1.2, 0.0)):
        logits[np.arange(ROWS), member, labels] += knowledge
    return log_softmax(logits, axis=-1).reshape(ROWS, -1), labels


@pytest.mark.parametrize("kind", WEIGHTED)
def test_fitted_weights_are_those_of_a_solver_on_the_simplex(kind, member_outputs):
    scores, labels = member_outputs
    combination = COMBINATIONS[kind](MEMBERS, CLASSES).double()
    truth = torch.from_numpy(labels)
    minimise(combination, lambda fused: torch.nn.functional.cross_entropy(fused, truth), torch.from_numpy(scores))

    def loss(weights):
        members = scores.reshape(ROWS, MEMBERS, CLASSES)
        if kind == "weighted_probability":
            return -logsumexp(members, axis=1, b=weights[:, None])[np.arange(ROWS), labels].mean()
        fused = np.einsum("m,rmc->rc", weights, members)
        return -log_softmax(fused, axis=-1)[np.arange(ROWS), labels].mean()

    reference = minimize(
        loss,
        np.full(MEMBERS, 1 / MEMBERS),
        method="SLSQP",
        bounds=[(0, 1)] * MEMBERS,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-14},
    ).x
    np.testing.assert_allclose(combination.weights.detach().numpy(), reference, atol=1e-4)
    assert reference[2] < 1e-3 < reference[1] < reference[0]


@pytest.mark.parametrize("known", [[0, 1, 2, 3], [0, 2, 3], [1, 3]])
def test_logistic_regression_maximises_the_penalised_likelihood(member_outputs, known):
    scores, labels = (torch.from_numpy(part[np.isin(member_outputs[1], known)]) for part in member_outputs)
    combination = LogisticCombination(MEMBERS, CLASSES).double()
    fit_logistic(combination, scores, labels, 0.5)
    reference = LogisticRegression(C=0.5, tol=1e-10, max_iter=10000).fit(scores, labels)
    probabilities = combination(scores).exp().detach().numpy()
    np.testing.assert_allclose(probabilities[:, known], reference.predict_proba(scores), atol=1e-4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_a_member_without_scores_counts_as_uniform(member_outputs):
    scores, labels = (torch.from_numpy(part) for part in member_outputs)
    silent, undecided = scores.clone(), scores.clone()
    silent[::3, :CLASSES] = 0
    undecided[::3, :CLASSES] = -np.log(CLASSES)
    first, second = (LogisticCombination(MEMBERS, CLASSES).double() for _ in range(2))
    fit_logistic(first, silent, labels, 1.0)
    fit_logistic(second, undecided, labels, 1.0)
    assert_close(dict(first.state_dict()), dict(second.state_dict()))


@pytest.fixture(scope="module")
def fitted(member_outputs):
    return fit_combinations(PredictionOutput(*member_outputs, {}), MEMBERS, CLASSES)


def test_the_penalty_has_the_highest_held_out_likelihood(member_outputs, fitted):
    scores, labels = member_outputs
    _, chosen = fitted
    folds = np.arange(ROWS) % 5
    splits = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(5)]
    search = GridSearchCV(
        LogisticRegression(tol=1e-6, max_iter=10000), {"C": INVERSE_STRENGTHS}, scoring="neg_log_loss", cv=splits
    )
    assert chosen == search.fit(scores, labels).best_params_["C"]


def test_fitting_is_deterministic(member_outputs, fitted):
    second, _ = fit_combinations(PredictionOutput(*member_outputs, {}), MEMBERS, CLASSES)
    for kind, combination in fitted[0].items():
        for name, value in combination.state_dict().items():
            assert torch.equal(value, second[kind].state_dict()[name]), kind


@pytest.fixture(scope="module")
def members(tmp_path_factory, corpus_root):
    """Folders of a speech and a text model after one epoch."""
    root = tmp_path_factory.mktemp("members")
    for name, modality in (("speech", "audio"), ("text", "text")):
        config = {"modality": modality, f"{modality}_config": FUSION[f"{modality}_config"], "hidden_size": 8}
        recipe = tiny_recipe(corpus_root, root / name, variant="unimodal", model_config=config, num_train_epochs=1)
        train(parse_recipe(_options(root / f"{name}.json", recipe)))
    return [str(root / "speech"), str(root / "text")]


def _options(path, recipe: dict) -> list[str]:
    path.write_text(json.dumps(recipe))  # JSON is YAML
    return [str(path)]


def run(members, corpus_root, output_dir, combination="weighted", training=None, **others):
    recipe = Recipe(
        late_fusion=LateFusionArguments(members=members, combination=combination),
        data=DataArguments(corpus_root=str(corpus_root), corpus_options={"utterances": BLOCK}, **others),
        training=EmotionTrainingArguments(str(output_dir), use_cpu=True, disable_tqdm=True, **training or {}),
    )
    return fit_late_fusion(recipe)


@pytest.fixture(scope="module")
def fused(members, tmp_path_factory, corpus_root):
    folder = tmp_path_factory.mktemp("fused") / "both"
    return folder, run(members, corpus_root, folder)


def test_every_member_and_every_combination_is_measured(fused, members):
    folder, results = fused
    assert RunResults.read(folder) == results
    systems = results.late_fusion.systems
    assert list(systems) == ["speech", "text", *COMBINATIONS]
    for name, member in zip(("speech", "text"), members, strict=True):
        alone = RunResults.read(member).metrics
        for split in ("validation", "test"):
            assert systems[name][split]["ua"] == alone[split].ua
            assert systems[name][split]["nll"] == pytest.approx(alone[split].nll, abs=1e-5)
            assert results.metrics[split].ua == systems["weighted"][split]["ua"]
    for kind, mean in (("weighted", "mean"), ("weighted_probability", "mean_probability")):
        for better in (mean, "speech", "text"):
            assert systems[kind]["validation"]["nll"] <= systems[better]["validation"]["nll"] + 1e-6
        assert sum(results.late_fusion.weights[kind].values()) == pytest.approx(1)
    table = format_fusion(results).splitlines()
    assert [line.split()[0] for line in table[2:9]] == list(systems)
    assert f"{100 * systems['mean']['test']['wa']:.1f}" == table[4].split()[5]


def test_the_saved_model_has_the_measured_scores(fused, corpus):
    folder, results = fused
    model, processor = AutoModelForAudioClassification.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    assert type(model).__name__ == "LateFusionForSequenceClassification"
    assert not model.training
    rows = list(corpus["test"])
    with torch.no_grad():
        output = model(**EmotionCollator(processor, results.labels)(rows))
    assert output.loss.item() == pytest.approx(results.metrics["test"].nll, abs=1e-4)
    weights = results.late_fusion.weights["weighted"].values()
    assert model.classifier.weights.tolist() == pytest.approx(list(weights), abs=1e-6)
    assert model.config.id2label == dict(enumerate(results.labels))


def test_the_folder_is_a_hub_folder_with_members_and_weights_on_its_card(fused):
    folder, results = fused
    names = {path.name for path in folder.iterdir()}
    assert {"modeling_late_fusion.py", "modeling_unimodal.py", "processing_late_fusion.py"} <= names
    assert {"confusion_matrix.png", "tokenizer.json", "model.safetensors"} <= names
    assert not {"learning_curve.png", "training_log.json", "training_args.bin"} & names
    page = (folder / "README.md").read_text()
    assert "fitted on the validation split" in page
    weights = {
        kind: [f"{weight:.3f}" for weight in found.values()] for kind, found in results.late_fusion.weights.items()
    }
    for kind, cells in weights.items():
        assert f"| {kind} | {' | '.join(cells)} |" in page
    assert "none was trained on an utterance of the validation or test split" in page
    assert "learning_rate" not in page
    assert str(folder) not in page


def test_the_test_split_does_not_influence_the_fit(fused, members, corpus_root, corpus, tmp_path, monkeypatch):
    _, results = fused
    rows = corpus["test"]
    relabelled = rows.map(lambda row: {"label": (row["label"] + 1) % 4}, features=rows.features)
    monkeypatch.setattr(registry, "load_corpus", lambda *_, **__: type(corpus)({**corpus, "test": relabelled}))
    other = run(members, corpus_root, tmp_path / "other")
    assert other.metrics["test"] != results.metrics["test"]
    assert other.late_fusion.weights == results.late_fusion.weights
    assert other.late_fusion.inverse_strength == results.late_fusion.inverse_strength


def test_a_speaker_in_two_splits_is_refused(members, corpus_root, corpus, tmp_path, monkeypatch):
    rows, speaker = corpus["test"], corpus["train"]["speaker"][0]
    leaking = rows.map(lambda row: {"speaker": speaker}, features=rows.features)
    monkeypatch.setattr(registry, "load_corpus", lambda *_, **__: type(corpus)({**corpus, "test": leaking}))
    with pytest.raises(ValueError, match=speaker):
        run(members, corpus_root, tmp_path / "leaking")


def test_an_output_dir_that_cannot_be_written_is_refused_at_once(members, corpus_root, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(registry, "load_corpus", None)  # the fusion fails before
    with pytest.raises(OSError, match=r"output_dir: .* cannot be created"):
        run(members, corpus_root, tmp_path / "file" / "fusion")


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_fusion_is_pushed_if_its_arguments_ask_for_it(hub, members, corpus_root, tmp_path):
    push = {"push_to_hub": True, "hub_model_id": "someone/fusion"}
    results = run(members, corpus_root, tmp_path / "fusion", training=push)
    _, commit, pinned = hub.repos["model", "someone/fusion"].branches["main"]
    assert {*results.pictures, "model.safetensors", "results.json"} <= commit.files.keys()
    assert f"WA {100 * results.metrics['test'].wa:.1f} %" in pinned.files["README.md"].decode()


def test_each_file_of_a_fusion_is_written_once_and_the_results_last(members, corpus_root, tmp_path, monkeypatch):
    written = record_writes(monkeypatch, tmp_path / "fusion")
    run(members, corpus_root, tmp_path / "fusion")
    kept = [name for name in written if name.endswith((".json", ".jsonl", ".md", ".png", ".safetensors"))]
    assert {name: kept.count(name) for name in ("model.safetensors", "predictions.jsonl", "README.md")} == {
        "model.safetensors": 1,
        "predictions.jsonl": 1,
        "README.md": 1,
    }
    assert written[-2:] == ["README.md", "results.json"]


@pytest.mark.parametrize(("combination", "expected"), [("mean", "Nothing was fitted"), ("logistic", "| `C` |")])
def test_the_selected_combination_is_saved(combination, expected, members, corpus_root, tmp_path):
    results = run(members[:1], corpus_root, tmp_path / "one", combination=combination)
    assert results.modalities == ["audio"]
    assert results.system == "late_fusion"
    assert results.metrics["test"].ua == results.late_fusion.systems[combination]["test"]["ua"]
    assert expected in (tmp_path / "one" / "README.md").read_text()


def test_members_with_one_name_are_numbered(members, corpus_root, tmp_path):
    results = run([members[0], members[0]], corpus_root, tmp_path / "twice")
    assert list(results.late_fusion.systems)[:2] == ["speech-0", "speech-1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": []}, "members is empty"),
        ({"members": ["a"], "combination": "median"}, "combination is 'median'; choose one of mean, weighted"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LateFusionArguments(**arguments)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("max_seconds", 2), ("frames_per_second", 2), ("max_train_samples", 2), ("soft_labels", True)),
        ("augmentation", {"gain": {"db": [0, 1]}}),
    ],
)
def test_arguments_for_the_training_of_members_are_refused(argument, value, members, corpus_root, tmp_path):
    with pytest.raises(
        ValueError,
        match=rf"^{argument} is given, but only the training of members has it; .* member_options.{argument}",
    ):
        run(members, corpus_root, tmp_path / "cut", **{argument: value})


@pytest.mark.parametrize(
    "options",
    [
        *({"class_weights": "balanced"}, {"label_smoothing_factor": 0.1}),
        *({"sampler": "balanced"}, {"early_stopping_patience": 1}, {"head_epochs": 1}),
    ],
)
def test_options_of_the_training_of_members_are_refused(options, members, tmp_path):
    training = EmotionTrainingArguments(output_dir=str(tmp_path / "lossy"), use_cpu=True, **options)
    recipe = Recipe(late_fusion=LateFusionArguments(members=members), data=DataArguments(), training=training)
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} is given, but only the training of members"):
        fit_late_fusion(recipe)


def test_a_late_fusion_is_not_trained(tmp_path):
    with pytest.raises(ValueError, match="emofusion fit-late-fusion"):
        train(
            Recipe(
                model=ModelArguments(variant="late_fusion"),
                data=DataArguments(),
                training=EmotionTrainingArguments(output_dir=str(tmp_path)),
            )
        )


def test_a_recipe_gives_all_arguments(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("members: [a, b]\ncombination: logistic\ncorpus: spoken\noutput_dir: out\nuse_cpu: true\n")
    recipe = parse_recipe([str(path), "--members", "c"], LATE_FUSION)
    assert recipe.late_fusion == LateFusionArguments(members=["c"], combination="logistic")
    assert (recipe.data.corpus, recipe.training.output_dir) == ("spoken", "out")
    path.write_text("members: [a]\nvariant: unimodal\n")
    with pytest.raises(ValueError, match="unknown key 'variant'"):
        parse_recipe([str(path)], LATE_FUSION)


def test_members_from_transformers_bring_their_processor(tmp_path, members):
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path / "hears")
    BertTokenizer(
        vocab=dict(zip(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello"], range(6), strict=True))
    ).save_pretrained(tmp_path / "reads")
    hears = load_processor(str(tmp_path / "hears"), Wav2Vec2Config())
    reads = load_processor(str(tmp_path / "reads"), BertConfig())
    assert hears.feature_extractor.do_normalize is False
    assert (hears.tokenizer, reads.feature_extractor) == (None, None)
    assert reads.tokenizer.get_vocab()["hello"] == 5
    ours = load_processor(members[0], MEMBER_CONFIGS["emofusion_unimodal"]())
    assert type(ours) is EmoFusionProcessor
    assert ours.max_seconds == 0.3
