"""The picture of the README: three modalities, their encoders, five ways to fuse them, emotions."""

import math

from .svg import FILLS

WIDTH, HEIGHT = 960, 372
INK, QUIET, ACCENT = "#333", "#555", "#c4572b"
ROWS = (70, 172, 274)
ENCODERS = (
    ("speech encoder", ("wav2vec 2.0, HuBERT, WavLM,", "data2vec, Whisper, ResNet")),
    ("text encoder", ("BERT, MiniLM, RoBERTa,", "DeBERTa, ModernBERT")),
    ("video encoder", ("EfficientNet, ViT, ConvNeXt,", "any image encoder")),
)
SYSTEMS = (
    ("cross_attention", "Krishna 2021"),
    ("multi_level", "Zhao 2022"),
    ("late_fusion", "Padi 2022, Zhao 2022"),
    ("wavfusion", "Li 2024"),
    ("speaker_resnet", "Padi 2022, speech alone"),
)
# Lengths of the bars, an illustration and no result.
EMOTIONS = (("happy", 78), ("neutral", 24), ("angry", 12), ("sad", 7))


def draw_overview() -> str:
    """Return the picture as SVG text."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13" fill="{INK}">',
        "<title>emofusion: speech, text and video are encoded, fused and classified by emotion</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L10 5L0 10z" fill="{QUIET}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="14" fill="#fff"/>',
        *_inputs(),
        *_encoders(),
        *_systems(),
        *_emotions(),
        _text(
            WIDTH / 2,
            HEIGHT - 18,
            "One folder holds weights, processor, code and model card: AutoModel, pipeline, Trainer and the Hub load it.",
            "middle",
            fill=QUIET,
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _inputs() -> list[str]:
    """A waveform, a sentence and a face."""
    speech, text, video = ROWS
    heights = [30 * math.exp(-(((x - 32) / 20) ** 2)) * (0.45 + 0.55 * abs(math.sin(1.9 * x))) + 2 for x in range(64)]
    wave = "".join(
        f"M{28 + 2.2 * x:.1f} {speech - height:.1f}V{speech + height:.1f}" for x, height in enumerate(heights)
    )
    return [
        f'<path d="{wave}" stroke="{ACCENT}" stroke-width="1.4" fill="none"/>',
        f'<path d="M36 {text - 28}H166a8 8 0 0 1 8 8V{text + 12}a8 8 0 0 1 -8 8H66l-14 14v-14H36a8 8 0 0 1 -8 -8V{text - 20}'
        f'a8 8 0 0 1 8 -8z" fill="#fff" stroke="{QUIET}"/>',
        _text(101, text - 9, "What a lovely", "middle"),
        _text(101, text + 9, "morning.", "middle"),
        f'<rect x="56" y="{video - 34}" width="90" height="68" rx="8" fill="#fff" stroke="{QUIET}"/>',
        f'<circle cx="101" cy="{video}" r="25" fill="#fdf0d5" stroke="{QUIET}"/>',
        f'<circle cx="92" cy="{video - 7}" r="2.6"/><circle cx="110" cy="{video - 7}" r="2.6"/>',
        f'<path d="M89 {video + 6}q12 13 24 0" fill="none" stroke="{INK}" stroke-width="1.8"/>',
    ]


def _encoders() -> list[str]:
    parts = []
    for y, (title, names) in zip(ROWS, ENCODERS, strict=True):
        parts += [
            _arrow(182, y, 208, y),
            _box(212, y - 39, 220, 78, "pretrained"),
            _text(322, y - 16, title, bold=True),
        ]
        parts += [_text(322, y + 5 + 18 * line, name, size=12) for line, name in enumerate(names)]
        parts.append(_arrow(436, y, 472, y))
    return parts


def _systems() -> list[str]:
    x, top = 476, 31
    parts = [_box(x, top, 236, 282, "new"), _text(x + 118, top + 30, "fusion", bold=True)]
    for row, (name, paper) in enumerate(SYSTEMS):
        y = top + 64 + 46 * row
        parts += [_text(x + 118, y, name, weight=600), _text(x + 118, y + 17, paper, size=12, fill=QUIET)]
    return parts


def _emotions() -> list[str]:
    parts = [_arrow(716, ROWS[1], 752, ROWS[1]), _text(844, 86, "emotion", bold=True)]
    for row, (emotion, length) in enumerate(EMOTIONS):
        y = 118 + 34 * row
        parts += [
            _text(826, y + 14, emotion, "end"),
            f'<rect x="834" y="{y}" width="{length}" height="19" rx="4" fill="{ACCENT if not row else "#d9d9d9"}"/>',
        ]
    return parts


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="{FILLS[kind]}" stroke="{QUIET}"/>'


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{QUIET}" stroke-width="1.5" marker-end="url(#tip)"/>'


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "middle",
    *,
    size: int | None = None,
    bold: bool = False,
    weight: int | None = None,
    fill: str | None = None,
) -> str:
    size, weight = (15, 700) if bold else (size, weight)
    style = {"font-size": size, "font-weight": weight, "fill": fill}
    attributes = "".join(f' {name}="{value}"' for name, value in style.items() if value)
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{attributes}>{text}</text>'
