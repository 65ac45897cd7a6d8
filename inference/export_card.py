"""The page of an exported folder: what is in it, how to use it, and how well it agrees with the model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = """\
---
library_name: onnx
tags:
- emofusion
- speech-emotion-recognition
- onnx
---

# Emotion recognition with ONNX

`model.onnx` is the graph of a `{model_type}` of emofusion, in {precision}. It runs without torch:

```bash
pip install onnxruntime numpy soundfile soxr tokenizers
python predict_onnx.py . recording.wav "What a lovely morning."
```

`predict_onnx.py` prints {results}. `export.json` has the names of inputs and outputs, how each input is prepared, the
agreement below, and the SHA-256 of every file.

## Inputs

| input | type | shape | where missing |
|---|---|---|---|
{inputs}

Every input is needed. Rows of a batch are padded at their end, and a mask is 1 where a row has values. A row without a modality
has a mask of zeros; so has a batch without it, with one position. The processor of this folder gives
some masks in another integer type: cast each of its arrays to the type in the table.{notes}

## Agreement with the model

On random batches, with other numbers of rows and other lengths than the graph was traced with, and with missing modalities:

| graph | rows | {headings} |
|---|---|---|{rules}
{agreement}
"""
# Entry of a comparison -> its heading.
HEADINGS = {
    "largest_difference_of_probabilities": "largest difference of probabilities",
    "equal_classes": "equal classes",
    "largest_difference_of_dimensions": "largest difference of dimensions (1: half the scale)",
}


def write_page(path: Path, report: Mapping[str, Any]) -> None:
    """Write the page of an exported folder.

    Args:
        path: The file.
        report: The content of `export.json`.
    """
    inputs, agreement = report["inputs"], report["agreement"]
    known = [name for name in HEADINGS if name in agreement["float32"]]
    results = [
        *(["the probability of each class"] if report["labels"] else []),
        *(["the value of each dimension"] if report["dimensions"] else []),
    ]
    notes = ""
    if any(name.endswith("_spans") for name in inputs):
        notes += " Spans are start and end in seconds; without them, the frames are used."
    if any(name.endswith("context_lengths") for name in inputs):
        notes += (
            " `context_lengths` is the number of tokens of earlier turns in a row of `input_ids`, between the first token and "
            "the utterance; the script gives none."
        )
    if any("pixel_values" in name for name in inputs):
        notes += " The script gives no video: prepare the frames with the image processor of this folder."
    path.write_text(
        PAGE.format(
            model_type=report["model_type"],
            precision=report["precision"],
            results=" and ".join(results),
            inputs="\n".join(
                f"| `{name}` | {one['type']} | ({', '.join(map(str, one['axes']))}) | {one['missing']} |"
                for name, one in inputs.items()
            ),
            notes=notes,
            headings=" | ".join(HEADINGS[name] for name in known),
            rules="---|" * (len(known) - 1),
            agreement="\n".join(
                f"| {precision} | {one['rows']} | {' | '.join(format_value(name, one[name]) for name in known)} |"
                for precision, one in agreement.items()
            ),
        ),
        encoding="utf-8",
    )


def format_value(name: str, value: float) -> str:
    """Return an entry of a comparison as text: a share in percent, a difference with two digits."""
    return f"{100 * value:.1f} %" if name == "equal_classes" else f"{value:.1e}"
