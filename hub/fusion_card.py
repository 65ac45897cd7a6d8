"""Tables of a late fusion on its card: members and combinations, weights, and the comparison with each member."""

from ..configuration.plain_text import join_words, show_name
from ..evaluation.results import LateFusionResults, RunResults
from ..evaluation.task import Task
from .markdown import Markdown, format_table

SPLITS = ("validation", "test")
# column of a comparison -> heading
COMPARED = {
    "wa": "WA, difference",
    "wa_interval": "95 %",
    "ua": "UA, difference",
    "ua_interval": "95 % ",
    "p_utterances": "p over utterances (WA)",
    "p_wa": "p over speakers (WA)",
    "p_ua": "p over speakers (UA)",
}
COMPARED_CCC = {"value": "CCC, difference", "interval": "95 %", "p": "p over speakers"}


def describe_fusion(results: RunResults, task: Task) -> dict[str, Markdown | str]:
    """Return the tables and sentences of a late fusion by their name in the template; empty if there is none."""
    fusion = results.late_fusion
    if fusion is None or not fusion.systems:
        return {}
    best = fusion.comparisons.get(fusion.best_member or "")
    found = fusion.comparisons.values()
    return {
        "combination": fusion.combination or results.training.get("combination", ""),
        "systems": _system_table(fusion, task),
        "weights": _weight_table(results),
        "comparisons": _comparison_table(fusion),
        "dimensions": _dimension_table(fusion),
        "in_points": any(one.wa is not None for one in found),
        "compared": ["members", *(["dimensions"] if any(one.ccc for one in found) else [])],
        "verdict": "" if best is None else f"{show_name(fusion.best_member)}: {best.verdict}",
        "unproven": join_words(list(map(show_name, fusion.unproven))),
    }


def _system_table(fusion: LateFusionResults, task: Task) -> Markdown:
    """Return the scores of the members and of all combinations."""
    columns = {
        f"{split} {score}": f"{heading}, {split}" for split in SPLITS for score, heading in task.headings.items()
    }
    rows = {
        system: {
            f"{split} {score}": task.format_score(score, scores[split][score])
            for split in SPLITS
            for score in task.headings
            if scores.get(split, {}).get(score) is not None
        }
        for system, scores in fusion.systems.items()
    }
    return format_table("System", columns, rows)


def _weight_table(results: RunResults) -> Markdown:
    """Return the weights of the members in each combination and, of the saved one, in each run of a cross-validation."""
    fusion, cross = results.late_fusion, results.cross_validation
    rows = {f"{kind}, mean over runs" if cross else kind: weights for kind, weights in fusion.weights.items()}
    for run in cross.runs if cross else ():
        if run.late_fusion is not None and fusion.combination in run.late_fusion.weights:
            rows[f"{fusion.combination}, {run.name}"] = run.late_fusion.weights[fusion.combination]
    cells = {name: {member: f"{weight:.3f}" for member, weight in weights.items()} for name, weights in rows.items()}
    members = {member: member for weights in rows.values() for member in weights}
    return format_table("Weights", members, cells)


def _comparison_table(fusion: LateFusionResults) -> Markdown:
    """Return the differences between the fusion and each member, with intervals and tests; those of shares in points."""
    rows = {}
    for name, found in fusion.comparisons.items():
        cells = {
            score: f"{100 * value:+z.1f}" for score in ("wa", "ua") if (value := getattr(found, score)) is not None
        }
        for score in ("wa", "ua"):
            if interval := getattr(found, f"{score}_interval"):
                cells[f"{score}_interval"] = " to ".join(f"{100 * edge:+z.1f}" for edge in interval)
        for test in ("p_utterances", "p_wa", "p_ua"):
            if (p := getattr(found, test)) is not None:
                cells[test] = f"{p:.3g}"
        rows[name] = cells
    return format_table("Compared with", COMPARED, rows)


def _dimension_table(fusion: LateFusionResults) -> Markdown:
    """Return the differences in CCC between the fusion and each member, with intervals and tests."""
    rows = {}
    for name, found in fusion.comparisons.items():
        for dimension, difference in found.ccc.items():
            cells = {"value": f"{difference.value:+z.3f}"}
            if difference.interval:
                cells["interval"] = " to ".join(f"{edge:+z.3f}" for edge in difference.interval)
            if difference.p_speakers is not None:
                cells["p"] = f"{difference.p_speakers:.3g}"
            rows[f"{name}, {dimension}"] = cells
    return format_table("Compared with", COMPARED_CCC, rows)
