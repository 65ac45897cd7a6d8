"""The pictures of the documentation, drawn by `python docs/draw.py`."""

from .overview import draw_overview
from .rooms import ROOMS
from .svg import draw
from .systems import SYSTEMS


def draw_all() -> dict[str, str]:
    """Return the SVG text of each picture by its path below `docs/`."""
    systems = {f"systems/{name}.svg": draw(diagram) for name, diagram in SYSTEMS.items()}
    return {"overview.svg": draw_overview(), "rooms.svg": draw(ROOMS), **systems}
