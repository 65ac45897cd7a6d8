"""The page of a checkpoint, rendered from its results: what was not measured is not on it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from .contents import is_repo_id
from .page import cite_paper, measured, percent, settings_table, table, words, write_page

FORMAT = 1

# modality -> its name in a sentence, and what the page's examples give for it
MODALITIES = {
    "audio": ("speech", '"recording.wav"'),
    "text": ("text", '"I will be there in a minute."'),
    "video": ("face", '"recording.mp4"'),
}
# modality -> the Hub's task of a model that looks at it; the first that it looks at counts
TASKS = {"audio": "audio-classification", "text": "text-classification", "video": "video-classification"}
# name in the results -> heading, in the order of the tables
SCORES = {
    "wa": "WA",
    "ua": "UA",
    "wf1": "Weighted F1",
    "macro_f1": "Macro F1",
    "ece": "ECE",
    "ece_scaled": "ECE, scaled",
    "nll": "NLL (nats)",
    "nll_scaled": "NLL, scaled",
}
CLASS_SCORES = {"recall": "Recall", "precision": "Precision", "f1": "F1", "support": "Utterances"}
# Utterances whose alignment has no such segments, which the model takes in frames.
UNALIGNED = {f"without {level}": f"No {level} times" for level in ("phone", "syllable", "word")}
# name in the results -> metric of the Hub, its arguments, its name on the Hub's page
HUB_METRICS = {
    "wa": ("accuracy", None, "WA (overall accuracy)"),
    "ua": ("recall", {"average": "macro"}, "UA (mean class recall)"),
    "wf1": ("f1", {"average": "weighted"}, "Weighted F1"),
}


def write_card(folder: str | Path, results: Mapping[str, Any] | None = None) -> Path:
    """Render `README.md` into a checkpoint folder.

    Args:
        folder: The checkpoint folder. Of the pictures in the results, the page shows those that lie in it.
        results: The results of the run (`results.json`, format 1), read from the folder if None. An entry that is
            missing, None or not finite is left out of the page, and so is a path of this machine.

    Returns:
        The path of the card.

    Raises:
        FileNotFoundError: If `folder` does not exist, or holds no `results.json` and no results are given.
        ValueError: If the results are of another format, or lack the labels or a known modality.
    """
    folder = Path(folder)
    results = _checked(folder, results)
    repo_id = results.get("hub_model_id", folder.resolve().name)
    test = results.get("metrics", {}).get("test", {})
    audio = "audio" in results["modalities"]
    runs = [run["name"] for run in results.get("cross_validation", {}).get("runs", [])]
    return write_page(
        folder,
        "model_card.md",
        _metadata(results, repo_id),
        name=repo_id.rpartition("/")[2],
        source="/".join([repo_id.rpartition("/")[2], runs[0]]) if runs else repo_id,
        labels=results["labels"],
        modalities=[MODALITIES[name][0] for name in results["modalities"]],
        arguments=", ".join(f"{name}={MODALITIES[name][1]}" for name in results["modalities"]),
        utterance=", ".join(f'"{name}": {MODALITIES[name][1]}' for name in results["modalities"]),
        auto_class="AutoModelForAudioClassification" if audio else "AutoModelForSequenceClassification",
        claim=words([f"{SCORES[name]} {percent(test[name])}" for name in HUB_METRICS if name in test]),
        corpus=results.get("corpus", {}),
        adapter=results.get("adapter", {}),
        runs=runs,
        scores=_score_table(results),
        spread=_spread_table(results),
        systems=_system_table(results),
        combination=results.get("training", {}).get("combination", ""),
        interval=_interval(results),
        calibrated=[name for name in ("ece", "nll", "ece_scaled") if name in test],
        temperature=f"{results['temperature']:.3g}" if "temperature" in results else "",
        parts=_part_table(results),
        classes=_class_table(results),
        confusion=_confusion_table(results),
        pictures=[
            name for name in results.get("pictures", []) if Path(name).name == name and (folder / name).is_file()
        ],
        data=_data_table(results),
        training=settings_table(results),
        recipe="recipe" in results,
        paper=results.get("paper", {}),
        citation=cite_paper(results),
        environment=results.get("environment", {}),
    )


def _checked(folder: Path, results: Mapping[str, Any] | None) -> dict[str, Any]:
    source = folder / "results.json" if results is None else "The results"
    if results is None:
        if not source.is_file():
            raise FileNotFoundError(f"{source} does not exist: give the results, or write that file first.")
        results = json.loads(source.read_text(encoding="utf-8"))
    if results.get("format") != FORMAT:
        raise ValueError(f"{source}: format {results.get('format')!r} is unknown, a card needs format {FORMAT}.")
    if not results.get("labels"):
        raise ValueError(f"{source}: 'labels' is missing, name the emotions that the model knows.")
    if not results.get("modalities") or not MODALITIES.keys() >= set(results["modalities"]):
        raise ValueError(
            f"{source}: 'modalities' is {results.get('modalities')!r}, name one or more of {', '.join(MODALITIES)}."
        )
    return measured(results)


def _metadata(results: dict[str, Any], repo_id: str) -> ModelCardData:
    modalities, corpus, adapter = results["modalities"], results.get("corpus", {}), results.get("adapter")
    task = TASKS[next(name for name in TASKS if name in modalities)]
    test = results.get("metrics", {}).get("test", {})
    scored = [name for name in HUB_METRICS if name in test and "name" in corpus]
    tags = ["emotion-recognition", "emofusion"]
    if "audio" in modalities:
        tags.append("speech-emotion-recognition")
    if len(modalities) > 1:
        tags.append("multimodal")
    bases = results.get("base_models", {}).values()
    if adapter:  # what is at its base may have others in turn; their page is not this one
        tags.append(adapter["method"])
        bases = [adapter.get("base_model", "")]
    return ModelCardData(
        model_name=repo_id if scored else None,
        language="en",
        license="apache-2.0",
        library_name="peft" if adapter else "transformers",
        pipeline_tag=task,
        tags=tags,
        base_model=[name for name in bases if is_repo_id(name)] or None,
        datasets=[corpus["hub_id"]] if "hub_id" in corpus else None,
        metrics=[HUB_METRICS[name][0] for name in scored] or None,
        eval_results=[
            EvalResult(
                task_type=task,
                task_name="Emotion recognition",
                dataset_type=corpus["name"],
                dataset_name=corpus.get("title", corpus["name"]),
                dataset_split="test",
                metric_type=HUB_METRICS[name][0],
                metric_args=HUB_METRICS[name][1],
                metric_name=HUB_METRICS[name][2],
                metric_value=round(test[name], 4),
            )
            for name in scored
        ]
        or None,
    )


def _score_table(results: dict[str, Any]) -> str:
    """Return the scores of each split: shares in percent, but for NLL."""
    return table("Split", SCORES, {split: _cells(scores) for split, scores in results.get("metrics", {}).items()})


def _spread_table(results: dict[str, Any]) -> str:
    """Return the test scores of every run of a cross-validation, and their mean and standard deviation."""
    cross = results.get("cross_validation", {})
    rows = {run["name"]: _cells(run["metrics"]["test"]) for run in cross.get("runs", [])}
    for title, over in (("runs", "over_runs"), ("seeds, all folds pooled", "over_seeds")):
        for measure, name in (("mean", "Mean"), ("std", "Standard deviation")):
            values = {score: given[measure] for score, given in cross.get(over, {}).items() if measure in given}
            if values:
                rows[f"{name} over {title}"] = _cells(values)
    return table("Test part of", SCORES, rows)


def _system_table(results: dict[str, Any]) -> str:
    """Return the scores of every member of a late fusion alone, and of every way to combine them."""
    figures = {name: SCORES[name] for name in ("wa", "ua", "wf1", "nll")}
    splits = ("validation", "test")
    columns = {f"{split} {name}": f"{title}, {split}" for split in splits for name, title in figures.items()}
    rows = {
        system: {f"{split} {name}": cell for split in parts for name, cell in _cells(parts[split]).items()}
        for system, parts in results.get("late_fusion", {}).get("systems", {}).items()
    }
    return table("System", columns, rows)


def _interval(results: dict[str, Any]) -> str:
    """Return the intervals by speaker as part of a sentence, empty where there are none."""
    intervals = results.get("intervals", {})
    return words([f"{SCORES[name]} {_span(*intervals[name])}" for name in HUB_METRICS if name in intervals])


def _part_table(results: dict[str, Any]) -> str:
    """Return the scores on parts of the test split."""
    rows = {
        name.capitalize(): _cells(part) | {name: str(part[name]) for name in ("utterances", "classes")}
        for name, part in results.get("breakdown", {}).items()
    }
    return table("Part", {"utterances": "Answers", "classes": "Classes"} | SCORES, rows)


def _cells(scores: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: f"{scores[name]:.3f}" if name.startswith("nll") else percent(scores[name])
        for name in SCORES
        if name in scores
    }


def _span(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {percent(high)}"


def _class_table(results: dict[str, Any]) -> str:
    """Return the scores of each class on the test split."""
    scores = results.get("metrics", {}).get("test", {})
    rows = {label: {} for label in results["labels"]}
    for name in CLASS_SCORES.keys() & scores.keys():
        for label, value in zip(results["labels"], scores[name], strict=True):
            if value is not None:
                rows[label][name] = str(value) if name == "support" else percent(value)
    return table("Class", CLASS_SCORES, rows)


def _confusion_table(results: dict[str, Any]) -> str:
    """Return how often each class of the test split was answered with each."""
    counts = results.get("metrics", {}).get("test", {}).get("confusion_matrix", [])
    labels = results["labels"]
    rows = {
        label: {answer: str(count) for answer, count in zip(labels, row, strict=True)}
        for label, row in zip(labels, counts, strict=False)  # there may be no counts
    }
    return table("True class", {label: f"as {label}" for label in labels}, rows)


def _data_table(results: dict[str, Any]) -> str:
    """Return what each split holds."""
    columns = {"utterances": "Utterances", "minutes": "Minutes", "speakers": "Speakers"}
    rows = {}
    for split, data in results.get("data", {}).items():
        counts = {name: str(data[name]) for name in ("utterances", "speakers") if name in data}
        if "seconds" in data:
            counts["minutes"] = f"{data['seconds'] / 60:.1f}"
        counts |= {f"of {label}": str(count) for label, count in data.get("classes", {}).items()}
        rows[split] = counts | {f"without {level}": str(count) for level, count in data.get("unaligned", {}).items()}
    columns |= {f"of {label}": label for label in results["labels"]}
    return table("Split", columns | UNALIGNED, rows)
