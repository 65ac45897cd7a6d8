"""Pretraining of the speaker network, from a tree of recordings to a measured Hub folder (Padi 2022)."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, TrainerCallback, Wav2Vec2FeatureExtractor, set_seed
from transformers.trainer_utils import EvalPrediction, IntervalStrategy

from ...configuration.configuration_speaker_resnet import SpeakerResNetConfig
from ...evaluation.metadata import Paper
from ...evaluation.results import SpeakerData, SpeakerResults, SpeakerScores
from ...metrics.speaker_verification import equal_error_rate, min_dcf
from ...modeling.modeling_speaker_resnet import SpeakerResNetForSpeakerRecognition
from ...processing import EmoFusionProcessor
from ...processing.media import load_audio
from ..augmentation import Augmentation, describe_augmentation
from ..checkpoints import find_checkpoint
from ..collator import EmotionCollator
from ..command_arguments import ERRORS, SpeakerArguments
from ..failures import explained
from ..interruption import advise_resuming, train_interruptibly
from ..lifecycle import finish_run
from ..metadata import describe_environment, describe_training
from ..model_building import check_fields
from ..output_folder import claimed_folder
from ..recipe import Recipe
from ..trainer import EmotionTrainer
from .recordings import SpeakerCorpus, SpeakerRecordings, Trial, load_speakers

P_TARGET = 0.01  # prior of the detection cost


def pretrain_speaker(recipe: Recipe) -> SpeakerResults:
    """Train a speaker network, select its checkpoint on the validation trials, and measure it once on the test trials.

    Speakers of a trial list are not trained on. `output_dir` becomes a Hub folder, from which emotion models can start.

    Args:
        recipe: The recipe, with `speaker` and `training`.

    Returns:
        The results, as in `results.json`.

    Raises:
        FileNotFoundError: If a trial list, or a recording that it names, does not exist.
        ValueError: If the tree has fewer than two training speakers, or an argument or a trial is bad.
    """
    arguments, training_args = recipe.speaker, recipe.training
    if arguments.corpus_root is None:
        raise ValueError("corpus_root is not given; name the folder of the recordings.")
    output_dir = training_args.output_dir
    with claimed_folder(training_args), explained(lambda: advise_resuming(output_dir)):
        with training_args.main_process_first(desc="loading the rows"):
            corpus = load_speakers(arguments, training_args.seed)
        trainer = build_speaker_trainer(corpus, recipe)
        results = trainer.run_metadata.results = describe_speaker_run(trainer, corpus, arguments)
        start = time.perf_counter()
        train_interruptibly(trainer, find_checkpoint(training_args))
        results.seconds = round(time.perf_counter() - start, 2)
        if corpus.held_out:
            # Unlike `evaluate` it prints no second line for the validation that chose the checkpoint.
            measured = trainer.predict(trainer.eval_dataset, metric_key_prefix="eval").metrics
            names = [name for name in ("accuracy", *ERRORS) if f"eval_{name}" in measured]
            results.metrics["validation"] = SpeakerScores(**{name: measured[f"eval_{name}"] for name in names})
        if errors := measure_trials(trainer.model, trainer.processor, corpus, "test", recipe):
            results.metrics["test"] = SpeakerScores(**errors)
        finish_run(output_dir, results, trainer=trainer)
    return results


def build_speaker_trainer(corpus: SpeakerCorpus, recipe: Recipe) -> EmotionTrainer:
    """Return the trainer of a new speaker network.

    Args:
        corpus: Recordings and trials.
        recipe: The recipe. Without held-out recordings it measures nothing on the way; without validation trials the
            checkpoint is selected by accuracy.

    Raises:
        ValueError: If a field of the configuration is unknown or bad.
    """
    arguments, training_args = recipe.speaker, recipe.training
    if not corpus.held_out:
        training_args.eval_strategy, training_args.load_best_model_at_end = IntervalStrategy.NO, False
    if "validation" not in corpus.trials and training_args.metric_for_best_model in ERRORS:
        training_args.metric_for_best_model, training_args.greater_is_better = "accuracy", True
    set_seed(training_args.seed)
    voices = [f"{name} at {speed}" if speed != 1 else name for speed in arguments.speeds for name in corpus.speakers]
    model = build_speaker_model(arguments.model_config, len(voices))
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(return_attention_mask=True), None)
    collator = EmotionCollator(processor, voices)
    rate = processor.feature_extractor.sampling_rate
    augment = Augmentation(arguments.augmentation, rate, training_args.seed) if arguments.augmentation else None

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        accuracy = (prediction.predictions.argmax(axis=-1) == prediction.label_ids).mean()
        return {"accuracy": float(accuracy), **measure_trials(model, processor, corpus, "validation", recipe)}

    select = partial(SpeakerRecordings, corpus.root, seconds=arguments.crop_seconds, sampling_rate=rate)
    return EmotionTrainer(
        model=model,
        args=training_args,
        data_collator=collator,
        train_data_collator=replace(collator, augment=augment),
        train_dataset=select(corpus.training, speeds=arguments.speeds, speakers=len(corpus.speakers)),
        eval_dataset=select(corpus.held_out, at_random=False) if corpus.held_out else None,
        processing_class=processor,
        compute_metrics=compute_metrics,
        callbacks=[MarginSchedule(model, arguments.margin_warmup)] if arguments.margin_warmup else None,
    )


class MarginSchedule(TrainerCallback):
    """Lets the margin of a speaker network grow linearly from 0 to its value.

    Args:
        model: The network.
        warmup: Share of the steps after which it has its value.
    """

    def __init__(self, model: SpeakerResNetForSpeakerRecognition, warmup: float):
        self.model = model
        self.warmup = warmup

    def on_step_begin(self, args, state, control, **kwargs):
        """Set the share of the margin for the next step."""
        self.model.margin_share = min(1.0, state.global_step / (self.warmup * state.max_steps))


def build_speaker_model(fields: dict, num_speakers: int) -> SpeakerResNetForSpeakerRecognition:
    """Return a speaker network with random weights; its spectrograms are masked only if the fields say so.

    Args:
        fields: Fields of its configuration.
        num_speakers: Number of training speakers.

    Raises:
        ValueError: If a field is unknown or bad.
    """
    check_fields("model_config", fields, SpeakerResNetConfig())
    for name in ("class_weights", "label_smoothing", "focal_gamma"):
        if fields.get(name):
            raise ValueError(
                f"model_config.{name} is given, but speakers are learned with a margin loss; leave it out."
            )
    config = SpeakerResNetConfig(**{"apply_spec_augment": False, **fields, "num_speakers": num_speakers})
    return SpeakerResNetForSpeakerRecognition(config)


def describe_speaker_run(
    trainer: EmotionTrainer, corpus: SpeakerCorpus, arguments: SpeakerArguments
) -> SpeakerResults:
    """Return the results of a run before it begins: everything but scores and duration."""
    model, training_args = trainer.model, trainer.args
    return SpeakerResults(
        system="speaker_resnet",
        model_class=type(model).__name__,
        paper=Paper.from_dict(model.config.paper),
        p_target=P_TARGET,
        data=SpeakerData(
            speakers=len(corpus.speakers),
            training=len(corpus.training),
            validation=len(corpus.held_out),
            **{f"{split}_trials": len(trials) for split, trials in corpus.trials.items()},
        ),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        training=describe_training(training_args),
        recipe={
            "model_config": arguments.model_config,
            "crop_seconds": list(arguments.crop_seconds),
            "speeds": list(arguments.speeds),
            "augmentation": describe_augmentation(arguments.augmentation),
            "margin_warmup": arguments.margin_warmup,
        },
        environment=describe_environment(training_args),
        language=training_args.language,
        license=training_args.license,
    )


def measure_trials(
    model: PreTrainedModel, processor: EmoFusionProcessor, corpus: SpeakerCorpus, split: str, recipe: Recipe
) -> dict[str, float]:
    """Return the errors on the trials of a split; empty if it has none."""
    trials = corpus.trials.get(split)
    if trials is None:
        return {}
    batch_size, max_seconds = recipe.training.per_device_eval_batch_size, recipe.speaker.max_seconds
    return verification_errors(trials, score_trials(model, processor, corpus.root, trials, batch_size, max_seconds))


@torch.no_grad()
def score_trials(
    model: PreTrainedModel,
    processor: EmoFusionProcessor,
    root: str | Path,
    trials: Sequence[Trial],
    batch_size: int = 8,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Return the cosines `(trials,)` between the speaker embeddings of the two recordings of each trial.

    Args:
        model: A speaker network, with or without its head.
        processor: Its processor.
        root: The folder of the recordings.
        trials: The trials.
        batch_size: Recordings per batch.
        max_seconds: Length that recordings are cut to; None for whole recordings.
    """
    mode, files = model.training, sorted({path for trial in trials for path in (trial.first, trial.second)})
    model.eval()
    embeddings = {}
    for start in range(0, len(files), batch_size):
        part = files[start : start + batch_size]
        rate = processor.feature_extractor.sampling_rate
        audio = [load_audio(Path(root, file), rate, max_seconds=max_seconds) for file in part]
        batch = processor(audio=audio, sampling_rate=rate).to(model.device)
        embedding = F.normalize(model.base_model(**batch).embedding.float(), dim=-1)
        embeddings.update(zip(part, embedding.cpu(), strict=True))
    model.train(mode)
    return np.array([float(embeddings[trial.first] @ embeddings[trial.second]) for trial in trials])


def verification_errors(trials: Sequence[Trial], scores: np.ndarray) -> dict[str, float]:
    """Return the equal error rate and the minimum detection cost (prior 0.01) of the scores `(trials,)` of trials."""
    labels = [int(trial.same) for trial in trials]
    return {"eer": equal_error_rate(labels, scores), "min_dcf": min_dcf(labels, scores, p_target=P_TARGET)}
