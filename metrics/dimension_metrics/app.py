"""The metric's page on the Hub, which scores pasted values. Needs gradio; `python app.py` starts it."""

import re
from pathlib import Path

from dimension_scores import compute_scores

EXAMPLE = ("valence, arousal\n1.5, 2\n3, 4.5\n4, \n4.5, 3", "valence, arousal\n2, 2.5\n3, 4\n3.5, 3\n4, 3")
COLUMNS = {"ccc": "CCC", "pearson": "Pearson's r", "rmse": "RMSE", "utterances": "Utterances", "unknown": "Unknown"}
UNKNOWN = ("", "nan", "none", "-")  # cells of unknown references, in any case


def score(references: str, predictions: str) -> list[list]:
    """Return the scores of values in texts: a line of names, then a line per utterance, separated by commas or tabs.

    Args:
        references: True values. An empty cell is an unknown value.
        predictions: Predicted values, in the same order.

    Returns:
        A row for each dimension and, for several, one with their means.

    Raises:
        ValueError: If the names or numbers of lines differ, or a cell is no number.
    """
    (names, true), (others, predicted) = (_read(text) for text in (references, predictions))
    if names != others:
        raise ValueError(
            f"The true values have the names {', '.join(names)}, the predictions {', '.join(others)}; give the same."
        )
    if len(true) != len(predicted):
        raise ValueError(
            f"There are {len(true)} true lines and {len(predicted)} predicted ones; give the same number."
        )
    scores = compute_scores(predicted, true, names)
    rows = {**scores.pop("dimensions"), **({"Mean": scores} if len(names) > 1 else {})}
    return [[name, *(_shown(row.get(key)) for key in COLUMNS)] for name, row in rows.items()]


def build():
    """Return the page as `gradio.Blocks`."""
    import gradio

    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")

    def score_texts(references: str, predictions: str):
        try:
            return score(references, predictions)
        except ValueError as error:
            raise gradio.Error(str(error)) from error

    with gradio.Blocks(title="Dimension metrics") as page:
        with gradio.Row():
            references = gradio.Textbox(EXAMPLE[0], label="True values", lines=6, max_lines=20)
            predictions = gradio.Textbox(EXAMPLE[1], label="Predicted values", lines=6, max_lines=20)
        button = gradio.Button("Score", variant="primary")
        scores = gradio.Dataframe(headers=["Dimension", *COLUMNS.values()], label="Scores")
        button.click(score_texts, [references, predictions], scores)
        gradio.Markdown(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL))
    return page


def _read(text: str) -> tuple[list[str], list[list[float | None]]]:
    lines = [re.split(r"[,;\t]", line) for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("There are no values; paste a line of names, then a line for each utterance.")
    names, *rows = [[cell.strip() for cell in line] for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(f"Utterance {number} has {len(row)} values for {len(names)} names; give one for each.")
    return names, [[_number(cell) for cell in row] for row in rows]


def _number(cell: str) -> float | None:
    if cell.lower() in UNKNOWN:
        return None
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is no number; write 3.5, or nothing where a true value is unknown.") from None


def _shown(value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"


if __name__ == "__main__":
    build().launch()
