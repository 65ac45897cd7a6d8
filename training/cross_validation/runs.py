"""Cross-validation: train every planned run that is not finished, and summarise all."""

from collections.abc import Callable, Sequence

from accelerate.utils import broadcast_object_list, release_memory

from ...corpora.atomic_write import write_json
from ...evaluation.results import RunResults
from ..output_folder import claimed_folder
from ..run import train
from ..trainer import EmotionTrainer
from .plan import RECORD, Run
from .summary import write_summary


def cross_validate(
    runs: Sequence[Run],
    states: Sequence[str],
    log: Callable[[str], object] | None = None,
    show: Callable[[EmotionTrainer], object] | None = None,
) -> RunResults:
    """Train the runs that are not finished, one after the other, and summarise all.

    A run is `train` with the recipe of its fold and seed; runs share nothing. Several processes train each run together.

    Args:
        runs: The runs, from `plan_runs`.
        states: Their states, from `find_states`.
        log: Called with a line of text when a run ends.
        show: As in `train`.

    Returns:
        The results of the protocol, which are in `results.json` in the folder that holds the folders of the runs.
    """
    with claimed_folder(runs[0].recipe.training, runs[0].folder.parent):
        return _cross_validate(runs, states, log, show)


def _cross_validate(
    runs: Sequence[Run],
    states: Sequence[str],
    log: Callable[[str], object] | None,
    show: Callable[[EmotionTrainer], object] | None,
) -> RunResults:
    for number, (run, state) in enumerate(zip(runs, states, strict=True), start=1):
        if state == "finished":
            continue
        results = _train(run, state, show)
        if log is not None:
            test = results.metrics["test"]
            scores = ", ".join(f"{score.upper()} {100 * getattr(test, score):.1f}" for score in ("wa", "ua", "wf1"))
            log(f"{run.name} ({number} of {len(runs)}): {scores} in {results.seconds:.0f} s")
        release_memory()
    is_main = runs[0].recipe.training.process_index == 0
    return broadcast_object_list([write_summary(runs) if is_main else None])[0]


def _train(run: Run, state: str, show: Callable[[EmotionTrainer], object] | None) -> RunResults:
    recipe = run.recipe
    if state != "new":
        recipe = recipe.replace(resume_from_checkpoint="true")
    elif recipe.training.process_index == 0:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / RECORD, run.describe())
    return train(recipe, show)
