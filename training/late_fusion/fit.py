"""Late fusion of trained classifiers: fitted on the validation split, measured on the test split."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoTokenizer, PreTrainedConfig
from transformers.trainer_utils import PredictionOutput

from ...configuration.configuration_late_fusion import MEMBER_CONFIGS, member_modalities
from ...evaluation.predictions import collect_predictions
from ...evaluation.results import LateFusionResults, RunResults
from ...evaluation.scores import score
from ...modeling.modeling_checkpoint import check_files
from ...modeling.modeling_late_fusion import LateFusionForSequenceClassification
from ...processing import EmoFusionProcessor
from ...processing.processing_late_fusion import LateFusionProcessor
from ..arguments import ModelArguments
from ..collator import EmotionCollator
from ..failures import explained
from ..lifecycle import add_scores, finish_run, load_rows, predict_splits
from ..model_building import source_named
from ..output_folder import claimed_folder
from ..recipe import Recipe
from ..row_checks import check_labels, check_modalities
from ..trainer import EmotionTrainer
from .combinations import combine, fit_combinations

# Scores of each member and each combination.
SCORES = ("wa", "ua", "wf1", "nll")
# Arguments that only matter when the members are trained.
OF_MEMBERS = {
    "data": ("max_seconds", "frames_per_second", "max_train_samples", "soft_labels", "augmentation"),
    "training": ("class_weights", "label_smoothing_factor"),
}


def fit_late_fusion(recipe: Recipe) -> RunResults:
    """Run the members on validation and test split, fit every combination on the validation split, and save one.

    `output_dir` becomes a Hub folder: weights, configuration, processor, code, `results.json`, pictures and card.

    Args:
        recipe: The recipe, with `late_fusion`, `data` and `training`. The training arguments give the output folder and
            `per_device_eval_batch_size`; nothing is trained in steps.

    Returns:
        The results, as in `results.json`; `late_fusion` has the scores of every member and combination.

    Raises:
        ValueError: If a model cannot be a member or does not know the labels of the corpus, or if an argument is given
            that only matters when the members are trained.
    """
    _check_arguments(recipe)
    with claimed_folder(recipe.training), explained():
        return _fit(recipe)


def _fit(recipe: Recipe) -> RunResults:
    fusion_args, training_args = recipe.late_fusion, recipe.training
    corpus, metadata = load_rows(recipe)
    labels = corpus["train"].features["label"].names
    check_labels(corpus, labels)
    trainer = _build_trainer(recipe, corpus, labels)
    check_modalities({name: corpus[name] for name in ("validation", "test")}, trainer.model.config)
    start = time.perf_counter()
    # The embedding of a late fusion is the log-probabilities of its members; the other outputs are ignored.
    scores = predict_splits(trainer, corpus, ignore_keys=["logits", "losses"])
    combinations, inverse_strength = fit_combinations(scores["validation"], len(fusion_args.members), len(labels))
    seconds = time.perf_counter() - start
    chosen = combinations[fusion_args.combination]
    trainer.model.classifier.load_state_dict(chosen.state_dict())

    model_args = ModelArguments(variant="late_fusion", model_config={"combination": fusion_args.combination})
    trainer.run_metadata.add_recipe(dataclasses.replace(recipe, model=model_args), corpus, metadata)
    results = trainer.run_metadata.results
    results.seconds = round(seconds, 2)
    describe_fusion(results, fusion_args.members, fusion_args.combination, combinations, inverse_strength)
    results.late_fusion.systems = score_systems(fusion_args.members, combinations, scores, labels)
    predictions = collect_predictions(corpus, {split: combine(chosen, rows) for split, rows in scores.items()})
    add_scores(results, trainer.task, predictions)
    finish_run(training_args.output_dir, results, trainer=trainer, predictions=predictions)
    return results


def load_processor(source: str, config: PreTrainedConfig) -> EmoFusionProcessor:
    """Return the processor of a member.

    Args:
        source: Folder or Hub id of the member.
        config: Its configuration.
    """
    if config.model_type in MEMBER_CONFIGS:
        return EmoFusionProcessor.from_pretrained(source)
    if "audio" in member_modalities(config):
        return EmoFusionProcessor(AutoFeatureExtractor.from_pretrained(source))
    return EmoFusionProcessor(tokenizer=AutoTokenizer.from_pretrained(source))


def describe_fusion(
    results: RunResults,
    members: Sequence[str],
    combination: str,
    combinations: Mapping[str, nn.Module],
    inverse_strength: float,
) -> None:
    """Replace the training settings in the results by members and combination.

    Args:
        results: The results of the fusion.
        members: Folders or Hub ids of the members.
        combination: Name of the combination that is saved.
        combinations: All combinations, fitted.
        inverse_strength: Inverse strength of the logistic combination's penalty.
    """
    sources = dict(zip(name_members(members), members, strict=True))
    weights = dict(zip(sources, combinations["weighted"].weights.tolist(), strict=True))
    fitted = {
        "mean": {},
        "weighted": {"weights": ", ".join(f"{name} {weight:.3f}" for name, weight in weights.items())},
        "logistic": {"C": inverse_strength},
    }
    how = "Nothing was fitted" if combination == "mean" else "The combination was fitted on the validation split"
    results.corpus = dataclasses.replace(
        results.corpus, selection=f"{how}; the test split was measured once, at the end."
    )
    results.training = {"members": ", ".join(sources), "combination": combination, **fitted[combination]}
    results.base_models = {name: source for name, source in sources.items() if not Path(source).exists()}
    results.late_fusion = LateFusionResults(members=sources, weights=weights, inverse_strength=inverse_strength)


def score_systems(
    members: Sequence[str],
    combinations: Mapping[str, nn.Module],
    scores: Mapping[str, PredictionOutput],
    labels: list[str],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return WA, UA, weighted F1 and NLL of every member and every combination.

    Args:
        members: Folders or Hub ids of the members.
        combinations: The combinations, from `fit_combinations`.
        scores: Per split, the members' log-probabilities and the label ids.
        labels: Names of the classes.

    Returns:
        Scores by system, split and name of the score.
    """
    systems = {}
    for number, name in enumerate(name_members(members)):
        columns = slice(number * len(labels), (number + 1) * len(labels))
        systems[name] = {
            split: rows._replace(predictions=rows.predictions[:, columns]) for split, rows in scores.items()
        }
    for kind, combination in combinations.items():
        systems[kind] = {split: combine(combination, rows) for split, rows in scores.items()}
    return {name: {split: _score(rows, labels) for split, rows in splits.items()} for name, splits in systems.items()}


def format_systems(results: RunResults) -> str:
    """Return the scores of `score_systems` as a table for the console, in percent; NLL in nats."""
    systems = results.late_fusion.systems
    width = max(map(len, systems))
    lines = [
        f"{'':<{width}}{'validation':>24}{'test':>32}",
        f"{'system':<{width}}" + 2 * "      WA      UA     WF1     NLL",
    ]
    for name, splits in systems.items():
        cells = "".join(
            "".join(f"{100 * scores[score]:8.1f}" for score in SCORES[:3]) + f"{scores['nll']:8.3f}"
            for scores in splits.values()
        )
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)


def name_members(members: Sequence[str]) -> list[str]:
    """Return the last part of each member's path, with the member's number where two parts are equal."""
    last = [Path(member).name for member in members]
    return [name if last.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(last)]


def _check_arguments(recipe: Recipe) -> None:
    for group, names in OF_MEMBERS.items():
        for name in names:
            if getattr(getattr(recipe, group), name):
                raise ValueError(
                    f"{name} is given, but the members of a late fusion are trained already; leave it out."
                )
    for member in recipe.late_fusion.members:  # before the corpus is loaded, which may take long
        if Path(member).exists() and not Path(member, "config.json").is_file():
            raise ValueError(f"members names {member}, which holds no model: it has no config.json.")
        check_files(member)
        with source_named("members", member):
            AutoConfig.from_pretrained(member)


def _build_trainer(recipe: Recipe, corpus: Mapping, labels: list[str]) -> EmotionTrainer:
    members = recipe.late_fusion.members
    model = LateFusionForSequenceClassification.from_members_pretrained(
        members, combination=recipe.late_fusion.combination, id2label=dict(enumerate(labels))
    )
    processors = list(map(load_processor, members, model.config.member_configs))
    processor = LateFusionProcessor.from_members(processors)
    return EmotionTrainer(
        model=model,
        args=recipe.training,
        data_collator=EmotionCollator(processor, labels),
        eval_dataset=corpus["validation"],
        processing_class=processor,
        compute_metrics=None,
    )


def _score(rows: PredictionOutput, labels: list[str]) -> dict[str, float]:
    scores = score(rows, labels)
    return {name: getattr(scores, name) for name in SCORES}
