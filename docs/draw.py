"""Draw the pictures of the documentation: `python docs/draw.py` writes the SVG files in `docs/`, and `timeline.png`."""

from pathlib import Path

from drawing import draw_all
from drawing.timeline import draw_example

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    for name, text in draw_all().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    draw_example(FOLDER / "timeline.png")
