"""A Space on which a model of emofusion is tried. It is the page of `emofusion demo-app`.

Variables of the Space: `EMOFUSION_MODEL`, the name of the model on the Hub; `EMOFUSION_REVISION`, its commit; and
`EMOFUSION_TRANSCRIBER`, the name of a speech recogniser for recordings without a transcript.
"""

import os

from emofusion.inference.app import Page
from transformers import pipeline

MODEL = os.environ.get("EMOFUSION_MODEL", "OWNER/MODEL")


def build() -> Page:
    """Return the page of the model."""
    recognise = pipeline(
        "emotion-recognition",
        model=MODEL,
        revision=os.environ.get("EMOFUSION_REVISION"),
        transcriber=os.environ.get("EMOFUSION_TRANSCRIBER"),
    )
    return Page(recognise, MODEL.rpartition("/")[2])


if __name__ == "__main__":
    page = build()
    page.open()
    page.wait()
    page.close()
