"""The life of a run, whatever it trains: load and check its rows, and finish it as a Hub folder."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from datasets import DatasetDict
from transformers import TrainerCallback
from transformers.trainer_utils import PredictionOutput

from ..configuration.plain_text import reason_of
from ..corpora.atomic_write import staged, write_json
from ..corpora.folds import check_splits, write_folds
from ..corpora.schema import SPLITS as CORPUS_SPLITS
from ..evaluation.metadata import CorpusMetadata
from ..evaluation.pictures import LEARNING_CURVE, draw_learning_curves
from ..evaluation.predictions import FILE as PREDICTIONS
from ..evaluation.predictions import Predictions, write_predictions
from ..evaluation.results import FILE as RESULTS
from ..evaluation.results import Results, RunResults
from ..evaluation.task import Task, task_of_results
from ..hub.card import write_card
from .adapters.lora import unwrap_adapters
from .collator import leave_out_unread
from .other_corpora import draw_others
from .processor_building import find_context_turns
from .recipe import Recipe
from .row_checks import check_context
from .run_task import check_corpora, choose_task, draw_rows, leave_out_unlabelled
from .trainer import EmotionTrainer

LOG = "training_log.json"
SPLITS = "splits.json"  # ids of each split of a run, in the form of a fold file

Log = Sequence[Mapping[str, float]]


def load_rows(recipe: Recipe) -> tuple[DatasetDict, CorpusMetadata, Task]:
    """Return the splits that the recipe of a run selects, checked, the metadata of the corpus, and the task.

    Test splits of other corpora (`test_corpora`) are further splits, with the name of the corpus. The main process loads
    all of them first; the others find what it cached.

    Args:
        recipe: The recipe, with `data` and `training`.

    Raises:
        ValueError: If the corpus cannot be loaded, or an utterance or, where the protocol excludes it, a speaker is in
            two splits, or the corpus does not have the labels of the task.
    """
    data = recipe.data
    check_corpora(data)
    with recipe.training.main_process_first(desc="loading the rows"):
        turns = find_context_turns(recipe.model, data)
        corpus, description = replace(data.selection, context_turns=turns).load()
    metadata = CorpusMetadata.from_dict(description)
    check_splits(own_splits(corpus), bool(metadata.speaker_independent))
    task = choose_task(data, corpus, metadata)
    corpus = leave_out_unlabelled(corpus, task)
    if data.max_train_samples is not None:
        corpus["train"] = draw_rows(corpus["train"], data.max_train_samples, recipe.training.seed, task)
    if turns:
        check_context(corpus)
    return corpus, metadata, task


def own_splits(corpus: DatasetDict) -> DatasetDict:
    """Return the splits of the corpora that a run learns from, without the test splits of others."""
    return DatasetDict({split: rows for split, rows in corpus.items() if split in CORPUS_SPLITS})


class EarlierRunRemover(TrainerCallback):
    """Removes the results and splits of an earlier run from the output folder of a new one, whose checkpoints they belie."""

    def on_step_end(self, args, state, control, **kwargs):
        """Remove them after the first step, before any checkpoint; a resumed run has done that step, and keeps its own."""
        if state.global_step == 1 and args.should_save:
            for name in (RESULTS, SPLITS):
                Path(args.output_dir, name).unlink(missing_ok=True)


def predict_splits(
    trainer: EmotionTrainer, corpus: DatasetDict, ignore_keys: list[str] | None = None
) -> dict[str, PredictionOutput]:
    """Return the model's outputs on all splits but "train"; nothing else of a run reads the test splits.

    Args:
        trainer: The trainer that has the model.
        corpus: The splits.
        ignore_keys: As in [`transformers.Trainer.predict`].
    """
    config = unwrap_adapters(trainer.model).config
    others = {split: rows for split, rows in corpus.items() if split not in ("train", "validation")}
    rows = {"validation": trainer.eval_dataset} | {
        split: leave_out_unread(found, config) for split, found in others.items()
    }
    return {
        split: trainer.predict(found, ignore_keys=ignore_keys, metric_key_prefix=split)
        for split, found in rows.items()
    }


def add_scores(results: RunResults, task: Task, predictions: Mapping[str, Predictions]) -> None:
    """Add the scores of predictions on all splits, and the temperature of classes that was fitted on the validation split."""
    for name, value in task.measure(predictions).items():
        setattr(results, name, value)
    scaling = results.temperature_scaling = task.fit_temperature(predictions["validation"])
    results.temperature = None if scaling is None else scaling.kept


def finish_run(
    folder: str | Path,
    results: Results,
    *,
    trainer: EmotionTrainer | None = None,
    predictions: Mapping[str, Predictions] | None = None,
    corpus: DatasetDict | None = None,
    logs: Mapping[str, Log] | None = None,
    title: str | None = None,
) -> None:
    """Make the folder of a run a complete Hub folder, and push it if its arguments ask for that.

    In this order, each file once: the weights with configuration, processor and code; predictions, splits and log;
    pictures; the card; `results.json`. A picture that cannot be drawn is left out with a warning. A folder with
    `results.json` is therefore finished, and an interrupted run has none.

    All processes must call this if there is a trainer, otherwise the main process.

    Args:
        folder: The folder.
        results: The results, complete but for the names of the pictures that could be drawn, which are added.
        trainer: The trainer that has the model. Without one, as in a cross-validation, the folder holds no model.
        predictions: Predictions per split. Without them no picture is drawn.
        corpus: The splits, whose ids are written to `splits.json`.
        logs: Log of each training by its name in the learning curves; by default that of the trainer.
        title: Title of the first picture; by default the system.
    """
    folder, log = Path(folder), [] if trainer is None else trainer.state.log_history
    if logs is None:
        logs = {results.system: log} if log else {}
    is_main = trainer is None or trainer.is_world_process_zero()
    if is_main:
        (folder / RESULTS).unlink(missing_ok=True)  # the results of an earlier run are not those of the new weights
    if trainer is not None:
        trainer.save_bundle(folder)
    if is_main:
        with staged(folder) as staging:
            if trainer is not None and predictions is not None:
                write_predictions(staging / PREDICTIONS, predictions, task_of_results(results))
            if corpus is not None:
                fold = str(results.corpus.fold or 1)
                write_folds(
                    staging / SPLITS, {fold: {split: rows["id"][:] for split, rows in own_splits(corpus).items()}}
                )
            if log:
                write_json(staging / LOG, log)
        if predictions is not None:
            results.pictures = _draw(folder, results, title or results.system, predictions, logs)
            results.pictures += draw_others(folder, results, predictions)
        try:
            write_card(folder, results)
        except Exception:  # the measurements are saved even if the card fails
            results.write(folder)
            raise
        results.write(folder)
    if trainer is not None:
        trainer.accelerator.wait_for_everyone()
        if trainer.args.push_to_hub:
            _upload_or_warn(trainer)


def _draw(
    folder: Path, results: Results, title: str, predictions: Mapping[str, Predictions], logs: Mapping[str, Log]
) -> list[str]:
    """Draw the pictures of a run into its folder, and return their names; one that cannot be drawn is a warning."""
    task = task_of_results(results)
    score = task.selection_metric
    with staged(folder) as staging:
        drawings = [lambda: task.draw_test_split(staging, title, results, predictions["test"])]
        if logs:
            drawings.append(lambda: draw_learning_curves(staging / LEARNING_CURVE, logs, score, task.summary[score]))
        for draw in drawings:
            try:
                draw()
            except Exception as error:  # of any kind: the run is finished, and its pictures are an extra
                reason = reason_of(error)
                warnings.warn(
                    f"A picture in {folder} could not be drawn ({reason}); the scores are saved.", stacklevel=3
                )
        return [name for name in (*task.pictures, LEARNING_CURVE) if (staging / name).is_file()]


def _upload_or_warn(trainer: EmotionTrainer) -> None:
    """Push the finished folder; if that fails, warn, because the run itself is complete."""
    try:
        trainer.upload()
    except (OSError, ValueError) as error:
        folder = trainer.args.output_dir
        warnings.warn(
            f"Not pushed: {error} The model is in {folder}; push it with: emofusion push {folder} OWNER/NAME",
            stacklevel=3,
        )
