"""One run, from a recipe to a measured Hub folder."""

import importlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping

from datasets import Dataset, DatasetDict
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoFeatureExtractor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    ViTImageProcessorPil,
    Wav2Vec2FeatureExtractor,
    set_seed,
)

# As in `processing_emofusion`: transformers 5.17 gives it at its root only where torchvision is installed.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from ..configuration import VARIANTS
from ..corpora import describe_corpus, load_corpus
from ..corpora.folds import check_splits
from ..evaluation.predictions import collect_predictions
from ..modeling.encoder_text import max_tokens
from ..processing import EmoFusionProcessor
from .adapters.lora import add_adapters
from .arguments import DataArguments, ModelArguments
from .collator import EmotionCollator, build_training_collator
from .interruption import check_output_dir, check_room, find_checkpoint, train_interruptibly
from .prefix.cache import PrefixGuard, use_prefix_cache
from .recipe import Recipe
from .report import collect_facts, collect_results, write_report
from .texts import choose_texts
from .tokenizer import PAD_TOKEN_ID, train_tokenizer
from .trainer import EmotionTrainer
from .transfer import load_transferred, train_head


def train(recipe: Recipe, show: Callable[[EmotionTrainer], object] | None = None) -> dict:
    """Train a model, choose its checkpoint on the validation part, measure it once on the test part.

    `output_dir` becomes a Hub folder: weights, configuration, processor, code, `results.json`, pictures and card. With
    `lora` the weights are adapters, and their base is in the folder `base` in it, or was named.

    From Python: `train(Recipe.read("recipe.yaml", learning_rate=1e-4))`.

    Args:
        recipe: Model, data and training.
        show: is given the trainer before it trains, as `show_run` of `console.py`.

    Returns:
        The results, as in `results.json`.
    """
    training_args = recipe.training
    if recipe.model.variant == "late_fusion":
        raise ValueError("A late fusion is made of models that are trained: make one with scripts/fit_late_fusion.py.")
    check_output_dir(training_args)
    corpus, about = load_rows(recipe)
    resume = find_checkpoint(training_args)
    start = time.perf_counter()
    trainer = build_trainer(corpus, about, recipe, resume)
    if show is not None:
        show(trainer)
    train_interruptibly(trainer, resume)
    seconds = time.perf_counter() - start
    outputs = {split: trainer.predict(corpus[split], metric_key_prefix=split) for split in ("validation", "test")}
    predictions = collect_predictions(corpus, outputs)
    results = trainer.facts = collect_results(trainer.facts, predictions, seconds)
    trainer.save_model()
    if trainer.is_world_process_zero():
        write_report(training_args.output_dir, results, trainer.state.log_history, predictions)
    trainer.accelerator.wait_for_everyone()
    if training_args.push_to_hub:
        push_or_tell(trainer)
    return results


def push_or_tell(trainer: EmotionTrainer) -> None:
    """Push, or warn that it failed: a run that is trained and measured is not lost because the Hub is."""
    try:
        trainer.push_to_hub()
    except (OSError, ValueError) as error:
        folder = trainer.args.output_dir
        warnings.warn(f"Not pushed: {error} The model is in {folder}: see scripts/push_to_hub.py.", stacklevel=2)


def load_rows(recipe: Recipe) -> tuple[DatasetDict, dict]:
    """The splits of the corpus as the model shall see them, and what the corpus says of itself.

    Args:
        recipe: Its data arguments name the corpus; the seed of its training draws rows.
    """
    data_args, training_args = recipe.data, recipe.training
    with training_args.main_process_first(desc="the corpus"):
        corpus = load_corpus(data_args.corpus, data_args.corpus_root, **data_args.corpus_options)
    corpus = choose_texts(corpus, data_args.text_column)
    about = describe_corpus(data_args.corpus, **data_args.corpus_options)
    check_splits(corpus, about.get("speaker_independent", False))
    if data_args.max_train_samples is not None:
        corpus["train"] = draw_rows(corpus["train"], data_args.max_train_samples, training_args.seed)
    return corpus, about


def build_trainer(
    corpus: DatasetDict,
    about: Mapping,
    recipe: Recipe,
    resume: str | None = None,
) -> EmotionTrainer:
    """Everything that is trained and that it takes; what comes before all steps, as `head_epochs`, is done.

    Args:
        corpus: splits "train" and "validation"; of others, utterances are counted and what is frozen is computed.
        about: what the corpus says of itself.
        recipe: Model, data and training.
        resume: checkpoint that will be gone on from.
    """
    model_args, data_args, training_args = recipe.model, recipe.data, recipe.training
    set_seed(training_args.seed)
    labels = corpus["train"].features["label"].names
    model = build_model(model_args, labels)
    processor = build_processor(model_args, data_args, model, corpus["train"]["text"])
    if model_args.lora:
        source, quantization = model_args.model_name_or_path, model_args.quantization
        model = add_adapters(model, model_args.lora, processor, training_args, source, quantization)
    check_room(model, training_args)
    collator = EmotionCollator(processor, labels)
    train_collator = build_training_collator(collator, data_args, corpus["train"], training_args.seed)
    if training_args.head_epochs and resume is None:
        train_head(model, training_args, train_collator, corpus["train"])
    if training_args.cache_prefix:
        collator, train_collator = use_prefix_cache((collator, train_collator), model, corpus.values(), training_args)
    trainer = EmotionTrainer(
        model=model,
        args=training_args,
        data_collator=collator,
        train_data_collator=train_collator,
        train_dataset=corpus["train"],
        eval_dataset=corpus["validation"],
        processing_class=processor,
        facts=collect_facts(model, corpus, about, recipe),
    )
    if collator.cache is not None:
        trainer.add_callback(PrefixGuard(collator.cache))
    return trainer


def build_model(model_args: ModelArguments, labels: list[str]) -> PreTrainedModel:
    """The variant's classifier, around pre-trained encoders where they are named.

    Args:
        model_args: which model; one that starts from a trained model as a whole is loaded, not built.
        labels: names of the classes.

    Raises:
        ValueError: if a pre-trained encoder and a configuration for it are both given, or a field is unknown or bad.
    """
    prefix = VARIANTS[model_args.variant]
    module = importlib.import_module(f"..modeling.modeling_{model_args.variant}", __package__)
    model_class = getattr(module, f"{prefix}ForSequenceClassification")
    fields = {**model_args.model_config, "id2label": dict(enumerate(labels))}
    fields["label2id"] = {label: number for number, label in enumerate(labels)}
    check_fields("model_config", model_args.model_config, model_class.config_class())
    if model_args.model_name_or_path is not None:
        return load_transferred(model_class, model_args.model_name_or_path, labels, model_args.model_config)
    encoders = {
        kind: name
        for kind in ("audio", "text", "vision")
        if (name := getattr(model_args, f"{kind}_model_name_or_path")) is not None
    }
    for kind, name in encoders.items():
        if f"{kind}_config" in model_args.model_config:
            raise ValueError(f"The recipe gives both {kind}_model_name_or_path ({name}) and {kind}_config.")
    if "text" not in encoders and fields.get("text_config"):
        # A tokenizer will be trained: its padding, not that which the encoder's pre-trained checkpoints know.
        fields["text_config"] = {**fields["text_config"], "pad_token_id": PAD_TOKEN_ID}
    try:
        model = model_class.from_encoders_pretrained(**encoders, **fields)
    except StrictDataclassError as error:
        raise ValueError(f"model_config: {' '.join(str(error).split())}") from error
    for name in model.config.sub_configs:
        if given := model_args.model_config.get(name):
            # A configuration of transformers keeps what it does not know: a slip would go unnoticed.
            check_fields(f"model_config.{name}", given, type(getattr(model.config, name))())
    return model


def build_processor(
    model_args: ModelArguments, data_args: DataArguments, model: PreTrainedModel, texts: Iterable[str | None]
) -> EmoFusionProcessor:
    """The processor that goes with a model: its own, that of its pre-trained encoders, or a new one.

    Args:
        model_args: which model.
        data_args: its data, which says how long a recording may be, and how much is seen of a film.
        model: it.
        texts: training transcripts, which a new tokenizer learns from.
    """
    rate = {} if data_args.frames_per_second is None else {"frames_per_second": data_args.frames_per_second}
    if model_args.model_name_or_path is not None:
        processor = EmoFusionProcessor.from_pretrained(model_args.model_name_or_path)
        processor.max_seconds = data_args.max_seconds
        if data_args.frames_per_second is not None:
            processor.frames_per_second = data_args.frames_per_second
        return processor
    config, feature_extractor, tokenizer, image_processor = model.config, None, None, None
    if "audio" in config.modalities:
        if getattr(config.audio_config, "model_type", None) == "whisper":  # it wants recordings as they are
            feature_extractor = Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
        elif model_args.audio_model_name_or_path is not None:
            feature_extractor = AutoFeatureExtractor.from_pretrained(model_args.audio_model_name_or_path)
        else:
            feature_extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    if "text" in config.modalities:
        most = max_tokens(config.text_config)
        if model_args.text_model_name_or_path is not None:
            tokenizer = AutoTokenizer.from_pretrained(model_args.text_model_name_or_path)
            tokenizer.model_max_length = min(tokenizer.model_max_length, most)
        else:
            tokenizer = train_tokenizer((text for text in texts if text), config.text_config.vocab_size, most)
    if "video" in config.modalities:
        if model_args.vision_model_name_or_path is not None:
            image_processor = AutoImageProcessor.from_pretrained(model_args.vision_model_name_or_path)
        else:
            size = getattr(config.vision_config, "image_size", 224)
            height, width = (size, size) if isinstance(size, int) else size
            image_processor = ViTImageProcessorPil(size={"height": height, "width": width})
    return EmoFusionProcessor(feature_extractor, tokenizer, image_processor, max_seconds=data_args.max_seconds, **rate)


def draw_rows(rows: Dataset, size: int, seed: int) -> Dataset:
    """So many rows, drawn in the proportions of the classes."""
    if not 0 < size <= len(rows):
        raise ValueError(f"max_train_samples is {size}; the training part has {len(rows)} utterances.")
    if size == len(rows):
        return rows
    return rows.train_test_split(train_size=size, stratify_by_column="label", seed=seed)["train"]


def check_fields(name: str, fields: Mapping, config: PreTrainedConfig) -> None:
    """Refuse a field that the configuration does not know; transformers would keep it, and a slip go unnoticed.

    Args:
        name: what the error calls the fields.
        fields: by name.
        config: one of the class that they are for.

    Raises:
        ValueError: if a field is unknown; it is named.
    """
    known = {*config.to_dict(), *config.attribute_map}
    for field in fields:
        if field not in known:
            raise ValueError(f"{name} has an unknown field {field!r}; {type(config).__name__} has none of that name.")
