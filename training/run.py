"""One run, from a recipe to a measured Hub folder."""

import time
from pathlib import Path

from datasets import DatasetDict
from transformers import AutoFeatureExtractor, AutoTokenizer, PreTrainedModel, Wav2Vec2FeatureExtractor, set_seed
from transformers.trainer_utils import get_last_checkpoint

import emofusion

from ..configuration import VARIANTS
from ..corpora import describe_corpus, load_corpus
from ..corpora.folds import check_speaker_independent
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
    corpus = load_corpus(data_args.corpus, data_args.corpus_root, **data_args.corpus_options)
    labels = corpus["train"].features["label"].names
    model = build_model(model_args, labels)
    processor = build_processor(model_args, data_args, model, corpus)
    trainer = EmotionTrainer(
        model=model,
        args=training_args,
        data_collator=EmotionCollator(processor, labels),
        train_dataset=corpus["train"],
        eval_dataset=corpus["validation"],
        processing_class=processor,
        facts=collect_facts(model, describe_corpus(data_args.corpus), corpus, model_args, training_args),
    )
    start = time.perf_counter()
    trainer.train(resume_from_checkpoint=_checkpoint_to_resume(training_args))
    seconds = time.perf_counter() - start
    predictions = {split: trainer.predict(corpus[split], metric_key_prefix=split) for split in ("validation", "test")}
    trainer.save_model()
    results = collect_results(trainer.facts, predictions, seconds)
    if trainer.is_world_process_zero():
        write_report(training_args.output_dir, results, trainer.state.log_history)
    trainer.accelerator.wait_for_everyone()
    return results
