"""Cross-validation: train every planned run that is not finished, and summarise all."""

from collections.abc import Sequence

from accelerate.utils import broadcast_object_list

from ...evaluation.results import RunResults
from ..late_fusion.fit import fit_late_fusion
from ..late_fusion.members import place_of
from ..output_folder import CROSS_VALIDATION, claimed_folder
from ..planned_run import Log, Run, Show, finish_runs
from .summary import write_summary


def cross_validate(
    runs: Sequence[Run], states: Sequence[str], log: Log | None = None, show: Show | None = None
) -> RunResults:
    """Train the runs that are not finished, one after the other, and summarise all.

    A run is `train` with the recipe of its fold and seed, or `fit_late_fusion`, which trains the members of the fold and
    seed first. Several processes train each run together.

    Args:
        runs: The runs, from `plan_runs`.
        states: Their states, from `find_states`.
        log: Called with a line of text when a run ends.
        show: As in `train`.

    Returns:
        The results of the protocol, which are in `results.json` in the folder that holds the folders of the runs.
    """
    training_args = runs[0].recipe.training

    def fit(run: Run, show: Show | None) -> RunResults:
        return fit_late_fusion(run.recipe, place_of(run), log, show)

    with claimed_folder(training_args, runs[0].folder.parent, CROSS_VALIDATION):
        finish_runs(runs, states, log, show, None if runs[0].recipe.late_fusion is None else fit)
        return broadcast_object_list([write_summary(runs) if training_args.process_index == 0 else None])[0]
