"""Late fusion of trained models: members trained, combination fitted on the validation split, measured on the test split."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from datasets import DatasetDict
from torch import nn
from transformers import AutoFeatureExtractor, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.trainer_utils import PredictionOutput

from ...configuration.configuration_late_fusion import MEMBER_CONFIGS, member_modalities
from ...evaluation.metadata import CorpusMetadata
from ...evaluation.predictions import collect_predictions
from ...evaluation.results import LateFusionResults, RunResults
from ...evaluation.task import Task
from ...modeling.modeling_late_fusion import LateFusionForSequenceClassification
from ...processing import EmoFusionProcessor
from ...processing.processing_late_fusion import LateFusionProcessor
from ..arguments import ModelArguments
from ..collator import EmotionCollator
from ..command_arguments import SOUP
from ..failures import explained
from ..lifecycle import add_scores, finish_run, load_rows, predict_splits
from ..output_folder import claimed_folder
from ..planned_run import Log, Show
from ..recipe import Recipe
from ..row_checks import check_modalities
from ..text_classifier import TextClassifierCollator, TextClassifierTrainer
from ..trainer import EmotionTrainer
from .checks import check_arguments, check_combination, check_members
from .combinations import WEIGHTED, combine, fit_combinations, fit_value_combinations
from .members import plan_members, train_members
from .proof import warn_of_unproven
from .soup import build_soup
from .summary import add_comparisons, format_weights


def fit_late_fusion(
    recipe: Recipe, place: str | None = None, log: Log | None = None, show: Show | None = None
) -> RunResults:
    """Train the members, fit every combination of them on the validation split, measure them on the test split, save one.

    Members that are recipes are trained if they are not finished. A member that was trained on utterances of the
    validation or test split is refused. `output_dir` becomes a Hub folder: weights, configuration, processor, code,
    `results.json`, pictures and card.

    Args:
        recipe: The recipe, with `late_fusion`, `data` and `training`, whose task is that of the members. The training arguments give the output folder and
            `per_device_eval_batch_size`; nothing but members is trained in steps.
        place: Beginning of the names of the runs of a cross-validation, such as "fold-1-"; None outside.
        log: Called with a line of text when a member is trained.
        show: As in `train`, for the members.

    Returns:
        The results, as in `results.json`; `late_fusion` has the scores of every member and combination.

    Raises:
        ValueError: If a model cannot be a member or does not know the labels of the corpus, if it was trained on other
            splits, or if an argument is given that only matters when the members are trained.
    """
    check_combination(recipe)
    members = plan_members(recipe, place)
    check_arguments(recipe, len(members))
    with claimed_folder(recipe.training), explained():
        corpus, metadata, task = load_rows(recipe)
        task.check_rows(corpus)
        check_members(recipe, members, corpus, metadata, task)
        train_members(members, recipe.training.process_index == 0, log, show)
        return _fit(recipe, {member.name: member.locate() for member in members}, corpus, metadata, task)


def _fit(
    recipe: Recipe, members: Mapping[str, str], corpus: DatasetDict, metadata: CorpusMetadata, task: Task
) -> RunResults:
    unproven = warn_of_unproven(members, corpus, metadata)
    trainer = _build_trainer(recipe, list(members.values()), corpus, task)
    check_modalities({name: corpus[name] for name in ("validation", "test")}, trainer.model.config)
    start = time.perf_counter()
    # The embedding of a late fusion is the log-probabilities or values of its members; the other outputs are ignored.
    scores = predict_splits(trainer, corpus, ignore_keys=["logits", "losses"])
    if task.classes:
        combinations, inverse_strength = fit_combinations(scores["validation"], len(members), len(task.classes))
    else:
        combinations, inverse_strength = fit_value_combinations(scores["validation"], len(members), task)
    systems = split_systems(list(members), combinations, scores, task)
    combination = recipe.late_fusion.combination
    if combination == SOUP:
        trainer = _build_soup_trainer(recipe, members, trainer, corpus, task)
        systems[SOUP] = predict_splits(trainer, corpus, ignore_keys=["losses", "embedding"])
    else:
        head = trainer.model.classifier if task.classes else trainer.model.dimension_head
        head.load_state_dict(combinations[combination].state_dict())
    seconds = time.perf_counter() - start

    fusion = LateFusionResults(
        combination=combination,
        members=dict(members),
        unproven=unproven,
        weights={
            kind: dict(zip(members, combinations[kind].weights.tolist(), strict=True))
            for kind in WEIGHTED
            if kind in combinations
        },
        inverse_strength=inverse_strength,
        systems=score_systems(systems, task),
    )
    predictions = {
        split: task.add_systems(rows, {name: outputs[split] for name, outputs in systems.items()})
        for split, rows in collect_predictions(corpus, systems[combination], task).items()
    }
    add_comparisons(fusion, task, [predictions["test"]])
    results = _describe(recipe, trainer, corpus, metadata, fusion)
    results.seconds = round(seconds, 2)
    add_scores(results, trainer.task, predictions)
    finish_run(recipe.training.output_dir, results, trainer=trainer, predictions=predictions, corpus=corpus)
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


def split_systems(
    members: list[str], combinations: Mapping[str, nn.Module], scores: Mapping[str, PredictionOutput], task: Task
) -> dict[str, dict[str, PredictionOutput]]:
    """Return the log-probabilities, or the values of dimensions, of every member and every combination.

    Args:
        members: Names of the members.
        combinations: The combinations, from `fit_combinations` or `fit_value_combinations`.
        scores: Per split, the members' scores `(utterances, members * labels)` and the labels. A value that is NaN, of a
            member without input, becomes the centre of the scale.
        task: The task.

    Returns:
        Outputs by system and split.
    """
    systems, size = {}, len(task.labels)
    centre = 0.0 if task.classes else sum(task.dimension_scale) / 2
    for number, name in enumerate(members):
        columns = slice(number * size, (number + 1) * size)
        systems[name] = {
            split: rows._replace(predictions=np.nan_to_num(rows.predictions[:, columns], nan=centre))
            for split, rows in scores.items()
        }
    for kind, combination in combinations.items():
        systems[kind] = {split: combine(combination, rows) for split, rows in scores.items()}
    return systems


def score_systems(
    systems: Mapping[str, Mapping[str, PredictionOutput]], task: Task
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the `system_scores` of systems, by system, split and name of the score.

    Args:
        systems: Outputs and labels by system and split, from `split_systems`.
        task: The task.
    """
    return {name: {split: _score(rows, task) for split, rows in splits.items()} for name, splits in systems.items()}


def _describe(
    recipe: Recipe, trainer: EmotionTrainer, corpus: DatasetDict, metadata: CorpusMetadata, fusion: LateFusionResults
) -> RunResults:
    """Return the results of a fusion but for its scores: its members take the place of the training settings."""
    combination = fusion.combination
    model_args = ModelArguments(variant="late_fusion")
    trainer.run_metadata.add_recipe(dataclasses.replace(recipe, model=model_args), corpus, metadata)
    results = trainer.run_metadata.results
    fitted = {kind: {"C": fusion.inverse_strength} for kind in ("logistic", "linear")}
    fitted |= {kind: {"weights": format_weights(weights)} for kind, weights in fusion.weights.items()}
    is_fitted = combination in fitted
    how = "The combination was fitted on the validation split" if is_fitted else "Nothing was fitted"
    results.corpus = dataclasses.replace(
        results.corpus, selection=f"{how}; the test split was measured once, at the end."
    )
    results.training = {
        "members": ", ".join(fusion.members),
        "combination": combination,
        **fitted.get(combination, {}),
    }
    results.base_models = {name: source for name, source in fusion.members.items() if not Path(source).exists()}
    results.recipe, results.late_fusion = recipe.describe(), fusion
    return results


def _build_trainer(recipe: Recipe, members: list[str], corpus: DatasetDict, task: Task) -> EmotionTrainer:
    combination = recipe.late_fusion.combination
    model = LateFusionForSequenceClassification.from_members_pretrained(
        members, combination="mean" if combination == SOUP else combination, **task.config_fields()
    )
    processors = list(map(load_processor, members, model.config.member_configs))
    processor = LateFusionProcessor.from_members(processors)
    if processor.earlier_turns > (recipe.data.context_turns or 0):
        raise ValueError(
            f"A member reads {processor.earlier_turns} earlier turns, and context_turns of the fusion is "
            f"{recipe.data.context_turns or 0}: give context_turns {processor.earlier_turns}."
        )
    return _wrap(recipe, model, processor, corpus, task)


def _build_soup_trainer(
    recipe: Recipe, members: Mapping[str, str], fusion: EmotionTrainer, corpus: DatasetDict, task: Task
) -> EmotionTrainer:
    """Return a trainer with the soup of the members of a fusion, which must have equal processors."""
    if fusion.processor.members:
        raise ValueError(
            "The members have no common mean of weights: their tokenizers or feature extractors differ; give members of one "
            "recipe, or another combination."
        )
    models = fusion.model.base_model.members
    model = build_soup(dict(zip(members, models, strict=True)))
    model.requires_grad_(True)
    is_plain = model.config.model_type not in MEMBER_CONFIGS
    if is_plain and "audio" in member_modalities(model.config):
        raise ValueError("A soup of speech classifiers of transformers cannot be saved; choose another combination.")
    processor = load_processor(next(iter(members.values())), model.config)
    return _wrap(recipe, model, processor, corpus, task, is_plain)


def _wrap(
    recipe: Recipe,
    model: PreTrainedModel,
    processor: EmoFusionProcessor,
    corpus: DatasetDict,
    task: Task,
    is_plain: bool = False,
) -> EmotionTrainer:
    return (TextClassifierTrainer if is_plain else EmotionTrainer)(
        model=model,
        args=recipe.training,
        data_collator=(TextClassifierCollator if is_plain else EmotionCollator)(processor, task),
        eval_dataset=corpus["validation"],
        processing_class=processor,
        compute_metrics=None,
    )


def _score(rows: PredictionOutput, task: Task) -> dict[str, float]:
    values = task.values(task.score_output(rows))
    return {name: values[name] for name in task.system_scores if name in values}
