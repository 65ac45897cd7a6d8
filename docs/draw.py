"""Draw the pictures of the documentation: `python docs/draw.py` writes the SVG files in `docs/`."""

from pathlib import Path

from drawing import draw_all

if __name__ == "__main__":
    for name, text in draw_all().items():
        Path(__file__).parent.joinpath(name).write_text(text, encoding="utf-8")
