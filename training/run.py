"""One run, from a recipe to a measured Hub folder."""

import importlib
import time
from collections.abc import Iterable, Mapping

from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoFeatureExtractor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    Wav2Vec2FeatureExtractor,
    set_seed,
)

from ..configuration import VARIANTS
from ..corpora import describe_corpus, load_corpus
from ..processing import EmoFusionProcessor
from .arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from .collator import EmotionCollator
from .report import collect_facts, collect_results, write_report
from .tokenizer import train_tokenizer
from .trainer import EmotionTrainer


def train(model_args: ModelArguments, data_args: DataArguments, training_args: EmotionTrainingArguments) -> dict:
    """Train a model, choose its checkpoint on the validation part, measure it once on the test part.

    `output_dir` becomes a Hub folder: weights, configuration, processor, code, `results.json`, pictures and card.

    Args:
        model_args: which model.
        data_args: on what.
        training_args: how, and where to.

    Returns:
        The results, as in `results.json`.
    """
    set_seed(training_args.seed)
    with training_args.main_process_first(desc="the corpus"):
        corpus = load_corpus(data_args.corpus, data_args.corpus_root, **data_args.corpus_options)
    labels = corpus["train"].features["label"].names
    model = build_model(model_args, labels)
    processor = build_processor(model_args, data_args, model, corpus["train"]["text"])
    trainer = EmotionTrainer(
        model=model,
        args=training_args,
        data_collator=EmotionCollator(processor, labels),
        train_dataset=corpus["train"],
        eval_dataset=corpus["validation"],
        processing_class=processor,
        facts=collect_facts(model, corpus, describe_corpus(data_args.corpus), model_args, data_args, training_args),
    )
    start = time.perf_counter()
    trainer.train(resume_from_checkpoint=_resume_from(training_args))
    seconds = time.perf_counter() - start
    predictions = {split: trainer.predict(corpus[split], metric_key_prefix=split) for split in ("validation", "test")}
    results = collect_results(trainer.facts, predictions, seconds)
    trainer.save_model()
    if trainer.is_world_process_zero():
        write_report(training_args.output_dir, results, trainer.state.log_history)
    trainer.accelerator.wait_for_everyone()
    return results


def build_model(model_args: ModelArguments, labels: list[str]) -> PreTrainedModel:
    """The variant's classifier, around pre-trained encoders where they are named.

    Args:
        model_args: which model.
        labels: names of the classes.

    Raises:
        ValueError: if a pre-trained encoder and a configuration for it are both given, or a field is unknown or bad.
    """
    prefix = VARIANTS[model_args.variant]
    module = importlib.import_module(f"..modeling.modeling_{model_args.variant}", __package__)
    model_class = getattr(module, f"{prefix}ForSequenceClassification")
    fields = {**model_args.model_config, "id2label": dict(enumerate(labels))}
    fields["label2id"] = {label: number for number, label in enumerate(labels)}
    _check_fields("model_config", model_args.model_config, model_class.config_class())
    encoders = {
        kind: name
        for kind in ("audio", "text", "vision")
        if (name := getattr(model_args, f"{kind}_model_name_or_path")) is not None
    }
    for kind, name in encoders.items():
        if f"{kind}_config" in model_args.model_config:
            raise ValueError(f"The recipe gives both {kind}_model_name_or_path ({name}) and {kind}_config.")
    try:
        model = model_class.from_encoders_pretrained(**encoders, **fields)
    except StrictDataclassError as error:
        raise ValueError(f"model_config: {' '.join(str(error).split())}") from error
    for name in model.config.sub_configs:
        if given := model_args.model_config.get(name):
            # A configuration of transformers keeps what it does not know: a slip would go unnoticed.
            _check_fields(f"model_config.{name}", given, type(getattr(model.config, name))())
    return model


def build_processor(
    model_args: ModelArguments, data_args: DataArguments, model: PreTrainedModel, texts: Iterable[str | None]
) -> EmoFusionProcessor:
    """The processor that goes with a model: that of its pre-trained encoders, or a new one.

    Args:
        model_args: which model.
        data_args: its data, which says how long a recording may be.
        model: it.
        texts: training transcripts, which a new tokenizer learns from.
    """
    config, feature_extractor, tokenizer = model.config, None, None
    if "audio" in config.modalities:
        if model_args.audio_model_name_or_path is not None:
            feature_extractor = AutoFeatureExtractor.from_pretrained(model_args.audio_model_name_or_path)
        else:
            feature_extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    if "text" in config.modalities:
        if model_args.text_model_name_or_path is not None:
            tokenizer = AutoTokenizer.from_pretrained(model_args.text_model_name_or_path)
        else:
            text_config = config.text_config
            tokenizer = train_tokenizer(
                (text for text in texts if text), text_config.vocab_size, text_config.max_position_embeddings
            )
    return EmoFusionProcessor(feature_extractor, tokenizer, max_seconds=data_args.max_seconds)


def _check_fields(name: str, fields: Mapping, config: PreTrainedConfig) -> None:
    known = {*config.to_dict(), *config.attribute_map}
    for field in fields:
        if field not in known:
            raise ValueError(f"{name} has an unknown field {field!r}; {type(config).__name__} has none of that name.")


def _resume_from(training_args: EmotionTrainingArguments) -> str | bool | None:
    """A checkpoint's folder; or True, for the last one in `output_dir`."""
    choice = training_args.resume_from_checkpoint
    return {"true": True, "false": None}.get(str(choice).lower(), choice)
