"""Results of a search, and the files that present them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ...corpora.atomic_write import staged, write_json

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from ..recipe import Recipe

FORMAT = 1
STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}


def write_search(folder: str | Path, found: Mapping, best: "Recipe | None") -> None:
    """Write `search.json`, `search.png` and `best.yaml` into the folder of a search.

    Args:
        folder: The folder.
        found: The results, from `collect_search`.
        best: The recipe of the best trial; None if no trial finished.
    """
    folder = Path(folder)
    with staged(folder) as staging:
        draw_search(staging / "search.png", found)
        if best is not None:
            number, metric = found["best"]["number"], found["metric"]
            comment = (
                f"# Best of {len(found['trials'])} trials by validation {metric} (trial {number}); see search.json.\n"
            )
            recipe = best.given() | {"output_dir": str(folder / "best"), "use_cpu": best.training.use_cpu}
            text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
            (staging / "best.yaml").write_text(comment + text, encoding="utf-8")
    write_json(folder / "search.json", found)


def collect_search(study: "Study", **others) -> dict:
    """Return all trials of a study and the best of them, as `search.json` has them.

    Args:
        study: A study of Optuna.
        others: Further keys and values.
    """
    trials = study.get_trials()
    finished = [trial for trial in trials if trial.state.name == "COMPLETE"]
    best = study.best_trial if finished else None
    return {
        "format": FORMAT,
        **others,
        "direction": study.direction.name.lower(),
        "best": best and {"number": best.number, "value": best.value, "settings": best.params},
        "importance": _importance(study, len(finished)),
        "trials": [_describe(trial) for trial in trials],
    }


def draw_search(path: str | Path, found: Mapping) -> None:
    """Draw the scores of the trials, the best so far, and the importance of each setting.

    Args:
        path: PNG to write.
        found: The results, from `collect_search`.
    """
    from matplotlib.figure import Figure

    importance = found["importance"]
    figure = Figure(figsize=(9 if importance else 5.5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2 if importance else 1, squeeze=False)[0]
    better = max if found["direction"] == "maximize" else min
    best_so_far, best = [], None
    for state, look in (("finished", {"marker": "o"}), ("pruned", {"marker": "x", "color": "grey"})):
        points = [(trial["number"], trial["value"]) for trial in found["trials"] if trial["state"] == state]
        points = [(number, value) for number, value in points if value is not None]
        if points:
            panels[0].scatter(*zip(*points, strict=True), label=state, **look)
        if state == "finished":
            for number, value in points:
                best = value if best is None else better(best, value)
                best_so_far.append((number, best))
    if best_so_far:
        panels[0].plot(*zip(*best_so_far, strict=True), drawstyle="steps-post", label="best so far")
        panels[0].legend(fontsize=8)
    failed = sum(trial["state"] == "failed" for trial in found["trials"])
    panels[0].set_title(f"{len(found['trials'])} trials, {failed} of them failed", fontsize=9)
    panels[0].set(xlabel="trial", ylabel=f"validation {found['metric']}")
    panels[0].grid(alpha=0.3)
    if importance:
        panels[1].barh(list(importance)[::-1], list(importance.values())[::-1])
        panels[1].set(xlabel="importance", xlim=(0, 1))
    figure.savefig(path, dpi=150)


def format_trial(number: int, outcome: str, settings: Mapping) -> str:
    """Return a line on the outcome of a trial."""
    return f"trial {number}: {outcome}; {', '.join(f'{name} {_short(value)}' for name, value in settings.items())}"


def format_search(found: Mapping, folder: str | Path, most: int = 5) -> str:
    """Return the best trials, the number of trials by outcome, and the next commands, for the console.

    Args:
        found: The results, from `collect_search`.
        folder: The folder of the search.
        most: Most trials to show.
    """
    finished = [trial for trial in found["trials"] if trial["state"] == "finished"]
    finished.sort(key=lambda trial: trial["value"], reverse=found["direction"] == "maximize")
    names = list(found["space"])
    widths = [max(12, len(name) + 2) for name in names]
    lines = [
        f"{'trial':<7}{found['metric']:>8}" + "".join(f"{name:>{w}}" for name, w in zip(names, widths, strict=True))
    ]
    for trial in finished[:most]:
        cells = "".join(f"{_short(trial['settings'][name]):>{w}}" for name, w in zip(names, widths, strict=True))
        lines.append(f"{trial['number']:<7}{trial['value']:8.4f}{cells}")
    counts = {state: sum(trial["state"] == state for trial in found["trials"]) for state in STATES.values()}
    lines += ["", ", ".join(f"{count} {state}" for state, count in counts.items() if count)]
    if found["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found["importance"].items())
        lines.append(f"importance: {shares}")
    return "\n".join(
        [
            *lines,
            "",
            f"Scores are of the validation split of the first fold of {found['corpus']}; the test split was not used.",
            f"{folder} has search.json, search.png and best.yaml, the recipe of the best trial:",
            f"  emofusion train {Path(folder, 'best.yaml')}",
            f"  emofusion cross-validate {Path(folder, 'best.yaml')}",
        ]
    )


def _describe(trial: "FrozenTrial") -> dict:
    value = trial.value if trial.state.name == "COMPLETE" else (list(trial.intermediate_values.values()) or [None])[-1]
    return {
        "number": trial.number,
        "state": STATES[trial.state.name],
        "value": value,
        "settings": trial.params,
        "measured": {str(step): value for step, value in trial.intermediate_values.items()},
        "seconds": trial.duration and round(trial.duration.total_seconds(), 2),
        "error": trial.user_attrs.get("error"),
    }


def _importance(study: "Study", finished: int) -> dict[str, float]:
    """Return the share of the variance between trials that each setting explains; empty for fewer than ten trials."""
    from optuna.importance import get_param_importances

    if finished < 10:
        return {}
    try:
        return get_param_importances(study)
    except (RuntimeError, ValueError):  # all trials have the same score
        return {}


def _short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
