"""The card of a checkpoint, rendered from its results; it shows what was measured and nothing else."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from ..configuration import VARIANTS
from ..configuration.modalities import MODALITIES, SPAN_LEVELS
from ..configuration.plain_text import join_words
from ..evaluation.records import Record
from ..evaluation.results import Results, RunResults, SpeakerResults
from ..evaluation.sample_size import count_words, explain_uncertainty
from ..evaluation.task import Task, task_of_results
from .contents import is_repo_id
from .context_card import describe_context
from .corpora_section import cross_tables, describe_others, explain_cross, map_table, name_split
from .fusion_card import describe_fusion
from .markdown import Markdown, format_table
from .page import (
    cite_paper,
    describe_sources,
    format_settings,
    keep_publishable,
    known_values,
    write_page,
)
from .speaker_card import write_speaker_card

# count of a split -> heading
COUNTS = {"utterances": "Utterances", "minutes": "Minutes", "speakers": "Speakers"}
UNALIGNED = {f"without {level}": f"No {level} times" for level in reversed(SPAN_LEVELS)}


def write_card(folder: str | Path, results: Results | None = None) -> Path:
    """Render `README.md` into a checkpoint folder.

    Values that are None, not finite or a path of this machine are left out.

    Args:
        folder: The checkpoint folder. The card shows those pictures of the results that are in it.
        results: The results of the run; None reads them from the folder.

    Returns:
        The path of the card.

    Raises:
        FileNotFoundError: If `folder` does not exist, or holds no results and none are given.
        ValueError: If the results in the folder cannot be read.
    """
    folder = Path(folder)
    results = keep_publishable(Results.read(folder) if results is None else results)
    if isinstance(results, SpeakerResults):
        return write_speaker_card(folder, results)
    return _write_model_card(folder, results)


def _write_model_card(folder: Path, results: RunResults) -> Path:
    task, name = task_of_results(results), folder.resolve().name
    test = task.values(results.metrics.get("test"))
    modalities = [MODALITIES[modality] for modality in results.modalities]
    examples = {modality.name: f'"{modality.example}"' for modality in modalities}
    runs = [run.name for run in results.cross_validation.runs] if results.cross_validation else []
    runs = results.cross_corpus.runs if results.cross_corpus else runs
    return write_page(
        folder,
        "model_card.md",
        _build_metadata(results, task, name),
        name=name,
        source="./" + runs[0] if runs else ".",
        purpose=task.purpose(),
        modalities=[modality.word for modality in modalities],
        audio="audio" in results.modalities,
        text="text" in results.modalities,
        context=describe_context(results, modalities),
        arguments=Markdown(", ".join(f"{modality}={value}" for modality, value in examples.items())),
        utterance=Markdown(", ".join(f'"{modality}": {value}' for modality, value in examples.items())),
        auto_class=f"AutoModelFor{'Audio' if 'audio' in results.modalities else 'Sequence'}Classification",
        example=Markdown(task.example),
        claim=_format_claim(results, task),
        uncertainty=explain_uncertainty(results),
        # That of the test split is at the beginning of the card.
        small=[
            sentence
            for split in results.metrics
            if split != "test" and (sentence := explain_uncertainty(results, split))
        ],
        calibration=_explain_scaling(results, task),
        corpus=results.corpus,
        label_map=map_table(results),
        has_classes=bool(task.classes),
        others=describe_others(results, task),
        cross_tables=cross_tables(results, task),
        cross_explanation=explain_cross(results),
        selection=results.corpus.selection if test else None,  # it says that the test split was measured
        adapter=results.adapter,
        runs=runs,
        scores=_score_table(results, task),
        explanation=task.explain_scores(test),
        limits=task.limits(),
        answer=Markdown(task.answer()),
        spread=_spread_table(results, task),
        fusion=describe_fusion(results, task),
        interval=_format_intervals(results, task),
        subsets=_subset_table(results, task),
        details=[
            (title, text)
            for title, *columns_and_rows in task.detail_tables(results)
            if (text := format_table(*columns_and_rows))
        ],
        pictures=[name for name in results.pictures if _is_picture_of(folder, name)],
        data=_data_table(results),
        training=format_settings(results, known_values(results.parameters)),
        trained=bool(results.training),
        recipe=bool(results.recipe),
        language=_find_language(results),
        license=results.license,
        paper=known_values(results.paper),
        sources=describe_sources(results),
        plain=_is_plain(results),
        citation=cite_paper(results),
        version=results.environment.emofusion,
    )


def _is_plain(results: RunResults) -> bool:
    """Return whether the model is a classifier of transformers, without code of ours."""
    return results.model_class is not None and not results.model_class.startswith(tuple(VARIANTS.values()))


def _find_language(results: RunResults) -> list[str]:
    """Return the languages of a model as BCP-47 codes: those stated for the run, else those of the corpus."""
    return results.language or results.corpus.language


def _is_picture_of(folder: Path, name: str) -> bool:
    return Path(name).name == name and name.endswith(".png") and (folder / name).is_file()


def _build_metadata(results: RunResults, task: Task, name: str) -> ModelCardData:
    corpus, adapter = results.corpus, results.adapter
    hub_task = next(modality.hub_task for modality in MODALITIES.values() if modality.name in results.modalities)
    test = task.values(results.metrics.get("test"))
    metrics = {
        score: metric for score, metric in task.hub_metrics.items() if score in test and corpus.name is not None
    }
    tags = ["emotion-recognition", "emofusion"]
    if "audio" in results.modalities:
        tags.append("speech-emotion-recognition")
    if len(results.modalities) > 1:
        tags.append("multimodal")
    bases = [base for base in results.base_models.values() if base]
    if adapter:  # the base may itself have base models, which belong on its own card
        tags.append(adapter.method)
        bases = [adapter.base_model or ""]
    return ModelCardData(
        model_name=name if metrics else None,
        language=_find_language(results) or None,
        license=results.license,
        library_name="peft" if adapter else "transformers",
        pipeline_tag=hub_task,
        tags=tags,
        base_model=[base for base in bases if is_repo_id(base)] or None,
        datasets=[corpus.hub_id] if corpus.hub_id and is_repo_id(corpus.hub_id) else None,
        metrics=list(dict.fromkeys(metric.type for metric in metrics.values())) or None,
        eval_results=[
            EvalResult(
                task_type=hub_task,
                task_name="Emotion recognition",
                dataset_type=corpus.name,
                dataset_name=corpus.title or corpus.name,
                dataset_split="test",
                metric_type=metric.type,
                metric_args=metric.arguments,
                metric_name=metric.title,
                metric_value=round(test[score], 4) + 0.0,  # no -0.0
            )
            for score, metric in metrics.items()
        ]
        or None,
    )


def _format_claim(results: RunResults, task: Task) -> Markdown:
    """Return the test scores with their intervals; they are bold only if all have one."""
    test, intervals = task.values(results.metrics.get("test")), task.values(results.intervals)
    scores = [score for score in task.claims if score in test]
    claim = join_words(
        [
            f"{task.claims[score]} {task.format_score(score, test[score])}"
            + (f" ({_format_interval(intervals[score], score, task)})" if score in intervals else "")
            for score in scores
        ]
    )
    is_bold = bool(scores) and intervals.keys() >= set(scores)
    return Markdown(f"**{claim}**" if is_bold else claim)


def _score_table(results: RunResults, task: Task) -> Markdown:
    """Return the scores of each split; the scaled ones only if a temperature was kept."""
    scaling = results.temperature_scaling
    rejected = scaling is not None and scaling.kept is None
    headings = {
        score: heading for score, heading in task.headings.items() if not (rejected and score.endswith("_scaled"))
    }
    rows = {name_split(split): _format_scores(scores, task) for split, scores in results.metrics.items()}
    return format_table("Split", headings, rows)


def _explain_scaling(results: RunResults, task: Task) -> str:
    """Return sentences on temperature scaling: whether it was kept, and whether it makes the test split worse."""
    scaling, test = results.temperature_scaling, results.metrics.get("test")
    if (
        scaling is not None
        and scaling.kept is None
        and None not in (scaling.temperature, scaling.ece, scaling.ece_scaled)
    ):
        return (
            f"Temperature scaling is not used: the temperature {scaling.temperature:.3g}, fitted on the validation split, "
            f"raises the ECE there from {task.format_score('ece', scaling.ece)} to "
            f"{task.format_score('ece', scaling.ece_scaled)}. ECE and NLL are without scaling."
        )
    if test is None or test.ece_scaled is None:
        return ""
    temperature = "" if results.temperature is None else f"here {results.temperature:.3g}, "
    fitted = "split of each run" if results.cross_validation else "split"
    sentences = [
        f"Scaled scores are after division of the logits by a temperature, {temperature}which was fitted on the "
        f"validation {fitted} alone."
    ]
    if results.cross_validation and (
        rejected := sum(run.temperature is None for run in results.cross_validation.runs)
    ):
        runs = count_words(len(results.cross_validation.runs), "run")
        sentences.append(f"In {rejected} of {runs} it made the calibration of that split worse and is not used.")
    worse = [
        f"{task.headings[name]} from {task.format_score(name, before)} to {task.format_score(name, after)}"
        for name in ("ece", "nll")
        for before, after in [(getattr(test, name), getattr(test, f"{name}_scaled"))]
        if before is not None and after is not None and after > before
    ]
    if worse:
        sentences.append(f"On the test split, scaling makes the calibration worse: {join_words(worse)}.")
    return " ".join(sentences)


def _spread_table(results: RunResults, task: Task) -> str:
    """Return the test scores of each run of a cross-validation, their mean and their standard deviation."""
    cross = results.cross_validation
    if cross is None:
        return ""
    rows = {run.name: _format_scores(run.metrics.get("test", {}), task) for run in cross.runs}
    for title, spreads in (("runs", cross.over_runs), ("seeds, all folds pooled", cross.over_seeds)):
        for field, name in (("mean", "Mean"), ("std", "Standard deviation")):
            values = {score: getattr(spread, field) for score, spread in spreads.items()}
            if cells := _format_scores(values, task):
                rows[f"{name} over {title}"] = cells
    return format_table("Test split of", task.headings, rows)


def _format_intervals(results: RunResults, task: Task) -> str:
    """Return the intervals over speakers as part of a sentence, empty if there are none."""
    intervals = task.values(results.intervals)
    return join_words(
        [
            f"{task.claims[score]} {_format_interval(intervals[score], score, task)}"
            for score in task.claims
            if score in intervals
        ]
    )


def _format_interval(interval: list[float], score: str, task: Task) -> str:
    low, high = (task.format_score(score, edge) for edge in interval)
    return f"{low.removesuffix(' %')} to {high}"


def _subset_table(results: RunResults, task: Task) -> str:
    """Return the scores on subsets of the test split."""
    rows = {
        name.capitalize(): _format_scores(subset, task)
        | {count: str(found) for count in task.subset_headings if (found := getattr(subset, count)) is not None}
        for name, subset in results.breakdown.items()
    }
    return format_table("Subset", task.subset_headings | task.headings, rows)


def _format_scores(scores: Record | dict[str, Any], task: Task) -> dict[str, str]:
    """Return the cells of scores; those that are None are left out."""
    values = task.values(scores) if isinstance(scores, Record) else scores
    return {score: task.format_score(score, values[score]) for score in task.headings if values.get(score) is not None}


def _data_table(results: RunResults) -> str:
    """Return the size of each split."""
    rows = {}
    for split, data in results.data.items():
        counts = {name: str(count) for name, count in known_values(data).items() if name in ("utterances", "speakers")}
        if data.seconds is not None:
            counts["minutes"] = f"{data.seconds / 60:.1f}"
        counts |= {f"of {label}": str(count) for label, count in data.classes.items()}
        counts |= {f"known {name}": str(count) for name, count in data.dimensions.items()}
        rows[name_split(split)] = counts | {f"without {level}": str(count) for level, count in data.unaligned.items()}
    columns = COUNTS | {f"of {label}": label for label in results.labels}
    columns |= {f"known {name}": f"With {name}" for name in results.dimensions}
    return format_table("Split", columns | UNALIGNED, rows)
