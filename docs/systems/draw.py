"""Draws the diagrams of these pages: `python docs/systems/draw.py` writes an SVG beside each page."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

# kind of box -> its fill; the caption names those that a diagram has
FILLS = {"given": "#ffffff", "pre-trained": "#dcebfa", "new": "#f3f3f3", "result": "#fdf0d5", "group": "none"}
CAPTIONS = {"pre-trained": "pre-trained", "new": "learned anew, or nothing to learn", "result": "in the output"}


@dataclass(frozen=True)
class Box:
    """A step, or with the kind "group" a dashed line around some: `x` is the middle and `y` the top of its box."""

    x: float
    y: float
    title: str
    note: str = ""
    kind: str = "new"
    width: float = 260
    height: float = 50


@dataclass(frozen=True)
class Arrow:
    """What flows, and in which shape: from the bottom of a box to the top of one below, or to the side of one beside.

    `leave` and `enter` are places along the edges of the boxes, from 0 to 1, and `at` is one along the arrow.
    """

    start: str
    end: str
    label: str = ""
    leave: float = 0.5
    enter: float = 0.5
    at: float = 0.5
    left: bool = False  # the label stands left of the arrow, instead of right


@dataclass(frozen=True)
class Diagram:
    """Boxes by name, and the arrows between them."""

    title: str
    boxes: dict[str, Box]
    arrows: list[Arrow]
    width: int = 860


def draw(diagram: Diagram) -> str:
    """The diagram as SVG.

    Raises:
        ValueError: if a box is too narrow for what is written in it.
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
    away = 8 + 7 * abs(x2 - x1) / (y2 - y1)  # a slanting line needs more room beside it
    return line + _text(x - away if arrow.left else x + away, y + 4, arrow.label, "end" if arrow.left else "start")


def _text(x: float, y: float, text: str, anchor: str, room: float | None = None, bold: bool = False) -> str:
    size = 14 if bold else 12
    # As wide as the widest common sans-serif font writes it.
    if room is not None and len(text) * size * (0.58 if bold else 0.54) > room:
        raise ValueError(f"{text!r} does not fit into {room:g} pixels; make its box wider.")
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


AUDIO, TEXT = 215, 645  # columns of speech and text
CROSS_ATTENTION = Diagram(
    "Cross-modal attention: how the tensors go",
    {
        "waveform": Box(AUDIO, 20, "input_values", "(batch, samples), 16 kHz", "given"),
        "tokens": Box(TEXT, 20, "input_ids", "(batch, tokens)", "given"),
        "wav2vec2": Box(AUDIO, 106, "audio_encoder", "wav2vec 2.0: a frame every 20 ms", "pre-trained"),
        "bert": Box(TEXT, 106, "text_encoder", "BERT", "pre-trained"),
        "audio_branch": Box(AUDIO, 192, "audio_branch", "Conv1d (3), ReLU, Linear, BiLSTM"),
        "text_branch": Box(TEXT, 192, "text_branch", "Conv1d (3), ReLU"),
        "audio_text": Box(AUDIO, 312, "audio_text_attention", "LN(A + MHA(Q = A, K = V = T))"),
        "text_audio": Box(TEXT, 312, "text_audio_attention", "LN(T + MHA(Q = T, K = V = A))"),
        "audio_statistics": Box(
            AUDIO, 398, "statistics pooling", "mean ; std of the valid frames: (batch, 512)", width=300
        ),
        "text_statistics": Box(
            TEXT, 398, "statistics pooling", "mean ; std of the valid tokens: (batch, 512)", width=300
        ),
        "embedding": Box(430, 484, "embedding", "both, side by side: (batch, 1024)", "result"),
        "classifier": Box(430, 570, "classifier", "dropout, Linear"),
        "logits": Box(430, 656, "logits", "(batch, classes)", "result"),
    },
    [
        Arrow("waveform", "wav2vec2"),
        Arrow("tokens", "bert"),
        Arrow("wav2vec2", "audio_branch", "(batch, frames, 768)"),
        Arrow("bert", "text_branch", "(batch, tokens, 768)"),
        Arrow("audio_branch", "audio_text", "A (batch, frames, 256)", 0.3, 0.3, left=True),
        Arrow("audio_branch", "text_audio", "", 0.7, 0.3),
        Arrow("text_branch", "audio_text", "", 0.3, 0.7),
        Arrow("text_branch", "text_audio", "T (batch, tokens, 256)", 0.7, 0.7),
        Arrow("audio_text", "audio_statistics", "(batch, frames, 256)"),
        Arrow("text_audio", "text_statistics", "(batch, tokens, 256)"),
        Arrow("audio_statistics", "embedding", enter=0.3),
        Arrow("text_statistics", "embedding", enter=0.7),
        Arrow("embedding", "classifier"),
        Arrow("classifier", "logits"),
    ],
)

MULTI_LEVEL = Diagram(
    "Multi-level fusion: how the tensors go",
    {
        "waveform": Box(170, 20, "input_values", "(batch, samples), 16 kHz", "given", 230),
        "spans": Box(430, 20, "phone_spans and so on", "(batch, segments, 2) seconds", "given", 230),
        "tokens": Box(690, 20, "input_ids", "(batch, tokens)", "given", 230),
        "wav2vec2": Box(170, 106, "audio_encoder", "wav2vec 2.0: a frame every 20 ms", "pre-trained", 230),
        "bert": Box(690, 106, "text_encoder", "BERT", "pre-trained", 230),
        "stream": Box(270, 244, "stream of g", "frames, or their means in each span", width=260),
        "audio_text": Box(220, 370, "audio_text_attention", "LN(S + MHA(Q = S, K = V = X))", width=270),
        "text_audio": Box(640, 370, "text_audio_attention", "LN(X + MHA(Q = X, K = V = S))", width=270),
        "audio_forward": Box(220, 456, "audio_feed_forward", "LN(S + FFN(S))", width=270),
        "text_forward": Box(640, 456, "text_feed_forward", "LN(X + FFN(X))", width=270),
        "audio_mean": Box(220, 562, "mean", "of the valid positions: (batch, 768)", width=270),
        "text_mean": Box(640, 562, "mean", "of the valid tokens: (batch, 768)", width=270),
        "embedding": Box(430, 670, "embedding", "of all granularities, side by side: (batch, 6144)", "result", 340),
        "classifier": Box(430, 756, "classifier", "Linear (256), ReLU, dropout, Linear"),
        "logits": Box(430, 842, "logits", "(batch, classes)", "result"),
        "granularity": Box(430, 200, "for each granularity g", "", "group", 832, 432),
        "block": Box(430, 340, "block, twice", "", "group", 780, 185),
    },
    [
        Arrow("waveform", "wav2vec2"),
        Arrow("tokens", "bert"),
        Arrow("wav2vec2", "stream", "(batch, frames, 768)", 0.5, 0.115, 0.3),
        Arrow("spans", "stream", leave=0.2, enter=0.845),
        Arrow("stream", "audio_text", "S (batch, segments, 768)", 0.115, 0.315, 0.3),
        Arrow("stream", "text_audio", leave=0.88, enter=0.25),
        Arrow("bert", "audio_text", leave=0.2, enter=0.85),
        Arrow("bert", "text_audio", "X (batch, tokens, 768)", 0.5, 0.685, 0.6),
        Arrow("audio_text", "audio_forward"),
        Arrow("text_audio", "text_forward"),
        Arrow("audio_forward", "audio_mean", "S (batch, segments, 768)"),
        Arrow("text_forward", "text_mean", "X (batch, tokens, 768)"),
        Arrow("audio_mean", "embedding", enter=0.3),
        Arrow("text_mean", "embedding", enter=0.7),
        Arrow("embedding", "classifier"),
        Arrow("classifier", "logits"),
    ],
)
SPEAKER_RESNET = Diagram(
    "Speaker network: how the tensors go",
    {
        "waveform": Box(430, 20, "input_values", "(batch, samples), 16 kHz", "given"),
        "spectrogram": Box(430, 106, "spectrogram", "80 log-mel bands, less their means; every 10 ms", width=340),
        "masks": Box(430, 192, "SpecAugment", "in training: masks over frequency and time", width=340),
        "stem": Box(430, 278, "stem", "convolution 3 x 3", "pre-trained", 340),
        "stages": Box(
            430, 364, "ResNet-34", "stages of 3, 4, 6 and 3 blocks; all but the first halve", "pre-trained", 400
        ),
        "statistics": Box(430, 450, "statistics pooling", "mean ; std of the valid frames", width=340),
        "embedding": Box(430, 536, "embedding", "Linear: (batch, 256)", "pre-trained", 340),
        "emotion": Box(215, 642, "classifier", "dropout, Linear"),
        "speakers": Box(645, 642, "speakers", "cosines x 30, additive margin 0.2"),
        "logits": Box(215, 728, "logits", "(batch, classes)", "result"),
        "scores": Box(645, 728, "logits", "(batch, num_speakers)", "result"),
    },
    [
        Arrow("waveform", "spectrogram"),
        Arrow("spectrogram", "masks", "(batch, frames, 80)"),
        Arrow("masks", "stem"),
        Arrow("stem", "stages", "(batch, frames, 32 x 80)"),
        Arrow("stages", "statistics", "(batch, frames / 8, 256 x 10)"),
        Arrow("statistics", "embedding", "(batch, 5120)"),
        Arrow("embedding", "emotion", "transferred", 0.3, 0.5, left=True),
        Arrow("embedding", "speakers", "pre-training", 0.7, 0.5),
        Arrow("emotion", "logits"),
        Arrow("speakers", "scores"),
    ],
)
LATE_FUSION = Diagram(
    "Late fusion: how the tensors go",
    {
        "batch": Box(430, 20, "batch", "input_values, input_ids and so on; masks", "given", 320),
        "first": Box(150, 130, "members.0", "for example speech", "pre-trained", 210),
        "second": Box(430, 130, "members.1", "for example text", "pre-trained", 210),
        "third": Box(710, 130, "members.2", "for example speech and text", "pre-trained", 210),
        "first_scores": Box(150, 216, "log-softmax", "labels in one order", width=210),
        "second_scores": Box(430, 216, "log-softmax", "labels in one order", width=210),
        "third_scores": Box(710, 216, "log-softmax", "labels in one order", width=210),
        "embedding": Box(430, 336, "embedding", "side by side: (batch, members x classes)", "result", 320),
        "classifier": Box(430, 422, "classifier", "mean, weighted or logistic", width=320),
        "logits": Box(430, 508, "logits", "log-probabilities (batch, classes)", "result", 320),
    },
    [
        Arrow("batch", "first", "what it knows", 0.2, 0.5, left=True),
        Arrow("batch", "second", "what it knows"),
        Arrow("batch", "third", "what it knows", 0.8, 0.5),
        Arrow("first", "first_scores", "(batch, classes)"),
        Arrow("second", "second_scores", "(batch, classes)"),
        Arrow("third", "third_scores", "(batch, classes)"),
        Arrow("first_scores", "embedding", enter=0.2),
        Arrow("second_scores", "embedding"),
        Arrow("third_scores", "embedding", enter=0.8),
        Arrow("embedding", "classifier"),
        Arrow("classifier", "logits"),
    ],
)

WAVFUSION = Diagram(
    "WavFusion: how the tensors go",
    {
        "tokens": Box(125, 20, "input_ids", "(batch, tokens)", "given", 210),
        "waveform": Box(365, 20, "input_values", "(batch, samples), 16 kHz", "given", 210),
        "video": Box(605, 20, "pixel_values_videos", "(batch, pictures, 3, h, w)", "given", 210),
        "roberta": Box(125, 106, "text_encoder", "RoBERTa, frozen", "pre-trained", 210),
        "wav2vec2": Box(365, 106, "audio_encoder", "convolutions, 9 layers, frozen", "pre-trained", 210),
        "efficientnet": Box(605, 106, "vision_encoder", "EfficientNet, frozen", "pre-trained", 210),
        "text_branch": Box(125, 226, "branches.text", "GRU, self-attention", width=210),
        "frames": Box(365, 226, "frames", "as they are", width=210),
        "video_branch": Box(605, 226, "branches.video", "GRU, attention; visual center", width=210),
        "unfused": Box(365, 192, "unfused", "", "group", 720, 98),
        "homogeneous": Box(935, 226, "homogeneous", "means, one shared Linear", width=210),
        "modality_embeddings": Box(935, 346, "modality_embeddings", "(batch, 768) of each", "result", 210),
        "discrepancy": Box(935, 466, "losses: discrepancy", "margin loss over triplets", "result", 210),
        "text_attention": Box(145, 380, "attention to text", "F1 = CMA(Q = X_a, K = V = X_t)", width=250),
        "video_attention": Box(585, 380, "attention to video", "F2 = CMA(Q = X_a, K = V = X_v)", width=250),
        "gate": Box(365, 480, "gate", "P F1 + (1 - P) F2, P = sigmoid(Linear [F1 ; F2])", width=360),
        "forward": Box(365, 566, "the layer goes on", "residual, norm, feed-forward", "pre-trained", 360),
        "deep": Box(365, 340, "deep layer, three times", "", "group", 720, 296),
        "embedding": Box(365, 682, "embedding", "mean of the valid frames: (batch, 768)", "result", 300),
        "classifier": Box(365, 768, "classifier", "dropout, Linear", width=300),
        "logits": Box(365, 854, "logits", "(batch, classes)", "result", 300),
    },
    [
        Arrow("tokens", "roberta"),
        Arrow("waveform", "wav2vec2"),
        Arrow("video", "efficientnet"),
        Arrow("roberta", "text_branch", "(batch, tokens, 768)", at=0.3),
        Arrow("wav2vec2", "frames", "(batch, frames, 768)", at=0.3),
        Arrow("efficientnet", "video_branch", "(batch, pictures, 1280)", at=0.3),
        Arrow("text_branch", "text_attention", "X_t (batch, tokens, 768)", 0.75, 0.63, 0.3, left=True),
        Arrow("frames", "text_attention", "", 0.3, 0.85),
        Arrow("frames", "video_attention", "X_a", 0.7, 0.15, 0.3),
        Arrow("video_branch", "video_attention", "X_v (batch, pictures, 64)", 0.25, 0.37, 0.3),
        Arrow("unfused", "homogeneous", "X_a, X_t, X_v", at=0.45),
        Arrow("homogeneous", "modality_embeddings"),
        Arrow("modality_embeddings", "discrepancy"),
        Arrow("text_attention", "gate", enter=0.3),
        Arrow("video_attention", "gate", enter=0.7),
        Arrow("gate", "forward", "(batch, frames, 768)"),
        Arrow("forward", "embedding", "(batch, frames, 768)", at=0.65),
        Arrow("embedding", "classifier"),
        Arrow("classifier", "logits"),
    ],
    1060,
)

DIAGRAMS = {
    "cross_attention": CROSS_ATTENTION,
    "multi_level": MULTI_LEVEL,
    "speaker_resnet": SPEAKER_RESNET,
    "late_fusion": LATE_FUSION,
    "wavfusion": WAVFUSION,
}

if __name__ == "__main__":
    for name, diagram in DIAGRAMS.items():
        Path(__file__).with_name(f"{name}.svg").write_text(draw(diagram), encoding="utf-8")
