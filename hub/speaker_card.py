"""The page of a speaker network, rendered from its results."""

import json
from importlib import resources
from pathlib import Path

import jinja2
from huggingface_hub import ModelCard, ModelCardData

from ..corpora.staging import staged

COLUMNS = {"accuracy": "Accuracy", "eer": "EER", "min_dcf": "minDCF"}


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
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = resources.files("emofusion.hub_cards").joinpath("speaker_card.md").read_text(encoding="utf-8")
    metadata = ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="feature-extraction",
        tags=["speaker-recognition", "speaker-verification", "emofusion"],
    )
    settings = {**results["training"], "parameters": f"{results['parameters']:,}", **results["environment"]}
    page = environment.from_string(template).render(
        metadata=metadata.to_yaml(),
        name=folder.resolve().name,
        paper=results["paper"] or {},
        scores=_score_table(results["metrics"]),
        p_target=results["p_target"],
        data=results["data"],
        settings={name: value for name, value in settings.items() if isinstance(value, str | int | float)},
    )
    with staged(folder) as staging:
        ModelCard(page).save(staging / "README.md")
    return folder / "README.md"


def _score_table(metrics: dict[str, dict[str, float]]) -> str:
    columns = [name for name in COLUMNS if any(name in scores for scores in metrics.values())]
    lines = [
        "| | " + " | ".join(COLUMNS[name] for name in columns) + " |",
        "|---|" + "---:|" * len(columns),
        *(
            f"| {split} | " + " | ".join(_figure(name, scores.get(name)) for name in columns) + " |"
            for split, scores in metrics.items()
        ),
    ]
    return "\n".join(lines) if columns else ""


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if name == "min_dcf" else f"{100 * value:.1f} %"
