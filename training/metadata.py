"""Metadata of a run, and the callback that collects it for the model card."""

import dataclasses
import json
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, Trainer, TrainerCallback

from .. import __version__
from ..configuration.modalities import MODALITIES, name_system
from ..corpora.folds import check_speaker_independent, digest_ids
from ..evaluation.metadata import AdapterMetadata, CorpusMetadata, Environment, Paper, ParameterCounts, SplitCounts
from ..evaluation.results import Results, RunResults
from ..evaluation.statistics import count_known
from ..evaluation.task import Task, task_of_config
from ..processing.alignment_spans import SILENCE
from ..processing.processor_checks import modalities_of
from .adapters.lora import count_parameters, describe_adapter, unwrap_adapters
from .arguments import EmotionTrainingArguments
from .augmentation import describe_augmentation
from .recipe import Recipe

# Training arguments that the card shows.
SETTINGS = (
    "learning_rate",
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "lr_scheduler_type",
    "warmup_steps",
    "weight_decay",
    "class_weights",
    "seed",
)
# Names of the datasets of a trainer in the results.
SPLITS = {"train_dataset": "train", "eval_dataset": "validation"}


class RunMetadataCallback(TrainerCallback):
    """Collects the content of the model card while a trainer runs.

    `results` starts with everything that the trainer knows: the model, its labels and parameters, the environment and the
    size of the datasets. The settings are added when a training begins. Validation scores are added when they are
    measured, and removed when the weights change. `train` adds the corpus and the recipe.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Trainer):
        self._trainer = trainer
        self._task = find_task(trainer)
        self._results = describe_trainer(trainer, self._task)

    @property
    def results(self) -> Results | None:
        """The results so far; None if the trainer's model is not an emotion classifier and nobody set them."""
        if isinstance(self._results, RunResults) and not self._results.data:
            self._results.data = self._count_data()
        return self._results

    @results.setter
    def results(self, results: Results) -> None:
        self._results = results

    def add_recipe(self, recipe: Recipe, corpus: DatasetDict, metadata: CorpusMetadata) -> None:
        """Add what only a recipe has: the corpus, all its splits, pretrained models and settings.

        Args:
            recipe: The recipe, with `model`, `data` and `training`.
            corpus: The splits.
            metadata: The metadata of the corpus.
        """
        results, model_args = self._results, recipe.model
        levels = _find_levels(self._trainer)
        results.corpus = dataclasses.replace(
            metadata,
            speaker_independent=_is_speaker_independent(corpus),
            selection=f"{describe_selection(recipe.training, self._task)}; the test split was measured once, at the end.",
        )
        results.data = {split: count_rows(rows, self._task, levels) for split, rows in corpus.items()}
        results.base_models = {"model": _locate(model_args.model_name_or_path)} | {
            modality.encoder_kind: _locate(getattr(model_args, modality.encoder_argument))
            for modality in MODALITIES.values()
        }
        results.training = describe_settings(self._trainer) | {
            "lora": json.dumps(model_args.lora) if model_args.lora else None,
            "quantization": model_args.quantization,
        }
        results.recipe = recipe.describe()

    def on_train_begin(self, args, state, control, **kwargs):
        """Add the settings, unless a recipe gave them."""
        if self._results is not None and not self._results.training:
            self._results.training = describe_settings(self._trainer)

    def on_step_begin(self, args, state, control, **kwargs):
        """Remove the validation scores: the weights are about to change."""
        if self._results is not None:
            self._results.metrics.pop("validation", None)

    def on_evaluate(self, args, state, control, metrics=None, eval_dataloader=None, **kwargs):
        """Keep the scores if they are those of the validation split, not of another dataset."""
        dataset = getattr(eval_dataloader, "dataset", None)
        if dataset is not None and dataset is self._trainer.eval_dataset:
            self._set_scores(metrics)

    def on_train_end(self, args, state, control, **kwargs):
        """Keep the scores of the best checkpoint, if that was loaded."""
        if self._results is not None and args.load_best_model_at_end and state.best_model_checkpoint is not None:
            self._results.metrics.pop("validation", None)
            measured = [entry for entry in state.log_history if entry.get("step") == state.best_global_step]
            self._set_scores({name: value for entry in measured for name, value in entry.items()})

    def _set_scores(self, metrics: Mapping[str, Any]) -> None:
        if isinstance(self._results, RunResults):
            scores = {
                name: metrics[f"eval_{name}"]
                for name in self._task.metrics
                if name != "loss" and f"eval_{name}" in metrics
            }
            if scores:
                self._results.metrics["validation"] = self._task.scores(**scores)

    def _count_data(self) -> dict[str, SplitCounts]:
        levels, counts = _find_levels(self._trainer), {}
        for name, split in SPLITS.items():
            rows = getattr(self._trainer, name)
            if isinstance(rows, Dataset):
                counts[split] = count_rows(rows, self._task, levels)
            elif isinstance(rows, Sized) and not isinstance(rows, Mapping):  # a mapping has several datasets
                counts[split] = SplitCounts(utterances=len(rows))
        return counts


def describe_trainer(trainer: Trainer, task: Task) -> RunResults | None:
    """Return the results of a run without data and settings; None if the model is not an emotion classifier."""
    model = unwrap_adapters(trainer.model)
    config, kind = model.config, type(model).__name__
    if not kind.endswith("ForSequenceClassification"):
        return None
    modalities = modalities_of(config)
    if hasattr(config, "modalities"):
        system, paper = config.model_type.removeprefix("emofusion_"), config.paper
    else:  # a plain classifier of transformers
        system = f"{MODALITIES[modalities[0]].word}_classifier"
        paper = {"ours": f"the choice of the checkpoint for {kind} of transformers"}
    return RunResults(
        **task.result_fields(),
        system=name_system(system, getattr(config, "modality", None)),
        model_class=kind,
        paper=None if paper is None else Paper.from_dict(paper),
        labels=list(config.id2label.values()),
        modalities=list(modalities),
        earlier_turns=getattr(getattr(trainer, "processor", None), "earlier_turns", 0),
        history=getattr(config, "history", 0),
        parameters=ParameterCounts(**count_parameters(trainer.model)),
        adapter=None if (adapter := describe_adapter(trainer.model)) is None else AdapterMetadata.from_dict(adapter),
        base_models=_find_base_models(model),
        environment=describe_environment(trainer.args),
        language=trainer.args.language,
        license=trainer.args.license,
    )


def describe_settings(trainer: Trainer) -> dict[str, Any]:
    """Return the settings of a training that the card shows: those of the arguments, the loss and the collator."""
    model, args = unwrap_adapters(trainer.model), trainer.args
    pooling = getattr(model.config, "pooling", None)
    return {
        **describe_training(args),
        **_describe_loss(model, args),
        **_describe_collator(trainer.train_data_collator),
        **_describe_context(model, getattr(trainer, "processor", None)),
        "pooling": pooling if pooling == "attentive_statistics" else None,  # the default of a variant is on no card
    }


def find_task(trainer: Trainer) -> Task:
    """Return the task of a trainer: that of its collator, or that of its model."""
    return getattr(trainer.train_data_collator, "task", None) or task_of_config(trainer.model.config)


def describe_training(training_args: EmotionTrainingArguments) -> dict[str, Any]:
    """Return the training arguments that the card shows."""
    return {
        **{name: getattr(training_args, name) for name in SETTINGS},
        **({"num_train_epochs": None, "max_steps": training_args.max_steps} if training_args.max_steps > 0 else {}),
        "head_epochs": training_args.head_epochs or None,
        "head_learning_rate": training_args.head_learning_rate,
        "sampler": None if training_args.sampler == "random" else training_args.sampler,
        "early_stopping_patience": training_args.early_stopping_patience,
        "bf16": training_args.bf16 or None,
        "lr_scheduler_type": str(training_args.lr_scheduler_type.value),
        "learning_rates": training_args.learning_rates,
    }


def describe_environment(training_args: EmotionTrainingArguments) -> Environment:
    """Return the versions and the hardware of a run."""
    return Environment(
        emofusion=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=transformers.__version__,
        device=training_args.device.type,
        processes=training_args.world_size,
    )


def describe_selection(training_args: EmotionTrainingArguments, task: Task) -> str:
    """Return how the checkpoint of a run is selected, as the beginning of a sentence."""
    if not training_args.load_best_model_at_end:
        return "The weights of the last step were kept"
    best = "highest" if training_args.greater_is_better else "lowest"
    metric = training_args.metric_for_best_model.removeprefix("eval_")
    return f"The checkpoint with the {best} validation {task.summary.get(metric, task.headings.get(metric, metric))} was kept"


def count_rows(rows: Dataset, task: Task, levels: Sequence[str]) -> SplitCounts:
    """Return the size of a split, as far as its columns allow.

    Args:
        rows: The split.
        task: The task.
        levels: Levels of the alignment that the model reads.
    """
    columns = set(rows.column_names)
    counts = SplitCounts(utterances=len(rows), **task.count_labels(rows))
    if "id" in columns:
        counts.digest = digest_ids(rows["id"][:])
    if "speaker" in columns:
        counts.speakers = count_known(rows["speaker"][:])
    if {"start", "end"} <= columns:
        spans = list(zip(rows["start"][:], rows["end"][:], strict=True))
        if all(None not in span for span in spans):
            counts.seconds = round(sum(end - start for start, end in spans), 1)
    if "alignment" in columns and levels:
        lacking = Counter(
            level for alignment in rows["alignment"] for level in levels if not _has_segments(alignment, level)
        )
        counts.unaligned = {level: lacking[level] for level in levels}
    return counts


def _has_segments(alignment: Mapping | None, level: str) -> bool:
    """Whether an alignment has segments other than silence at a level."""
    segments = alignment and alignment[level]
    return bool(segments) and any(SILENCE.fullmatch(symbol) is None for symbol in segments["symbol"])


def _describe_loss(model: PreTrainedModel, training_args: EmotionTrainingArguments) -> dict[str, Any]:
    """Return the settings of the loss, None for those that are off."""
    config = model.config
    names = ("class_weights", "label_smoothing", "focal_gamma", "modality_dropout", "loss_weights", "dimension_loss")
    of_config = {name: getattr(config, name, None) for name in names}  # a plain classifier has none of them
    return {
        "class_weights": training_args.class_weights
        or (of_config["class_weights"] and json.dumps(config.class_weights)),
        "label_smoothing": training_args.label_smoothing_factor or of_config["label_smoothing"] or None,
        "focal_gamma": of_config["focal_gamma"] or None,
        "modality_dropout": of_config["modality_dropout"] or None,
        "dimension_loss": of_config["dimension_loss"] if getattr(config, "dimensions", None) else None,
        "loss_weights": of_config["loss_weights"] and json.dumps(of_config["loss_weights"]),
    }


def _find_levels(trainer: Trainer) -> tuple[str, ...]:
    """Return the levels of an alignment that the model of a trainer reads; none for a plain classifier."""
    return getattr(unwrap_adapters(trainer.model).config, "span_levels", ())


def _describe_collator(collator: Callable) -> dict[str, Any]:
    """Return the settings of a training collator, None for those that are off."""
    augmentation = getattr(getattr(collator, "augment", None), "options", {})
    mixup = getattr(getattr(collator, "mixup", None), "options", {})
    return {
        "soft_labels": getattr(getattr(collator, "task", None), "soft_labels", None) or None,
        "augmentation": describe_augmentation(augmentation) or None,
        "auxiliary": ", ".join(getattr(collator, "auxiliary", None) or ()) or None,
        "mixup": ", ".join(f"{place}, alpha {alpha:g}" for place, alpha in mixup.items()) or None,
    }


def _describe_context(model: PreTrainedModel, processor: Any) -> dict[str, Any]:
    """Return the settings of the earlier turns and utterances that a model reads, None for those that are off."""
    turns, layers = getattr(processor, "context_turns", 0), getattr(model.config, "context_layers", 0)
    return {
        "context_turns": turns or None,
        "context_tokens": processor.context_tokens if turns else None,
        "context_layers": layers or None,
        "context_window": model.config.context_window if layers else None,
    }


def _find_base_models(model: PreTrainedModel) -> dict[str, str | None]:
    """Return the checkpoint that a model was loaded from or, for a new model, those of its encoders."""
    if model.name_or_path:
        return {"model": _locate(model.name_or_path)}
    configs = {
        modality.encoder_kind: getattr(model.config, modality.config_field, None) for modality in MODALITIES.values()
    }
    return {kind: _locate(config.name_or_path) for kind, config in configs.items() if config is not None}


def _locate(source: str | None) -> str | None:
    """Return a folder as an absolute path, because `runs/speech` could be a name on the Hub too."""
    if not source:
        return None
    return str(Path(source).resolve()) if Path(source).exists() else source


def _is_speaker_independent(corpus: DatasetDict) -> bool:
    try:
        check_speaker_independent(
            {split: corpus[split] for split in ("train", "validation", "test") if split in corpus}
        )
    except ValueError:
        return False
    return True
