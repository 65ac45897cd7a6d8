"""Training of one model, from a recipe to a measured Hub folder."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets import Dataset, DatasetDict
from transformers import AutoModelForAudioClassification, AutoProcessor, PreTrainedModel, set_seed

from ..configuration.modalities import MODALITIES
from ..evaluation.metadata import CorpusMetadata
from ..evaluation.predictions import collect_predictions
from ..evaluation.results import RunResults
from ..evaluation.score_records import Scores
from ..evaluation.task import Task, task_of_config
from ..processing.processor_checks import check_processor_fits
from .adapters.lora import add_adapters, unwrap_adapters
from .arguments import TEXT_CLASSIFIER, EmotionTrainingArguments
from .auxiliary import add_auxiliary
from .balanced_sampler import find_sampler
from .checkpoints import find_checkpoint
from .collator import EmotionCollator, build_training_collator, leave_out_unread
from .dialogue_batches import check_batches
from .early_stopping import EarlyStopping
from .failures import explained
from .interruption import advise_resuming, check_room, train_interruptibly
from .lifecycle import EarlierRunRemover, add_scores, finish_run, load_rows, predict_splits
from .model_building import build_config, build_model
from .output_folder import claimed_folder
from .prefix.cache import PrefixGuard, use_prefix_cache
from .processor_building import build_processor
from .recipe import Recipe
from .row_checks import check_dialogues, check_modalities
from .sampler import find_longest
from .text_classifier import TextClassifierCollator, TextClassifierTrainer, check_options
from .trainer import EmotionTrainer


def train(recipe: Recipe, show: Callable[[EmotionTrainer], object] | None = None) -> RunResults:
    """Train a model, select its checkpoint on the validation split, and measure it once on the test split.

    `output_dir` becomes a Hub folder: weights, configuration, processor, code, `results.json`, pictures and card. With
    `lora` the weights are adapters; their base model is the one that the recipe names, or in the folder `base`.

    Args:
        recipe: The recipe.
        show: Called with the trainer before training begins, as `console.show_run`.

    Returns:
        The results, as in `results.json`.

    Raises:
        ValueError: If an option does not fit the others, the corpus or the model.
    """
    if recipe.model.variant == TEXT_CLASSIFIER:
        check_options(recipe)
    if recipe.model.variant == "late_fusion":
        raise ValueError("A late fusion combines trained models; fit one with emofusion fit-late-fusion.")
    output_dir = recipe.training.output_dir
    with claimed_folder(recipe.training), explained(lambda: advise_resuming(output_dir)):
        corpus, metadata, task = load_rows(recipe)
        resume = find_checkpoint(recipe.training)
        start = time.perf_counter()
        trainer = build_trainer(corpus, metadata, task, recipe, resume)
        if show is not None:
            show(trainer)
        train_interruptibly(trainer, resume)
        results = trainer.run_metadata.results
        results.seconds = round(time.perf_counter() - start, 2)
        predictions = collect_predictions(corpus, predict_splits(trainer, corpus), task)
        add_scores(results, task, predictions)
        finish_run(output_dir, results, trainer=trainer, predictions=predictions, corpus=corpus)
    return results


def build_trainer(
    corpus: DatasetDict, metadata: CorpusMetadata, task: Task, recipe: Recipe, resume: str | None = None
) -> EmotionTrainer:
    """Return a trainer that is ready to train; everything that comes before, as `head_epochs`, is done.

    Args:
        corpus: The splits "train" and "validation". Of other splits, utterances are counted and prefixes cached.
        metadata: The metadata of the corpus.
        task: The task.
        recipe: The recipe.
        resume: The checkpoint that the training will resume from.
    """
    data_args, training_args = recipe.data, recipe.training
    fields = add_auxiliary(recipe.model.model_config, data_args.auxiliary, corpus["train"])
    model_args = dataclasses.replace(recipe.model, model_config=fields)
    set_seed(training_args.seed)
    task.for_training(data_args.soft_labels).check_rows(corpus)
    config = build_config(model_args, task)
    check_modalities(corpus, config)
    if getattr(config, "context_layers", 0):
        check_batches(training_args)
        check_dialogues(corpus)
    else:
        find_sampler(training_args, corpus["train"], bool(task.classes))  # refuses what it cannot balance
    model = build_model(model_args, task, config)
    processor = build_processor(model_args, data_args, model, corpus["train"]["text"][:])
    check_processor_fits(model.config, processor)
    processor.longest_seconds = find_longest(corpus.values(), processor)
    if model_args.lora:
        source, quantization = model_args.model_name_or_path, model_args.quantization
        model = add_adapters(model, model_args.lora, processor, training_args, source, quantization)
    check_room(model, training_args)
    is_plain = model_args.variant == TEXT_CLASSIFIER
    collator = (TextClassifierCollator if is_plain else EmotionCollator)(processor, task)
    collator.auxiliary = getattr(config, "auxiliary_labels", None)
    train_collator = build_training_collator(collator, data_args, corpus["train"], training_args.seed)
    if training_args.head_epochs and resume is None:
        train_head(model, training_args, train_collator, leave_out_unread(corpus["train"], config))
    if training_args.cache_prefix:
        collator, train_collator = use_prefix_cache((collator, train_collator), model, corpus.values(), training_args)
    trainer = (TextClassifierTrainer if is_plain else EmotionTrainer)(
        model=model,
        args=training_args,
        data_collator=collator,
        train_data_collator=train_collator,
        train_dataset=leave_out_unread(corpus["train"], config),
        eval_dataset=leave_out_unread(corpus["validation"], config),
        processing_class=processor,
    )
    trainer.add_callback(EarlierRunRemover())
    if training_args.early_stopping_patience is not None:
        trainer.add_callback(EarlyStopping(training_args.early_stopping_patience))
    trainer.run_metadata.add_recipe(recipe, corpus, metadata)
    if collator.cache is not None:
        trainer.add_callback(PrefixGuard(collator.cache))
    return trainer


def train_head(
    model: PreTrainedModel, args: EmotionTrainingArguments, collator: EmotionCollator, rows: Dataset
) -> None:
    """Train everything but the encoders for `args.head_epochs` epochs, without measuring or saving.

    Args:
        model: The model, which is trained in place. Afterwards the same parameters are trainable as before.
        args: The arguments of the run.
        collator: The collator of the training split.
        rows: The training split.
    """
    with encoders_frozen(model):
        components = {
            part for name, weight in model.named_parameters() if weight.requires_grad for part in name.split(".")
        }
        head_args = dataclasses.replace(
            args,
            num_train_epochs=args.head_epochs,
            learning_rate=args.learning_rate if args.head_learning_rate is None else args.head_learning_rate,
            max_steps=-1,
            eval_strategy="no",
            save_strategy="no",
            load_best_model_at_end=False,
            early_stopping_patience=None,
            resume_from_checkpoint=None,
            learning_rates={name: rate for name, rate in args.learning_rates.items() if name in components},
        )
        EmotionTrainer(model=model, args=head_args, data_collator=collator, train_dataset=rows).train()


@contextmanager
def encoders_frozen(model: PreTrainedModel) -> Iterator[None]:
    """Freeze all encoders of a model inside the context.

    Raises:
        ValueError: If the variant has no encoder that can be frozen.
    """
    config = model.config
    frozen = {MODALITIES[name].freeze_field: -1 for name in config.layered_encoders}
    frozen |= {MODALITIES[name].freeze_field: True for name in config.encoders if not MODALITIES[name].has_layers}
    if not frozen:
        raise ValueError(f"head_epochs is given, but a {type(model).__name__} has no encoder to freeze; leave it out.")
    before = {name: getattr(config, name) for name in frozen}
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for name, value in frozen.items():
            setattr(config, name, value)
        unwrap_adapters(model).base_model.freeze()
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)
        for parameter in trainable:
            parameter.requires_grad_(True)


def score_without(modality: str, folder: str | Path, rows: Dataset, batch_size: int = 32) -> Scores:
    """Return the scores of a trained model on rows from which a modality is removed.

    Args:
        modality: A modality of the model, not its only one.
        folder: The folder of the model.
        rows: Rows of a corpus with the labels of the model.
        batch_size: Rows per batch.

    Raises:
        ValueError: If the model does not take the modality, or takes no other.
    """
    model = AutoModelForAudioClassification.from_pretrained(folder)
    if modality not in model.config.modalities or len(model.config.modalities) == 1:
        taken = " and ".join(model.config.modalities)
        raise ValueError(f"{modality} cannot be withheld from {folder}, which takes {taken}.")
    task = task_of_config(model.config)
    withheld = rows.map(lambda row: {modality: None}, features=rows.features, desc=f"Removing {modality}")
    trainer = EmotionTrainer(
        model=model,
        # The trainer writes nothing; without a temporary folder, nothing can be missing.
        args=EmotionTrainingArguments(str(folder), per_device_eval_batch_size=batch_size, disable_tqdm=True),
        data_collator=EmotionCollator(AutoProcessor.from_pretrained(folder), task),
        eval_dataset=withheld,
    )
    return task.score_output(trainer.predict(withheld))
