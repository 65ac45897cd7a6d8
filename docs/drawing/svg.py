"""Boxes and arrows as SVG. The background is opaque, so a diagram is readable on light and dark pages."""

from dataclasses import dataclass
from html import escape

# Kind of box -> fill colour.
FILLS = {
    "given": "#ffffff",
    "pretrained": "#dcebfa",
    "travels": "#dcebfa",
    "new": "#f3f3f3",
    "room": "#f3f3f3",
    "result": "#fdf0d5",
    "group": "none",
}
# Kind of box -> text of the legend; a kind without one is not in the legend.
CAPTIONS = {
    "pretrained": "pretrained",
    "new": "trained from scratch, or without parameters",
    "result": "in the output",
    "travels": "travels to the Hub with a checkpoint",
}


@dataclass(frozen=True)
class Box:
    """A labelled box; the kind "group" is a dashed frame around other boxes.

    Attributes:
        x: Centre, in pixels.
        y: Top, in pixels.
        title: First line, in bold.
        note: Second line.
        kind: Key of `FILLS`.
        width: In pixels.
        height: In pixels.
    """

    x: float
    y: float
    title: str
    note: str = ""
    kind: str = "new"
    width: float = 260
    height: float = 50


@dataclass(frozen=True)
class Arrow:
    """An arrow from the bottom of a box to the top of a lower one, or from its side to a box beside it.

    Attributes:
        start: Name of the box that it leaves.
        end: Name of the box that it enters.
        label: Text beside it, such as the shape of the tensor.
        leave: Position on the edge of the first box, from 0 to 1.
        enter: Position on the edge of the second box, from 0 to 1.
        at: Position of the label along the arrow, from 0 to 1.
        left: Whether the label is left of the arrow; right by default.
    """

    start: str
    end: str
    label: str = ""
    leave: float = 0.5
    enter: float = 0.5
    at: float = 0.5
    left: bool = False


@dataclass(frozen=True)
class Diagram:
    """Boxes by name, and the arrows between them; `width` is in pixels."""

    title: str
    boxes: dict[str, Box]
    arrows: list[Arrow]
    width: int = 860


def draw(diagram: Diagram) -> str:
    """Return a diagram as SVG text.

    Raises:
        ValueError: If a box is too narrow for its text.
    """
    bottom = max(box.y + box.height for box in diagram.boxes.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {diagram.width} {bottom + 50:g}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(diagram.title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L10 5L0 10z" fill="#555"/></marker></defs>',
        f'<rect width="{diagram.width}" height="{bottom + 50:g}" fill="#fff"/>',
        *(_arrow(arrow, diagram.boxes) for arrow in diagram.arrows),
        *map(_box, diagram.boxes.values()),
        *_captions(diagram, bottom + 24),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box) -> str:
    left, room = box.x - box.width / 2, box.width - 12
    dashes = ' stroke-dasharray="6 4"' if box.kind == "group" else ""
    frame = (
        f'<rect x="{left:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="8" '
        f'fill="{FILLS[box.kind]}" stroke="#555"{dashes}/>'
    )
    if box.kind == "group":
        return frame + _text(left + 12, box.y + 18, box.title, "start", room)
    title = _text(box.x, box.y + (20 if box.note else 30), box.title, "middle", room, bold=True)
    return frame + title + _text(box.x, box.y + 39, box.note, "middle", room)


def _arrow(arrow: Arrow, boxes: dict[str, Box]) -> str:
    start, end = boxes[arrow.start], boxes[arrow.end]
    beside = end.y < start.y + start.height
    if beside:
        x1, x2 = start.x + start.width / 2, end.x - end.width / 2 - 2
        y1 = y2 = end.y + end.height / 2
    else:
        x1, y1 = start.x + (arrow.leave - 0.5) * start.width, start.y + start.height
        x2, y2 = end.x + (arrow.enter - 0.5) * end.width, end.y - 2
    line = (
        f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="#555" stroke-width="1.5" fill="none" marker-end="url(#tip)"/>'
    )
    x, y = x1 + arrow.at * (x2 - x1), y1 + arrow.at * (y2 - y1)
    if beside:
        return line + _text(x, y - 8, arrow.label, "middle")
    away = 8 + 7 * abs(x2 - x1) / (y2 - y1)  # the more an arrow slants, the more room its label needs
    return line + _text(x - away if arrow.left else x + away, y + 4, arrow.label, "end" if arrow.left else "start")


def _text(x: float, y: float, text: str, anchor: str, room: float | None = None, bold: bool = False) -> str:
    size = 14 if bold else 12
    # Widths of the widest common sans-serif font.
    if room is not None and len(text) * size * (0.58 if bold else 0.54) > room:
        raise ValueError(f"{text!r} does not fit into {room:g} pixels: make its box wider.")
    weight = ' font-size="14" font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{weight}>{escape(text)}</text>' if text else ""


def _captions(diagram: Diagram, y: float) -> list[str]:
    kinds = {box.kind for box in diagram.boxes.values()}
    x, parts = 20, []
    for kind, caption in CAPTIONS.items():
        if kind in kinds:
            box = f'<rect x="{x}" y="{y:g}" width="14" height="14" rx="3" fill="{FILLS[kind]}" stroke="#555"/>'
            parts.append(box + _text(x + 20, y + 11, caption, "start"))
            x += 50 + 7 * len(caption)
    return parts
