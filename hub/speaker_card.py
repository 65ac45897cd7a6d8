"""The card of a speaker network."""

from pathlib import Path

from huggingface_hub import ModelCardData

from ..evaluation.results import SpeakerResults
from .markdown import format_table
from .page import cite_paper, describe_sources, format_percent, format_settings, known_values, write_page

# field of the scores -> heading
SCORES = {"accuracy": "Accuracy", "eer": "EER", "min_dcf": "minDCF"}
# field of the data -> name of the row
COUNTS = {
    "speakers": "Speakers",
    "training": "Training recordings",
    "validation": "Validation recordings",
    "validation_trials": "Validation trials",
    "test_trials": "Test trials",
}


def write_speaker_card(folder: Path, results: SpeakerResults) -> Path:
    """Render `README.md` into the folder of a speaker network, and return its path.

    Args:
        folder: The folder, which exists.
        results: The results, publishable.
    """
    metadata = ModelCardData(
        language=results.language or None,
        license=results.license,
        library_name="transformers",
        pipeline_tag="feature-extraction",
        tags=["speaker-recognition", "speaker-verification", "emofusion"],
    )
    name = folder.resolve().name
    scores = {split: known_values(scores) for split, scores in results.metrics.items()}
    counts = {title: getattr(results.data, field) for field, title in COUNTS.items()}
    return write_page(
        folder,
        "speaker_card.md",
        metadata,
        name=name,
        source=".",
        paper=known_values(results.paper),
        sources=describe_sources(results),
        scores=_score_table(scores),
        measured={score for values in scores.values() for score in values},
        p_target=results.p_target,
        data=results.data,
        counts=format_table(
            "Data",
            {"count": "Count"},
            {title: {"count": f"{count:,}"} for title, count in counts.items() if count is not None},
        ),
        training=format_settings(results, {} if results.parameters is None else {"total": results.parameters}),
        trained=bool(results.training),
        recipe=bool(results.recipe),
        language=results.language,
        license=results.license,
        citation=cite_paper(results),
        version=results.environment.emofusion,
    )


def _score_table(scores: dict[str, dict[str, float]]) -> str:
    rows = {
        split: {
            name: f"{value:.3f}" if name == "min_dcf" else format_percent(value)
            for name, value in values.items()
            if name in SCORES
        }
        for split, values in scores.items()
    }
    return format_table("Split", SCORES, rows)
