"""The metric's page on the Hub, which scores pasted labels. Needs gradio; `python app.py` starts it."""

import re
from pathlib import Path

from emotion_scores import compute_scores

EXAMPLE = ("angry, happy, sad, sad, happy, angry", "angry, sad, sad, sad, happy, happy")
OVERALL = {"wa": "WA", "ua": "UA", "wf1": "Weighted F1", "macro_f1": "Macro F1"}
CLASS = {"recall": "Recall", "precision": "Precision", "f1": "F1", "support": "Utterances"}


def score(references: str, predictions: str) -> tuple[list[list], list[list], list[list]]:
    """Return the scores of labels in texts, separated by commas, semicolons or line breaks.

    Args:
        references: True label of each utterance.
        predictions: Predicted label of each utterance, in the same order.

    Returns:
        Rows of three tables: overall scores; scores per class; counts, with one row per true class. Shares are in percent.

    Raises:
        ValueError: If there are no labels, or the numbers of labels differ.
    """
    true, predicted = (_labels(text) for text in (references, predictions))
    if len(true) != len(predicted) or not true:
        raise ValueError(f"There are {len(true)} true labels and {len(predicted)} predictions; give the same number.")
    names = sorted({*true, *predicted})
    ids = {name: number for number, name in enumerate(names)}
    scores = compute_scores([ids[name] for name in predicted], [ids[name] for name in true], names)
    classes = [[name, *(_shown(key, scores[key][number]) for key in CLASS)] for name, number in ids.items()]
    counts = [[name, *row] for name, row in zip(names, scores["confusion_matrix"], strict=True)]
    return [[title, _shown(key, scores[key])] for key, title in OVERALL.items()], classes, counts


def build():
    """Return the page as `gradio.Blocks`."""
    import gradio

    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")

    def score_texts(references: str, predictions: str):
        try:
            overall, classes, counts = score(references, predictions)
        except ValueError as error:
            raise gradio.Error(str(error)) from error
        headers = ["True \\ predicted", *(row[0] for row in counts)]
        return overall, classes, {"headers": headers, "data": counts}

    with gradio.Blocks(title="Emotion metrics") as page:
        with gradio.Row():
            references = gradio.Textbox(EXAMPLE[0], label="True labels", lines=6, max_lines=20)
            predictions = gradio.Textbox(EXAMPLE[1], label="Predicted labels", lines=6, max_lines=20)
        button = gradio.Button("Score", variant="primary")
        overall = gradio.Dataframe(headers=["Score", "Percent"], label="Overall")
        classes = gradio.Dataframe(headers=["Class", *CLASS.values()], label="Classes, in percent")
        counts = gradio.Dataframe(label="Confusion matrix")
        button.click(score_texts, [references, predictions], [overall, classes, counts])
        gradio.Markdown(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL))
    return page


def _labels(text: str) -> list[str]:
    return [label.strip() for label in re.split(r"[,;\n]", text) if label.strip()]


def _shown(key: str, value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if key == "support" else f"{100 * value:.1f}"


if __name__ == "__main__":
    build().launch()
