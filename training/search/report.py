"""Results of a search, and the files that present them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ...corpora.atomic_write import staged, write_json
from ...evaluation.pictures import picture

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
    write_json(folder / "search.json", found)  # before the picture, which may fail
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


def collect_search(study: "Study", **others) -> dict:
    """Return all trials of a study and the best of them, as `search.json` has them.

    Args:
        study: A study of Optuna.
        others: Further keys and values.
    """
    trials = study.get_trials()
    finished = [trial for trial in trials if trial.state.name == "COMPLETE"]
    better = max if study.direction.name == "MAXIMIZE" else min
    best = better(finished, key=lambda trial: trial.value) if finished else None  # the first one of a tie
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
    from matplotlib.ticker import MaxNLocator

    importance = found["importance"]
    with picture(path, figsize=(9 if importance else 5.5, 3.6)) as figure:
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
        count = len(found["trials"])
        title = f"{count} trial{'s' * (count != 1)}" + (f", {failed} of them failed" if failed else "")
        if ties := format_ties(found):
            title += "\n" + ties.replace("; ", "\n")
        panels[0].set_title(title, fontsize=9)
        panels[0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panels[0].set(xlabel="trial", ylabel=f"validation {found['metric']}")
        panels[0].grid(alpha=0.3)
        if importance:
            panels[1].barh(list(importance)[::-1], list(importance.values())[::-1])
            panels[1].set(xlabel="importance", xlim=(0, 1))


def format_trial(number: int, outcome: str, settings: Mapping) -> str:
    """Return a line on the outcome of a trial."""
    return f"trial {number}: {outcome}; {', '.join(f'{name} {_short(value)}' for name, value in settings.items())}"


def format_search(found: Mapping, most: int = 5) -> str:
    """Return the best trials, ties of the best, and the number of trials by outcome, for the console.

    Args:
        found: The results, from `collect_search`.
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
    if ties := format_ties(found):
        lines.append(f"{ties[0].upper()}{ties[1:]}.")
    lines += [
        "",
        f"Scores are of the validation split of the first fold of {found['corpus']}; the test split was not used.",
    ]
    return "\n".join(lines)


def format_ties(found: Mapping, most: int = 8) -> str:
    """Return which trials share the best score, without a full stop; empty if only one trial has it.

    Args:
        found: The results, from `collect_search`.
        most: Most trials to name.
    """
    best = found["best"]
    if best is None:
        return ""
    tied = [
        trial["number"]
        for trial in found["trials"]
        if trial["state"] == "finished" and trial["value"] == best["value"]
    ]
    if len(tied) == 1:
        return ""
    named = f"trials {', '.join(map(str, tied[:-1]))} and {tied[-1]}" if len(tied) <= most else f"{len(tied)} trials"
    return f"{named} are tied at the best score; the first of them, trial {best['number']}, counts as the best"


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
