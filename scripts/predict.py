"""Recognise the emotion of one recording: `python scripts/predict.py FOLDER AUDIO [--text TRANSCRIPT] [--video FILE]`."""

import argparse
import sys
from pathlib import Path

import emofusion  # noqa: F401 (lets the Auto classes know the models)
import peft
import torch
from transformers import AutoModelForAudioClassification, AutoProcessor
from transformers.utils import logging

WANTED = {"audio": "a recording", "text": "--text", "video": "--video"}


def main() -> None:
    """Load the folder, recognise, print the probabilities from the greatest down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="a trained model's folder, or its name on the Hub")
    parser.add_argument("audio", metavar="AUDIO", nargs="?", help="a recording: wav, flac, mp3, ogg, mp4, ...")
    parser.add_argument("--text", help="what is said in it")
    parser.add_argument("--video", help="a video of who says it: mp4, mkv, avi, ...")
    parser.add_argument("--revision", help="commit of the Hub repository")
    arguments = parser.parse_args()
    logging.disable_progress_bar()  # loading takes no time; what follows is short enough to be read whole
    try:
        given = {"audio": arguments.audio, "text": arguments.text, "video": arguments.video}
        probabilities = predict(arguments.folder, given, arguments.revision)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"predict.py: {error}")
    width = max(map(len, probabilities))
    for label, probability in sorted(probabilities.items(), key=lambda item: -item[1]):
        print(f"{label:<{width}}  {100 * probability:5.1f} %  {'#' * round(40 * probability)}")


def predict(folder: str, given: dict[str, str | None], revision: str | None = None) -> dict[str, float]:
    """Probability of each emotion.

    Args:
        folder: a trained model's folder, or its name on the Hub.
        given: the path of a recording (`"audio"`), its transcript (`"text"`), the path of a video (`"video"`). A
            fusion model does without any but the last of them; what a model does not look at is left aside.
        revision: commit of the Hub repository.

    Raises:
        ValueError: if nothing that the model looks at is given.
    """
    files = ("config.json", "adapter_config.json")
    if Path(folder).exists() and not any(Path(folder, name).is_file() for name in files):
        raise ValueError(f"{folder} is not a model's folder: it has no config.json.")
    loader = AutoModelForAudioClassification
    if Path(folder, "adapter_config.json").is_file():  # which older transformers do not load whole
        loader = peft.AutoPeftModelForSequenceClassification
    model = loader.from_pretrained(folder, revision=revision or "main").eval()
    processor = AutoProcessor.from_pretrained(folder, revision=revision or "main")
    inputs = {name: given[name] for name in model.config.modalities if given[name] is not None}
    if not inputs:
        wanted = " or ".join(WANTED[name] for name in model.config.modalities)
        raise ValueError(f"This model looks at {' and '.join(model.config.modalities)}; give it {wanted}.")
    with torch.inference_mode():
        logits = model(**processor(**inputs, return_tensors="pt")).logits[0]
    return dict(zip(model.config.id2label.values(), logits.softmax(dim=-1).tolist(), strict=True))


if __name__ == "__main__":
    main()
