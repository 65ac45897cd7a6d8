"""What a run has to tell: facts before training, results after it, and the files that show them."""

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel
from transformers.trainer_utils import PredictionOutput

from .. import __version__
from ..corpora.atomic_write import staged
from ..corpora.folds import check_speaker_independent
from ..evaluation.breakdown import break_down
from ..evaluation.pictures import draw_confusion_matrices, draw_learning_curves, draw_reliability
from ..evaluation.predictions import FILE, Predictions, write_predictions
from ..evaluation.statistics import speaker_intervals
from ..hub.card import FORMAT, SCORES, write_card
from ..metrics import EmotionMetrics
from ..processing.processing_emofusion import SILENCE
from .adapters.lora import count_parameters, describe_adapter, unwrap_adapters
from .arguments import DataArguments, EmotionTrainingArguments
from .augmentation import describe_augmentation
from .recipe import Recipe

# Baselines go by what they look at, fusion systems by their variant.
BASELINES = {("audio",): "speech", ("text",): "text", ("video",): "video"}

# Settings of the training that the card shows.
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


def collect_facts(
    model: PreTrainedModel,
    corpus: DatasetDict,
    about: Mapping,
    recipe: Recipe,
) -> dict:
    """What is known before training, in the form of `results.json` (format 1, see `hub/card.py`).

    Args:
        model: the model to be trained.
        corpus: its data.
        about: what the corpus says of itself.
        recipe: Model, data and training.
    """
    model_args, data_args, training_args = recipe.model, recipe.data, recipe.training
    return {
        "format": FORMAT,
        "system": BASELINES[model.config.modalities] if model_args.variant == "unimodal" else model_args.variant,
        "model_class": type(unwrap_adapters(model)).__name__,
        "paper": model.config.paper,
        "labels": corpus["train"].features["label"].names,
        "modalities": list(model.config.modalities),
        "corpus": {
            **about,
            "speaker_independent": _is_speaker_independent(corpus),
            "selection": f"{_selection(training_args)}; the test split was measured once, at the end.",
        },
        "data": {split: _count(rows, model.config.span_levels) for split, rows in corpus.items()},
        "parameters": count_parameters(model),
        "adapter": describe_adapter(model),
        "base_models": {
            "model": _locate(model_args.model_name_or_path),
            **{
                kind: _locate(getattr(model_args, f"{kind}_model_name_or_path"))
                for kind in ("audio", "text", "vision")
            },
        },
        "training": describe_training(training_args)
        | _describe_loss_and_rows(model, data_args, training_args)
        | {"lora": json.dumps(model_args.lora) if model_args.lora else None, "quantization": model_args.quantization},
        "recipe": recipe.describe(),
        "environment": describe_environment(training_args),
    }


def describe_training(training_args: EmotionTrainingArguments) -> dict:
    """The settings that decide what is learned."""
    return {
        **{name: getattr(training_args, name) for name in SETTINGS},
        **({"num_train_epochs": None, "max_steps": training_args.max_steps} if training_args.max_steps > 0 else {}),
        "head_epochs": training_args.head_epochs or None,
        "lr_scheduler_type": str(training_args.lr_scheduler_type.value),
        "learning_rates": training_args.learning_rates,
    }


def describe_environment(training_args: EmotionTrainingArguments) -> dict:
    """Versions, and what was computed on."""
    return {
        "emofusion": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": training_args.device.type,
        "processes": training_args.world_size,
    }


def collect_results(facts: Mapping, predictions: Mapping[str, Predictions], seconds: float) -> dict:
    """The facts with what was measured.

    Args:
        facts: from `collect_facts`.
        predictions: per split, from `collect_predictions`.
        seconds: that training took.
    """
    pictures = ["confusion_matrix.png", "reliability.png", "learning_curve.png"]
    return {
        **facts,
        "temperature": float(predictions["validation"].temperature[0]),
        **measure(predictions, facts["labels"]),
        "seconds": round(seconds, 2),
        "pictures": pictures,
    }


def measure(predictions: Mapping[str, Predictions], labels: list[str]) -> dict:
    """The scores of every split, and of the test part the intervals by speaker and the scores of its parts.

    Args:
        predictions: per split, of one model or pooled; among them "test".
        labels: names of the classes.
    """
    test = predictions["test"]
    return {
        "metrics": {split: _score_calibrated(part, labels) for split, part in predictions.items()},
        "intervals": speaker_intervals(test.labels, test.answers, test.speakers, len(labels)),
        "breakdown": break_down(test),
    }


def write_report(
    folder: str | Path, results: Mapping, log: Sequence[Mapping], predictions: Mapping[str, Predictions]
) -> None:
    """Write the predictions, pictures, `training_log.json`, the card and `results.json` into a checkpoint folder.

    `results.json` comes last: where it is, all is.

    Args:
        folder: a saved model's.
        results: from `collect_results`.
        log: `trainer.state.log_history`; empty where nothing was trained in steps.
        predictions: per split.
    """
    with staged(folder) as staging:
        write_predictions(staging / FILE, predictions, results["labels"])
        draw_test(staging, results["system"], results, predictions["test"])
        if log:
            draw_learning_curves(staging / "learning_curve.png", {results["system"]: log})
            write_json(staging / "training_log.json", list(log))
    write_card(folder, results)
    write_json(Path(folder, "results.json"), results)


def draw_test(folder: str | Path, title: str, results: Mapping, test: Predictions) -> None:
    """Draw the confusion matrix and the reliability of the answers on the test part into a folder."""
    confusion = {title: results["metrics"]["test"]["confusion_matrix"]}
    draw_confusion_matrices(Path(folder, "confusion_matrix.png"), confusion, results["labels"])
    right = test.answers == test.labels
    panels = {
        name: (test.probabilities(scaled).max(axis=1), right)
        for name, scaled in (("as trained", False), ("after temperature scaling", True))
    }
    draw_reliability(Path(folder, "reliability.png"), panels)


def write_json(path: str | Path, content) -> None:
    """Write indented JSON, whole or not at all."""
    path = Path(path)
    with staged(path.parent) as staging:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (staging / path.name).write_text(f"{text}\n", encoding="utf-8")


def score(output: PredictionOutput, labels: list[str]) -> dict:
    """What the metric says of predictions.

    Args:
        output: logits `(utterances, classes)` and label ids `(utterances,)`.
        labels: names of the classes.
    """
    logits = torch.from_numpy(np.asarray(output.predictions)).double()
    return _score(logits.argmax(dim=-1), output.label_ids, logits.softmax(dim=-1).numpy(), labels)


def _score_calibrated(part: Predictions, labels: list[str]) -> dict:
    """The scores, with ECE and NLL after temperature scaling, which changes no other."""
    scores = _score(part.answers, part.labels, part.probabilities(), labels)
    scaled = _score(part.answers, part.labels, part.probabilities(scaled=True), labels)
    return scores | {f"{name}_scaled": scaled[name] for name in ("ece", "nll")}


def _score(answers, references, probabilities: np.ndarray, labels: list[str]) -> dict:
    return EmotionMetrics(keep_in_memory=True).compute(
        predictions=answers.tolist(), references=references.tolist(), labels=labels, probabilities=probabilities
    )


def _describe_loss_and_rows(
    model: PreTrainedModel, data_args: DataArguments, training_args: EmotionTrainingArguments
) -> dict:
    """What there is of all that is off by default; None where it is off."""
    config = model.config
    return {
        "class_weights": training_args.class_weights or (config.class_weights and json.dumps(config.class_weights)),
        "label_smoothing": training_args.label_smoothing_factor or config.label_smoothing or None,
        "focal_gamma": config.focal_gamma or None,
        "modality_dropout": config.modality_dropout or None,
        "soft_labels": data_args.soft_labels or None,
        "augmentation": describe_augmentation(data_args.augmentation) or None,
    }


def _count(rows: Dataset, levels: Sequence[str]) -> dict:
    names, counts = rows.features["label"].names, Counter(rows["label"])
    spans = list(zip(rows["start"], rows["end"], strict=True))
    return {
        "utterances": len(rows),
        "seconds": None if any(None in span for span in spans) else round(sum(end - start for start, end in spans), 1),
        "speakers": len(set(rows["speaker"])),
        "classes": {name: counts[number] for number, name in enumerate(names)},
        # Utterances that a model of segments takes in frames instead.
        "unaligned": {level: sum(not _has(alignment, level) for alignment in rows["alignment"]) for level in levels},
    }


def _has(alignment: Mapping | None, level: str) -> bool:
    """Whether anything is spoken at a level of an alignment."""
    segments = alignment and alignment[level]
    return bool(segments) and any(SILENCE.fullmatch(symbol) is None for symbol in segments["symbol"])


def _selection(training_args: EmotionTrainingArguments) -> str:
    if not training_args.load_best_model_at_end:
        return "The weights of the last step were kept"
    best = "highest" if training_args.greater_is_better else "lowest"
    metric = training_args.metric_for_best_model.removeprefix("eval_")
    metric = SCORES.get(metric, metric)
    return f"The checkpoint with the {best} validation {metric} was kept"


def _locate(source: str | None) -> str | None:
    """A folder by its whole path, because `runs/speech` could be a name on the Hub as well."""
    return str(Path(source).resolve()) if source and Path(source).exists() else source


def _is_speaker_independent(corpus: DatasetDict) -> bool:
    try:
        check_speaker_independent(corpus)
    except ValueError:
        return False
    return True
