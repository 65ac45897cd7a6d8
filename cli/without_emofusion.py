"""Use a model as somebody who has transformers but not emofusion.

`python cli/without_emofusion.py FOLDER AUDIO TEXT LABEL` loads a checkpoint folder with the code in it, and classifies
one recording. The demonstration runs it in another process.
"""

import sys

sys.modules["emofusion"] = None  # from here on `import emofusion` fails, as where it is not installed

import torch
from transformers import AutoModelForAudioClassification, AutoProcessor
from transformers.utils import logging


def main(folder: str, audio: str, text: str, label: str) -> None:
    """Print the probabilities of a recording."""
    logging.disable_progress_bar()
    sys.stdout.reconfigure(errors="backslashreplace")  # a console may not be able to encode every label
    model = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True).eval()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    with torch.inference_mode():
        logits = model(**processor(audio=audio, text=text, return_tensors="pt")).logits[0]
    probabilities = zip(model.config.id2label.values(), logits.softmax(dim=-1).tolist(), strict=True)
    print(f'  "{text}"')
    print(f"  true label    {label}")
    print("  probabilities " + "  ".join(f"{name} {probability:.3f}" for name, probability in probabilities))


if __name__ == "__main__":
    main(*sys.argv[1:])
