"""Late fusion of trained classifiers: fitted on the validation part, measured on the test part."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoFeatureExtractor, AutoTokenizer, PreTrainedConfig, set_seed
from transformers.trainer_utils import PredictionOutput

from ...configuration.configuration_late_fusion import MEMBER_CONFIGS, member_modalities
from ...corpora import describe_corpus, load_corpus
from ...evaluation.predictions import collect_predictions
from ...modeling.head_score_combination import COMBINATIONS, LogisticCombination, WeightedCombination
from ...modeling.modeling_late_fusion import LateFusionForSequenceClassification
from ...processing import EmoFusionProcessor
from ...processing.processing_late_fusion import LateFusionProcessor
from ..arguments import ModelArguments
from ..collator import EmotionCollator
from ..command_arguments import LateFusionArguments
from ..recipe import Recipe
from ..report import collect_facts, collect_results, score, write_report
from ..texts import choose_texts
from ..trainer import EmotionTrainer

# Inverse strengths of the logistic regression's penalty that are tried, as in scikit-learn; the strongest first.
INVERSE_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
FOLDS = 5
# Bias of a class that the logistic regression has not seen.
NEVER = -1e3
# What is told of every member and every combination.
FIGURES = ("wa", "ua", "wf1", "nll")


def fit_late_fusion(recipe: Recipe) -> dict:
    """Run the members over the validation and the test part, fit every combination on the former, save one.

    `output_dir` becomes a Hub folder: weights, configuration, processor, code, `results.json`, picture and card.

    Args:
        recipe: Its groups `late_fusion`, `data` and `training`; of the last, `output_dir` and
            `per_device_eval_batch_size` matter, because nothing is trained in steps.

    Returns:
        The results, as in `results.json`; `late_fusion` has the figures of every member and every combination.

    Raises:
        ValueError: if a member cannot be one or does not know the labels of the corpus, or if an argument is given
            that is a matter of the members.
    """
    fusion_args, data_args, training_args = recipe.late_fusion, recipe.data, recipe.training
    theirs = ("max_seconds", "frames_per_second", "max_train_samples", "soft_labels", "augmentation")
    for group, names in ((data_args, theirs), (training_args, ("class_weights", "label_smoothing_factor"))):
        if name := next((name for name in names if getattr(group, name)), None):
            raise ValueError(f"{name} is given, but the members of a late fusion are trained already; leave it out.")
    set_seed(training_args.seed)
    with training_args.main_process_first(desc="the corpus"):
        corpus = load_corpus(data_args.corpus, data_args.corpus_root, **data_args.corpus_options)
    corpus = choose_texts(corpus, data_args.text_column)
    labels = corpus["train"].features["label"].names
    model = LateFusionForSequenceClassification.from_members_pretrained(
        fusion_args.members, combination=fusion_args.combination, id2label=dict(enumerate(labels))
    )
    processors = map(load_processor, fusion_args.members, model.config.member_configs)
    processor = LateFusionProcessor.from_members(list(processors))
    trainer = EmotionTrainer(
        model=model,
        args=training_args,
        data_collator=EmotionCollator(processor, labels),
        eval_dataset=corpus["validation"],
        processing_class=processor,
        compute_metrics=None,
    )
    start = time.perf_counter()
    scores = {
        # of the outputs the embedding alone: the members' log-probabilities
        split: trainer.predict(corpus[split], ignore_keys=["logits", "losses"], metric_key_prefix=split)
        for split in ("validation", "test")
    }
    combinations, inverse_strength = fit_combinations(scores["validation"], len(fusion_args.members), len(labels))
    seconds = time.perf_counter() - start
    chosen = combinations[fusion_args.combination]
    model.classifier.load_state_dict(chosen.state_dict())

    model_args = ModelArguments(variant="late_fusion", model_config={"combination": fusion_args.combination})
    about = describe_corpus(data_args.corpus, **data_args.corpus_options)
    facts = collect_facts(model, corpus, about, dataclasses.replace(recipe, model=model_args))
    facts |= _describe(fusion_args, facts["corpus"], combinations, inverse_strength)
    facts["late_fusion"]["systems"] = compare(fusion_args.members, combinations, scores, labels)
    predictions = collect_predictions(corpus, {split: combine(chosen, rows) for split, rows in scores.items()})
    results = collect_results(facts, predictions, seconds) | {"pictures": ["confusion_matrix.png", "reliability.png"]}
    trainer.save_model()
    if trainer.is_world_process_zero():
        write_report(training_args.output_dir, results, [], predictions)
    trainer.accelerator.wait_for_everyone()
    return results


def load_processor(source: str, config: PreTrainedConfig) -> EmoFusionProcessor:
    """The processor that a member was trained with.

    Args:
        source: the member's folder, or its name on the Hub.
        config: its configuration.
    """
    if config.model_type in MEMBER_CONFIGS:
        return EmoFusionProcessor.from_pretrained(source)
    if "audio" in member_modalities(config):
        return EmoFusionProcessor(AutoFeatureExtractor.from_pretrained(source))
    return EmoFusionProcessor(tokenizer=AutoTokenizer.from_pretrained(source))


def fit_combinations(validation: PredictionOutput, members: int, classes: int) -> tuple[dict[str, nn.Module], float]:
    """Every combination, in float64, fitted on the validation part to the highest likelihood.

    The penalty of the logistic regression is the one of `INVERSE_STRENGTHS` under which the likelihood is highest in
    cross-validation, every fifth row of the validation part being held out in turn.

    Args:
        validation: the members' log-probabilities `(utterances, members * classes)` and label ids `(utterances,)`.
        members: how many there are.
        classes: how many labels.

    Returns:
        The combinations by name, and the inverse strength chosen for the logistic one.
    """
    scores, labels = torch.from_numpy(validation.predictions).double(), torch.from_numpy(validation.label_ids)
    fitted = {kind: combination(members, classes).double() for kind, combination in COMBINATIONS.items()}
    fit_weights(fitted["weighted"], scores, labels)

    logistic, folds, losses = fitted["logistic"], torch.arange(len(labels)) % FOLDS, []
    for inverse_strength in INVERSE_STRENGTHS:
        loss = 0.0
        for fold in range(FOLDS):
            fit_logistic(logistic, scores[folds != fold], labels[folds != fold], inverse_strength)
            with torch.no_grad():
                answers = logistic(scores[folds == fold])
            loss += F.cross_entropy(answers, labels[folds == fold], reduction="sum").item()
        losses.append(loss)
    best = INVERSE_STRENGTHS[losses.index(min(losses))]
    fit_logistic(logistic, scores, labels, best)
    return fitted, best


def fit_weights(combination: WeightedCombination, scores: torch.Tensor, labels: torch.Tensor) -> None:
    """Give the members the weights of the highest likelihood, by L-BFGS; the same each time.

    Args:
        combination: begins as the mean.
        scores: log-probabilities `(utterances, members * classes)`.
        labels: class ids `(utterances,)`.
    """
    optimizer = torch.optim.LBFGS(
        combination.parameters(),
        max_iter=1000,
        tolerance_grad=1e-8,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(combination(scores), labels)
        value.backward()
        return value

    optimizer.step(loss)


@torch.no_grad()
def fit_logistic(
    combination: LogisticCombination, scores: torch.Tensor, labels: torch.Tensor, inverse_strength: float
) -> None:
    """Give a combination the weights of scikit-learn's logistic regression.

    Args:
        combination: is changed.
        scores: log-probabilities `(utterances, members * classes)`.
        labels: class ids `(utterances,)`, two or more; others get a probability of (nearly) zero.
        inverse_strength: of the penalty on the squared weights, scikit-learn's C.
    """
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=inverse_strength, tol=1e-6, max_iter=10_000)
    regression.fit(combination.features(scores).numpy(), labels.numpy())
    combination.weight.zero_()
    combination.bias.fill_(NEVER)
    known = torch.from_numpy(regression.classes_)
    combination.bias[known] = 0.0
    known = known[-len(regression.coef_) :]  # of two classes scikit-learn tells the second one's weights
    combination.weight[known] = torch.from_numpy(regression.coef_)
    combination.bias[known] = torch.from_numpy(regression.intercept_)


@torch.no_grad()
def combine(combination: nn.Module, rows: PredictionOutput) -> PredictionOutput:
    """The members' log-probabilities `(utterances, members * classes)` made one, `(utterances, classes)`."""
    return rows._replace(predictions=combination(torch.from_numpy(rows.predictions).double()).numpy())


def compare(
    members: Sequence[str],
    combinations: Mapping[str, nn.Module],
    scores: Mapping[str, PredictionOutput],
    labels: list[str],
) -> dict[str, dict[str, dict[str, float]]]:
    """WA, UA, weighted F1 and NLL of every member alone and of every combination.

    Args:
        members: their folders or names.
        combinations: from `fit_combinations`.
        scores: per split, the members' log-probabilities and the label ids.
        labels: names of the classes.

    Returns:
        Per system and split, the figures.
    """
    systems = {}
    for number, name in enumerate(_names(members)):
        columns = slice(number * len(labels), (number + 1) * len(labels))
        systems[name] = {
            split: rows._replace(predictions=rows.predictions[:, columns]) for split, rows in scores.items()
        }
    for kind, combination in combinations.items():
        systems[kind] = {split: combine(combination, rows) for split, rows in scores.items()}
    return {
        name: {split: {figure: score(rows, labels)[figure] for figure in FIGURES} for split, rows in splits.items()}
        for name, splits in systems.items()
    }


def format_comparison(results: Mapping) -> str:
    """What `compare` found, as a table for the console, in percent; NLL in nats."""
    systems = results["late_fusion"]["systems"]
    width = max(map(len, systems))
    lines = [
        f"{'':<{width}}{'validation':>24}{'test':>32}",
        f"{'system':<{width}}" + 2 * "      WA      UA     WF1     NLL",
    ]
    for name, splits in systems.items():
        cells = "".join(
            "".join(f"{100 * figures[figure]:8.1f}" for figure in FIGURES[:3]) + f"{figures['nll']:8.3f}"
            for figures in splits.values()
        )
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)


def _describe(
    fusion_args: LateFusionArguments,
    corpus: Mapping,
    combinations: Mapping[str, nn.Module],
    inverse_strength: float,
) -> dict:
    """What stands in the results where a training run tells of its steps."""
    kind, sources = fusion_args.combination, dict(zip(_names(fusion_args.members), fusion_args.members, strict=True))
    weights = dict(zip(sources, combinations["weighted"].weights.tolist(), strict=True))
    told = {
        "mean": {},
        "weighted": {"weights": ", ".join(f"{name} {weight:.3f}" for name, weight in weights.items())},
        "logistic": {"C": inverse_strength},
    }
    done = "Nothing was fitted" if kind == "mean" else "The combination was fitted on the validation split"
    return {
        "training": {"members": ", ".join(sources), "combination": kind, **told[kind]},
        "corpus": {**corpus, "selection": f"{done}; the test split was measured once, at the end."},
        "base_models": {name: source for name, source in sources.items() if not Path(source).exists()},
        "late_fusion": {"members": sources, "weights": weights, "inverse_strength": inverse_strength},
    }


def _names(members: Sequence[str]) -> list[str]:
    """Of each member the last part of its path, with its number where another has the same."""
    last = [Path(member).name for member in members]
    return [name if last.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(last)]
