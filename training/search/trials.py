"""Hyperparameter search: trials are trained on the first fold and compared on its validation split."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate.utils import release_memory
from datasets import DatasetDict
from filelock import FileLock
from transformers import Trainer

from ...configuration.plain_text import reason_of
from ..adapters.base import BASE
from ..arguments import DataArguments, EmotionTrainingArguments
from ..lifecycle import load_rows
from ..metadata import describe_environment
from ..output_folder import SEARCH, STUDY, check_kind, check_writable
from ..progress import Log
from ..recipe import Recipe
from ..run import build_trainer
from ..trainer import EmotionTrainer
from .report import collect_search, format_trial, write_search
from .space import check_metric, suggest

if TYPE_CHECKING:
    from optuna import Study, Trial

RECIPE = "recipe"  # attribute of the study that describes the recipe and the search space
# Errors that end one trial and not the search: it diverged, ran out of memory, or its settings are invalid together.
FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)


def search(recipe: Recipe, log: Callable[[str], object] | None = None) -> dict:
    """Search for the settings with the best validation score, with Optuna.

    A trial trains the recipe with settings from the search space. It never sees the test split. A folder can be searched
    by several processes at a time, and an interrupted search goes on where it was.

    Args:
        recipe: A recipe with the group `search`. The search writes into its `output_dir`.
        log: Called with a line after each trial.

    Returns:
        All trials, as in `search.json`.

    Raises:
        ImportError: If Optuna is not installed.
        ValueError: If the search space is empty or invalid, the folder holds another search, or no trial finished.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # `log` has a line for a failed trial, not its traceback
    search_args, training_args = recipe.search, recipe.training
    _check_search(recipe)
    folder = Path(training_args.output_dir)
    check_writable("output_dir", folder)
    study = _open_study(folder, recipe)
    trainer = SearchTrainer(recipe, log)
    try:
        while _count_ended(study) < search_args.trials:  # other processes may add trials meanwhile
            try:
                trainer.hyperparameter_search(
                    hp_space=lambda trial: {},  # `build_trial` applies the settings
                    n_trials=1,
                    direction=study.direction.name.lower(),
                    backend="optuna",
                    storage=study_url(folder),
                    study_name=study.study_name,
                    load_if_exists=True,
                    pruner=optuna.pruners.MedianPruner() if search_args.prune else optuna.pruners.NopPruner(),
                    catch=FAILURES,
                )
            except ValueError:  # raised by Optuna while no trial is complete
                if _has_complete(study):
                    raise
    finally:
        found, best = _write_result(study, folder, recipe)
    if best is None:
        errors = [trial["error"] for trial in found["trials"] if trial["error"]]
        raise ValueError(f"No trial finished. {f'Error of the last one: {errors[-1]}' if errors else ''}".strip())
    return found


def _write_result(study: "Study", folder: Path, recipe: Recipe) -> tuple[dict, Recipe | None]:
    """Write the files of a search; return the content of `search.json` and the recipe of the best trial."""
    metadata = first_fold(recipe.data).selection.describe()
    found = collect_search(
        study,
        corpus=metadata.get("title", metadata["name"]),
        metric=metric_of(recipe.training),
        space=recipe.search.search,
        recipe=recipe.describe(),
        environment=describe_environment(recipe.training).to_dict(),
    )
    best = None if found["best"] is None else recipe.replace(**found["best"]["settings"])
    write_search(folder, found, best)
    return found, best


class SearchTrainer(Trainer):
    """A trainer whose `hyperparameter_search` builds a new `EmotionTrainer` for each trial.

    `Trainer` itself keeps one trainer and only changes its arguments. Whatever was built from them (collators, class
    weights, learning rates of components, caches) would stay that of the first trial.

    Args:
        recipe: A recipe with the group `search`.
        log: Called with a line after each trial.
    """

    def __init__(self, recipe: Recipe, log: Callable[[str], object] | None):
        off = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
        off |= {"report_to": "none", "push_to_hub": False}
        super().__init__(model_init=lambda: torch.nn.Identity(), args=dataclasses.replace(recipe.training, **off))
        self.recipe = recipe
        self.log_trial = log or (lambda line: None)

    def train(self, resume_from_checkpoint=None, trial: "Trial | None" = None, **kwargs) -> None:
        """Train one trial; its best validation score becomes `objective`.

        Raises:
            FloatingPointError: If the validation loss is not finite.
        """
        from optuna import TrialPruned
        from optuna.samplers import TPESampler

        release_memory()  # of the previous trial
        # Seeded by the number of the trial, so that an interrupted or shared search never suggests the same settings twice.
        trial.study.sampler = TPESampler(seed=self.args.seed + trial.number)
        settings, outcome = {}, "interrupted"
        try:
            settings = suggest(trial, self.recipe.search.search)
            with trial_folder(self.args.output_dir, trial.number) as folder:
                trainer = build_trial(self.recipe, settings, folder)
                trainer.remove_callback(Log)  # a trial is a single line
                scores = self._collect_scores(trainer)
                trainer.train(trial=trial)
            if not scores:
                raise ValueError("there was no evaluation before the last step; set eval_strategy and eval_steps.")
            self.objective = max(scores) if self.args.greater_is_better else min(scores)
            outcome = f"{metric_of(self.args)} {self.objective:.4f}"
        except TrialPruned:
            outcome = "pruned"
            raise
        except FAILURES as error:
            trial.set_user_attr("error", reason_of(error))
            outcome = f"failed ({trial.user_attrs['error']})"
            raise
        finally:
            self.log_trial(format_trial(trial.number, outcome, settings))

    def _collect_scores(self, trainer: EmotionTrainer) -> list[float]:
        """Return a list that fills with validation scores in training; Optuna gets them too, and may prune the trial."""
        scores, metric = [], metric_of(self.args)

        def objective(metrics: Mapping[str, float]) -> float:
            if not math.isfinite(metrics["eval_loss"]):
                raise FloatingPointError(f"the validation loss is {metrics['eval_loss']}.")
            scores.append(metrics[f"eval_{metric}"])
            return scores[-1]

        trainer.hp_search_backend, trainer.hp_space = self.hp_search_backend, self.hp_space
        trainer.compute_objective = objective
        return scores


@contextmanager
def trial_folder(folder: str | Path, number: int) -> Iterator[Path]:
    """Make the folder of a trial; afterwards, only the files of trackers stay in it.

    Args:
        folder: The folder of the search.
        number: The number of the trial.
    """
    trial = Path(folder, f"trial-{number}")
    trial.mkdir()
    try:
        yield trial
    finally:
        shutil.rmtree(trial / BASE, ignore_errors=True)
        if trial.is_dir() and not any(trial.iterdir()):
            trial.rmdir()


def build_trial(recipe: Recipe, settings: Mapping, folder: Path) -> EmotionTrainer:
    """Return the trainer of a trial: the recipe with other settings, on the first fold, without the test split.

    Args:
        recipe: The recipe of the search.
        settings: Values by the name of the option.
        folder: The folder of the trial.
    """
    recipe = recipe.replace(**settings)
    recipe = recipe.replace(
        corpus_options=first_fold(recipe.data).corpus_options,
        output_dir=folder,
        run_name=f"{recipe.training.run_name or folder.parent.name}-{folder.name}",
        save_strategy="no",
        load_best_model_at_end=False,
        push_to_hub=False,
    )
    corpus, metadata, task = load_rows(recipe)
    corpus = DatasetDict({split: corpus[split] for split in ("train", "validation")})
    return build_trainer(corpus, metadata, task, recipe)


def first_fold(data_args: DataArguments) -> DataArguments:
    """Return the arguments with the corpus options of the first fold."""
    fold, *_ = data_args.selection.folds()
    return dataclasses.replace(data_args, corpus_options=data_args.options_of(fold))


def metric_of(training_args: EmotionTrainingArguments) -> str:
    """Return the validation metric that trials are compared by: the one that selects checkpoints."""
    return (training_args.metric_for_best_model or "loss").removeprefix("eval_")


def study_url(folder: Path) -> str:
    """Return the URL of Optuna's storage; a process waits up to a minute while another one writes."""
    return f"sqlite:///{(folder / STUDY).absolute()}?timeout=60"


def _count_ended(study: "Study") -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _has_complete(study: "Study") -> bool:
    return any(trial.state.name == "COMPLETE" for trial in study.get_trials(deepcopy=False))


def _open_study(folder: Path, recipe: Recipe) -> "Study":
    """Return the study in a folder, which is created if there is none; raise if it is that of another search."""
    import optuna

    wanted = json.loads(json.dumps(recipe.describe() | {"search": recipe.search.search}))
    direction = "maximize" if recipe.training.greater_is_better else "minimize"
    with FileLock(folder / f"{STUDY}.lock"):  # only one process creates the tables
        study = optuna.create_study(
            storage=study_url(folder), study_name="search", direction=direction, load_if_exists=True
        )
        known = study.user_attrs.get(RECIPE)
        if known is None:
            study.set_user_attr(RECIPE, wanted)
        elif known != wanted:
            differing = [name for name in {**known, **wanted} if known.get(name) != wanted.get(name)]
            raise ValueError(
                f"{folder} holds a search with another {' and another '.join(differing)}: choose another output_dir, or "
                "remove that folder to start anew."
            )
    return study


def _check_search(recipe: Recipe) -> None:
    """Raise if a search is impossible, before anything is trained."""
    search_args, training_args = recipe.search, recipe.training
    if not search_args.search:
        raise ValueError(
            "The recipe has no search space; add a mapping `search`, such as "
            "`search: {learning_rate: {low: 1e-5, high: 1e-3, log: true}}`."
        )
    if training_args.world_size > 1:
        raise ValueError("A trial runs in one process; start the command several times to search in parallel.")
    if training_args.eval_strategy == "no":
        raise ValueError("eval_strategy is 'no', but trials are compared by their scores on the validation split.")
    check_kind(Path(training_args.output_dir), SEARCH)
    check_space(recipe)


def check_space(recipe: Recipe) -> None:
    """Raise a ValueError if the search space names an unknown option or one that changes the metric, or its values are wrong."""
    check_metric(recipe.search.search, metric_of(recipe.training))
    for name, domain in recipe.search.search.items():
        ends = domain if isinstance(domain, list) else (domain["low"], domain["high"])
        recipes = [recipe.replace(**{name: end}).describe() for end in ends]
        if any(described in recipes[:number] for number, described in enumerate(recipes)):
            raise ValueError(f"search names {name!r}, but two of its values, such as {ends[0]!r}, make no difference.")
