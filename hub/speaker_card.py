"""The page of a speaker network, rendered from its results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from .page import cite_paper, measured, percent, settings_table, table, write_page

# name in the results -> heading
SCORES = {"accuracy": "Accuracy", "eer": "EER", "min_dcf": "minDCF"}
DATA = {
    "speakers": "Speakers",
    "training": "Recordings to learn from",
    "validation": "Recordings held out",
    "validation_trials": "Trials for validation",
    "test_trials": "Trials for the test",
}


def write_speaker_card(folder: str | Path) -> Path:
    """Render `README.md` into the folder of a speaker network.

    Args:
        folder: of the network; its `results.json` is read.

    Returns:
        The path of the card.

    Raises:
        FileNotFoundError: if there is no `results.json` in it.
    """
    folder = Path(folder)
    if not (folder / "results.json").is_file():
        raise FileNotFoundError(f"{folder / 'results.json'} does not exist: pre-train the network first.")
    results = measured(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    metadata = ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="feature-extraction",
        tags=["speaker-recognition", "speaker-verification", "emofusion"],
    )
    name, metrics = folder.resolve().name, results.get("metrics", {})
    return write_page(
        folder,
        "speaker_card.md",
        metadata,
        name=name,
        source=name,
        paper=results.get("paper", {}),
        scores=_score_table(metrics),
        told={name for part in metrics.values() for name in part},
        p_target=results["p_target"],
        data=results["data"],
        counts=table("Data", {"count": "Count"}, _counts(results["data"])),
        training=settings_table({**results, "parameters": {"total": results["parameters"]}}),
        recipe="recipe" in results,
        citation=cite_paper(results),
        environment=results.get("environment", {}),
    )


def _score_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    rows = {
        split: {
            name: f"{value:.3f}" if name == "min_dcf" else percent(value)
            for name, value in scores.items()
            if name in SCORES
        }
        for split, scores in metrics.items()
    }
    return table("Split", SCORES, rows)


def _counts(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {title: {"count": f"{data[name]:,}"} for name, title in DATA.items() if name in data}
