"""Recognise the emotion of one recording: `python scripts/predict.py FOLDER AUDIO [--text WORDS] [--transcriber MODEL] ...`."""

import argparse
import sys
from pathlib import Path

import emofusion  # noqa: F401 (lets transformers know the models and the pipeline)
import peft
from transformers import AutoModelForAudioClassification, AutoProcessor, pipeline
from transformers.utils import logging


def main() -> None:
    """Load the folder, recognise, print the probabilities from the greatest down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="a trained model's folder, or its name on the Hub")
    parser.add_argument("audio", metavar="AUDIO", nargs="?", help="a recording, or its address: wav, mp3, mp4, ...")
    parser.add_argument("--text", help="what is said in it")
    parser.add_argument("--transcriber", metavar="MODEL", help="a speech recogniser of the Hub that writes it instead")
    parser.add_argument("--video", help="a video of who says it: mp4, mkv, avi, ...")
    parser.add_argument("--revision", help="commit of the Hub repository")
    arguments = parser.parse_args()
    logging.disable_progress_bar()  # loading takes no time; what follows is short enough to be read whole
    try:
        given = {"audio": arguments.audio, "text": arguments.text, "video": arguments.video}
        probabilities = predict(arguments.folder, given, arguments.revision, arguments.transcriber)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        sys.exit(f"predict.py: {error}")
    width = max(map(len, probabilities))
    for label, probability in probabilities.items():
        print(f"{label:<{width}}  {100 * probability:5.1f} %  {'#' * round(40 * probability)}")


def predict(
    folder: str, given: dict[str, str | None], revision: str | None = None, transcriber: str | None = None
) -> dict[str, float]:
    """Probability of each emotion, the likeliest first.

    Args:
        folder: a trained model's folder, or its name on the Hub.
        given: the path of a recording (`"audio"`), its transcript (`"text"`), the path of a video (`"video"`). A
            fusion model does without any but the last of them; what a model does not look at is left aside.
        revision: commit of the Hub repository.
        transcriber: a speech recogniser's name on the Hub or its folder, which writes the transcript if there is none.

    Raises:
        RuntimeError: if it fails.
        ValueError: if nothing that the model looks at is given.
    """
    files = ("config.json", "adapter_config.json")
    if Path(folder).exists() and not any(Path(folder, name).is_file() for name in files):
        raise ValueError(f"{folder} is not a model's folder: it has no config.json.")
    loader = AutoModelForAudioClassification
    if Path(folder, "adapter_config.json").is_file():  # which older transformers do not load whole
        loader = peft.AutoPeftModelForSequenceClassification
    model = loader.from_pretrained(folder, revision=revision or "main")
    processor = AutoProcessor.from_pretrained(folder, revision=revision or "main")
    recognise = pipeline("emotion-recognition", model=model, processor=processor, transcriber=transcriber)
    return {answer["label"]: answer["score"] for answer in recognise(given)}


if __name__ == "__main__":
    main()
