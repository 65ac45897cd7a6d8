"""Pre-training of the speaker network, from a tree of recordings to a measured Hub folder (Padi 2022)."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedModel, Wav2Vec2FeatureExtractor, set_seed
from transformers.trainer_utils import EvalPrediction, IntervalStrategy

from ...configuration.configuration_speaker_resnet import SpeakerResNetConfig
from ...hub.speaker_card import write_speaker_card
from ...metrics.speaker_verification import equal_error_rate, min_dcf
from ...modeling.modeling_speaker_resnet import SpeakerResNetForSpeakerRecognition
from ...processing import EmoFusionProcessor
from ...processing.media import load_audio
from ..collator import EmotionCollator
from ..command_arguments import ERRORS
from ..interruption import check_output_dir, find_checkpoint, train_interruptibly
from ..recipe import Recipe
from ..report import describe_environment, describe_training, write_json
from ..run import check_fields, push_or_tell
from ..trainer import EmotionTrainer
from .recordings import SpeakerRecordings, Trial, read_tree, read_trials, speakers_of, split_recordings

P_TARGET = 0.01  # prior of the detection cost


def pretrain_speaker(recipe: Recipe) -> dict:
    """Train a speaker network, choose its checkpoint on the validation trials, measure it once on the test trials.

    Nobody whom a trial list names is trained on. `output_dir` becomes a Hub folder, from which emotion models start.

    Args:
        recipe: Its groups `speaker` and `training`.

    Returns:
        The results, as in `results.json`.

    Raises:
        FileNotFoundError: if a trial list, or a recording that it names, does not exist.
        ValueError: if the tree holds fewer than two speakers to learn from, or an argument or a trial is bad.
    """
    arguments, training_args = recipe.speaker, recipe.training
    if arguments.corpus_root is None:
        raise ValueError("corpus_root is not given; name the folder of the recordings.")
    check_output_dir(training_args)
    set_seed(training_args.seed)
    root = Path(arguments.corpus_root)
    trials = {
        split: read_trials(file, root)
        for split, file in (("validation", arguments.validation_trials), ("test", arguments.test_trials))
        if file is not None
    }
    named = speakers_of(trial for part in trials.values() for trial in part)
    tree = {speaker: files for speaker, files in read_tree(root).items() if speaker not in named}
    if len(tree) < 2:
        raise ValueError(f"{root} has {len(tree)} speakers whom no trial list names; at least 2 are needed.")
    training, held_out = split_recordings(tree, arguments.validation_share, training_args.seed)
    if not held_out:
        training_args.eval_strategy, training_args.load_best_model_at_end = IntervalStrategy.NO, False
    if "validation" not in trials and training_args.metric_for_best_model in ERRORS:
        training_args.metric_for_best_model, training_args.greater_is_better = "accuracy", True

    model = build_speaker_model(arguments.model_config, len(tree))
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(return_attention_mask=True), None)
    rate, batch_size = processor.feature_extractor.sampling_rate, training_args.per_device_eval_batch_size

    def measure(split: str) -> dict[str, float]:
        if split not in trials:
            return {}
        scores = score_trials(model, processor, root, trials[split], batch_size, arguments.max_seconds)
        return verification_errors(trials[split], scores)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        accuracy = (prediction.predictions.argmax(axis=-1) == prediction.label_ids).mean()
        return {"accuracy": float(accuracy), **measure("validation")}

    seconds = arguments.crop_seconds
    trainer = EmotionTrainer(
        model=model,
        args=training_args,
        data_collator=EmotionCollator(processor, list(tree)),
        train_dataset=SpeakerRecordings(root, training, seconds, rate),
        eval_dataset=SpeakerRecordings(root, held_out, seconds, rate, at_random=False) if held_out else None,
        processing_class=processor,
        compute_metrics=compute_metrics,
    )
    start = time.perf_counter()
    train_interruptibly(trainer, find_checkpoint(training_args))
    duration = time.perf_counter() - start
    validation = trainer.evaluate() if held_out else {}
    metrics = {
        "validation": {
            name: validation[f"eval_{name}"] for name in ("accuracy", *ERRORS) if f"eval_{name}" in validation
        },
        "test": measure("test"),
    }
    results = {
        "system": "speaker_resnet",
        "model_class": type(model).__name__,
        "paper": model.config.paper,
        "metrics": {split: figures for split, figures in metrics.items() if figures},
        "p_target": P_TARGET,
        "data": {
            "speakers": len(tree),
            "training": len(training),
            "validation": len(held_out),
            **{f"{split}_trials": len(part) for split, part in trials.items()},
        },
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training": describe_training(training_args),
        "recipe": {"model_config": arguments.model_config, "crop_seconds": list(seconds)},
        "environment": describe_environment(training_args),
        "seconds": round(duration, 2),
    }
    trainer.save_model()
    if trainer.is_world_process_zero():
        write_json(Path(training_args.output_dir, "training_log.json"), trainer.state.log_history)
        write_json(Path(training_args.output_dir, "results.json"), results)
        write_speaker_card(training_args.output_dir)
    trainer.accelerator.wait_for_everyone()
    if training_args.push_to_hub:
        push_or_tell(trainer)
    return results


def build_speaker_model(fields: dict, num_speakers: int) -> SpeakerResNetForSpeakerRecognition:
    """A speaker network with random weights.

    Args:
        fields: of its configuration.
        num_speakers: that it learns from.

    Raises:
        ValueError: if a field is unknown or bad.
    """
    check_fields("model_config", fields, SpeakerResNetConfig())
    for name in ("class_weights", "label_smoothing", "focal_gamma"):
        if fields.get(name):
            raise ValueError(
                f"model_config.{name} is given, but speakers are learned with a margin loss; leave it out."
            )
    try:
        config = SpeakerResNetConfig(**{**fields, "num_speakers": num_speakers})
    except StrictDataclassError as error:
        raise ValueError(f"model_config: {' '.join(str(error).split())}") from error
    return SpeakerResNetForSpeakerRecognition(config)


@torch.no_grad()
def score_trials(
    model: PreTrainedModel,
    processor: EmoFusionProcessor,
    root: str | Path,
    trials: Sequence[Trial],
    batch_size: int = 8,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Cosines `(trials,)` between the speaker embeddings of each trial's recordings, which are read whole.

    Args:
        model: a speaker network, with or without its head.
        processor: its processor.
        root: of the recordings.
        trials: what to compare.
        batch_size: recordings that are embedded at a time.
        max_seconds: recordings are cut to this length; None never cuts.
    """
    mode, files = model.training, sorted({path for trial in trials for path in (trial.first, trial.second)})
    model.eval()
    embeddings = {}
    for start in range(0, len(files), batch_size):
        part = files[start : start + batch_size]
        rate = processor.feature_extractor.sampling_rate
        limit = None if max_seconds is None else round(max_seconds * rate)
        audio = [load_audio(Path(root, file), rate)[:limit] for file in part]
        batch = processor(audio=audio, sampling_rate=rate).to(model.device)
        embedding = F.normalize(model.base_model(**batch).embedding.float(), dim=-1)
        embeddings.update(zip(part, embedding.cpu(), strict=True))
    model.train(mode)
    return np.array([float(embeddings[trial.first] @ embeddings[trial.second]) for trial in trials])


def verification_errors(trials: Sequence[Trial], scores: np.ndarray) -> dict[str, float]:
    """EER and the least detection cost (prior 0.01) of trials' scores."""
    labels = [int(trial.same) for trial in trials]
    return {"eer": equal_error_rate(labels, scores), "min_dcf": min_dcf(labels, scores, p_target=P_TARGET)}
