"""Search, with optuna, for the settings that do best on the validation part of the first fold."""

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
from filelock import FileLock
from transformers import Trainer

from ...corpora import describe_corpus, list_folds
from ..adapters.base import BASE
from ..arguments import DataArguments, EmotionTrainingArguments
from ..interruption import check_output_dir
from ..lifecycle import load_rows
from ..metadata import describe_environment
from ..recipe import Recipe
from ..run import build_trainer
from ..trainer import EmotionTrainer
from .report import collect_search, format_trial, write_search
from .space import suggest

if TYPE_CHECKING:
    from optuna import Study, Trial

STUDY = "study.db"  # the trials of a search, in its folder
RECIPE = "recipe"  # by what the study knows what it is a search over
# Of one trial: it diverged, is too large, or its settings do not go together. Others may do better.
FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)


def search(recipe: Recipe, tell: Callable[[str], object] | None = None) -> dict:
    """Train a recipe with one set of settings after the other, and write down which does best.

    A trial is what `train` makes of the recipe with a few options more, up to the end of training: the test part is
    taken away from it before anything is built. The folder of the search may be searched on, by several processes too.

    Args:
        recipe: Its group `search` says what is tried.
        tell: is given a line whenever a trial ends.

    Returns:
        All trials, as in `search.json`.

    Raises:
        ImportError: without optuna.
        ValueError: if there is nothing to search over, the folder holds another search, or no trial came to its end.
    """
    optuna = _import_optuna()
    search_args, training_args = recipe.search, recipe.training
    _check_search(recipe)
    check_output_dir(training_args)
    folder = Path(training_args.output_dir)
    study = _open_study(optuna, folder, recipe)
    conductor = Conductor(recipe, tell)
    try:
        while _finished(study) < search_args.trials:  # other processes may add to them meanwhile
            try:
                conductor.hyperparameter_search(
                    hp_space=lambda trial: {},  # a trial's trainer is made with its settings
                    n_trials=1,
                    direction=study.direction.name.lower(),
                    backend="optuna",
                    storage=study_url(folder),
                    study_name=study.study_name,
                    load_if_exists=True,
                    pruner=optuna.pruners.MedianPruner() if search_args.prune else optuna.pruners.NopPruner(),
                    catch=FAILURES,
                )
            except ValueError:  # optuna has no best trial to return yet
                if _completed(study):
                    raise
    finally:
        about = describe_corpus(recipe.data.corpus, **first_fold(recipe.data).corpus_options)
        found = collect_search(
            study,
            corpus=about.get("title", about["name"]),
            metric=metric_of(training_args),
            space=search_args.search,
            recipe=recipe.describe(),
            environment=describe_environment(training_args).to_dict(),
        )
        best = None
        if found["best"] is not None:
            best = recipe.replace(**found["best"]["settings"])
        write_search(folder, found, best)
    if best is None:
        errors = [trial["error"] for trial in found["trials"] if trial["error"]]
        raise ValueError(
            f"No trial came to its end. {f'The last that failed: {errors[-1]}' if errors else ''}".strip()
        )
    return found


class Conductor(Trainer):
    """Trains nothing itself: its `hyperparameter_search` gives every trial a trainer of its own.

    Trainer's own way keeps one trainer and sets its arguments anew. What hangs on them, as collators, class weights, learning
    rates by component and caches, would stay as it was for the first trial.

    Args:
        recipe: What all trials have in common, and what is tried.
        tell: is given a line whenever a trial ends.
    """

    def __init__(self, recipe: Recipe, tell: Callable[[str], object] | None):
        still = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
        still |= {"report_to": "none", "push_to_hub": False}
        super().__init__(model_init=lambda: torch.nn.Identity(), args=dataclasses.replace(recipe.training, **still))
        self.recipe = recipe
        self.tell = tell or (lambda line: None)

    def train(self, resume_from_checkpoint=None, trial: "Trial | None" = None, **kwargs) -> None:
        """Train one trial, and keep as `objective` the best that was measured on its validation part.

        Raises:
            FloatingPointError: if it diverged.
        """
        from optuna import TrialPruned
        from optuna.samplers import TPESampler

        release_memory()  # what an earlier trial left
        # From the number of the trial: none is drawn twice, however often the search is interrupted and by however many shared.
        trial.study.sampler = TPESampler(seed=self.args.seed + trial.number)
        settings, outcome = {}, "interrupted"
        try:
            settings = suggest(trial, self.recipe.search.search)
            with trial_folder(self.args.output_dir, trial.number) as folder:
                trainer = build_trial(self.recipe, settings, folder)
                measured = self._listen_to(trainer)
                trainer.train(trial=trial)
            if not measured:
                raise ValueError("nothing was measured before its last step; set eval_strategy and eval_steps.")
            self.objective = max(measured) if is_greater_better(self.args) else min(measured)
            outcome = f"{self.metric} {self.objective:.4f}"
        except TrialPruned:
            outcome = "pruned"
            raise
        except FAILURES as error:
            trial.set_user_attr("error", " ".join(str(error).split()) or type(error).__name__)
            outcome = f"failed ({trial.user_attrs['error']})"
            raise
        finally:
            self.tell(format_trial(trial.number, outcome, settings))

    @property
    def metric(self) -> str:
        """By which trials are compared."""
        return metric_of(self.args)

    def _listen_to(self, trainer: EmotionTrainer) -> list[float]:
        """What will be measured while it trains; Trainer gives it on to optuna, which may end the trial."""
        measured = []

        def objective(metrics: Mapping[str, float]) -> float:
            if not math.isfinite(metrics["eval_loss"]):
                raise FloatingPointError(f"the validation loss is {metrics['eval_loss']}.")
            measured.append(metrics[f"eval_{self.metric}"])
            return measured[-1]

        trainer.hp_search_backend, trainer.hp_space = self.hp_search_backend, self.hp_space
        trainer.compute_objective = objective
        return measured


@contextmanager
def trial_folder(folder: str | Path, number: int) -> Iterator[Path]:
    """A folder for one trial, of which only what a tracker wrote into it is left."""
    trial = Path(folder, f"trial-{number}")
    trial.mkdir()
    try:
        yield trial
    finally:
        shutil.rmtree(trial / BASE, ignore_errors=True)
        if trial.is_dir() and not any(trial.iterdir()):
            trial.rmdir()


def build_trial(recipe: Recipe, settings: Mapping, folder: Path) -> EmotionTrainer:
    """The trainer of a recipe with a few settings more, on the first fold, without its test part.

    Args:
        recipe: What all trials have in common.
        settings: values by the name of the option.
        folder: of the trial.
    """
    recipe = recipe.replace(**settings)
    recipe = recipe.replace(
        corpus_options=first_fold(recipe.data).corpus_options,
        output_dir=str(folder),
        run_name=f"{recipe.training.run_name or folder.parent.name}-{folder.name}",
        save_strategy="no",
        load_best_model_at_end=False,
        push_to_hub=False,
    )
    corpus, about = load_rows(recipe)
    del corpus["test"]
    return build_trainer(corpus, about, recipe)


def first_fold(data_args: DataArguments) -> DataArguments:
    """The arguments that load the first fold of a corpus."""
    fold, *_ = list_folds(data_args.corpus, **data_args.corpus_options)
    return dataclasses.replace(data_args, corpus_options=data_args.corpus_options | fold)


def metric_of(training_args: EmotionTrainingArguments) -> str:
    """The validation figure by which checkpoints are chosen, and trials are compared."""
    return (training_args.metric_for_best_model or "loss").removeprefix("eval_")


def is_greater_better(training_args: EmotionTrainingArguments) -> bool:
    """Whether more of it is better."""
    return metric_of(training_args) != "loss"


def _finished(study: "Study") -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _completed(study: "Study") -> int:
    return sum(trial.state.name == "COMPLETE" for trial in study.get_trials(deepcopy=False))


def _import_optuna():
    try:
        import optuna
    except ImportError as error:
        raise ImportError("A search needs optuna: pip install 'emofusion[search]'.") from error
    optuna.logging.set_verbosity(
        optuna.logging.ERROR
    )  # a trial that fails is told of in one line, not with its traceback
    return optuna


def study_url(folder: Path) -> str:
    """Where the trials of a search are kept; a process waits a minute for another that writes."""
    return f"sqlite:///{(folder / STUDY).absolute()}?timeout=60"


def _open_study(optuna, folder: Path, recipe: Recipe) -> "Study":
    """The study in a folder, a new one or that of the same search."""
    wanted = json.loads(json.dumps(recipe.describe() | {"search": recipe.search.search}))
    direction = "maximize" if is_greater_better(recipe.training) else "minimize"
    with FileLock(folder / f"{STUDY}.lock"):  # of several processes, one makes the tables
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
                "remove that folder to search anew."
            )
    return study


def _check_search(recipe: Recipe) -> None:
    """Refuse a search that could not be, before anything is trained."""
    search_args, training_args = recipe.search, recipe.training
    if not search_args.search:
        raise ValueError(
            "The recipe says nothing to search over: give it a mapping `search`, as in "
            "`search: {learning_rate: {low: 1e-5, high: 1e-3, log: true}}`."
        )
    if training_args.world_size > 1:
        raise ValueError("A trial is trained by one process: start the search several times, they share its folder.")
    if training_args.eval_strategy == "no":
        raise ValueError("eval_strategy is 'no', and trials are compared by what is measured on the validation part.")
    if Path(training_args.output_dir, "config.json").exists():
        raise ValueError(f"output_dir {training_args.output_dir} holds a model: give the search a folder of its own.")
    for name, domain in search_args.search.items():
        ends = domain if isinstance(domain, list) else (domain["low"], domain["high"])
        recipes = [recipe.replace(**{name: end}).describe() for end in ends]
        if any(described in recipes[:number] for number, described in enumerate(recipes)):
            raise ValueError(f"search names {name!r}, but {ends[0]!r} and others of its values make no difference.")
