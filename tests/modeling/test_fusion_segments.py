"""Segment pooling, compared with a loop in integer milliseconds."""

import torch
from emofusion.modeling.fusion_segments import segment_streams
from emofusion.modeling.modeling_rows import Segments
from testing_rows import rows_of
from torch.testing import assert_close

HOP = 0.02  # seconds


def ragged(lengths, size=5, dtype=torch.float32):
    states = torch.randn(len(lengths), max(lengths), size, generator=torch.Generator().manual_seed(0))
    return states.to(dtype), torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def seconds(rows: list[list[tuple[int, int]]]) -> torch.Tensor:
    """Return spans in milliseconds as padded spans in seconds."""
    most = max(1, *map(len, rows))
    padded = [[(start / 1000, end / 1000) for start, end in row] + [(-1, -1)] * (most - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.float32)


def loop_over_segments(
    states: torch.Tensor, mask: torch.Tensor, rows: list[list[tuple[int, int]]]
) -> list[torch.Tensor]:
    """Return the segment means of each row in float64, or its frames if it has no segments."""
    streams = []
    for frames, valid, row in zip(states.double(), mask, rows, strict=True):
        frames, means = frames[: valid.sum()], []
        for start, end in row:
            first, last = start // 20, max(start // 20 + 1, -(-end // 20))
            first = min(first, len(frames) - 1)
            means.append(frames[first:last].mean(dim=0))
        streams.append(torch.stack(means) if means else frames)
    return streams


def pool(states: torch.Tensor, mask: torch.Tensor, spans: torch.Tensor, counts=None):
    """Return the padded stream, its mask, and which rows fell back to frames."""
    rows = rows_of(mask)
    stream, layout, fallback = segment_streams(rows.pack(states), rows, {"word": Segments(spans, counts)}, HOP)["word"]
    return layout.pad(stream), layout.mask, fallback


def check(states, mask, rows, rtol=1e-5):
    stream, stream_mask, fallback = pool(states, mask, seconds(rows))
    assert torch.equal(pool(states, mask, seconds(rows), tuple(map(len, rows)))[0], stream)
    assert stream.dtype == states.dtype
    for output, valid, expected in zip(stream, stream_mask, loop_over_segments(states, mask, rows), strict=True):
        assert_close(output[valid].double(), expected, rtol=rtol, atol=rtol)
        assert (output[~valid] == 0).all()
    return stream_mask, fallback


def test_segments_are_means_of_their_frames():
    states, mask = ragged((50, 40, 50))
    rows = [
        [(0, 20), (20, 60), (60, 61), (61, 999), (999, 1000)],  # at frame boundaries, just after, up to the end
        [(0, 800), (100, 300), (200, 400), (100, 300)],  # nested and overlapping
        [(500, 500), (490, 490)],  # empty
    ]
    stream_mask, fallback = check(states, mask, rows)
    assert not fallback.any()
    assert stream_mask.sum(dim=1).tolist() == [5, 4, 2]


def test_every_multiple_of_hop_is_frame_boundary():
    states, mask = ragged((1500,))
    check(states, mask, [[(20 * frame, 20 * frame + 20) for frame in range(1500)]], rtol=0)


def test_random_segments_of_long_clip_are_accurate():
    draw = torch.Generator().manual_seed(1)
    starts = torch.randint(0, 29900, (2, 300), generator=draw)
    ends = starts + torch.randint(0, 400, (2, 300), generator=draw)
    rows = [list(zip(*row, strict=True)) for row in zip(starts.tolist(), ends.tolist(), strict=True)]
    states, mask = ragged((1500, 1400))
    check(10 + states, mask, rows)


def test_bfloat16_is_averaged_in_float32():
    states, mask = ragged((1500,), dtype=torch.bfloat16)
    rows = [[(0, 30000), (29000, 30000), (10, 15)]]
    check(states, mask, rows, rtol=2**-8)  # rounded once, at the end
    exact, _, _ = pool(states.float(), mask, seconds(rows))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        stream, _, _ = pool(states.float(), mask, seconds(rows))
    assert torch.equal(stream, exact)


def test_segments_are_cut_at_end_of_clip():
    """Those that begin behind the last frame have it: the end of a recording, less than a hop, has no frame of its own."""
    states, mask = ragged((10, 20))
    stream_mask, fallback = check(states, mask, [[(180, 5000), (200, 210), (100, 200)], [(380, 390), (400, 410)]])
    assert stream_mask.tolist() == [[True, True, True], [True, True, False]]
    assert not fallback.any()


def test_levels_are_computed_together_as_alone():
    states, mask = ragged((50, 1, 40))
    rows = rows_of(mask)
    levels = {
        "word": [[(0, 200), (300, 500)], [(0, 20)], []],
        "phone": [[(0, 20), (20, 60), (60, 61), (61, 999)], [], [(0, 800), (100, 300)]],
        "syllable": [[], [], []],
    }
    together = segment_streams(
        rows.pack(states), rows, {level: Segments(seconds(spans)) for level, spans in levels.items()}, HOP
    )
    for level, spans in levels.items():
        stream, layout, fallback = together[level]
        alone, alone_mask, alone_fallback = pool(states, mask, seconds(spans))
        assert torch.equal(layout.pad(stream), alone)
        assert torch.equal(layout.mask, alone_mask)
        assert torch.equal(fallback, alone_fallback)


def test_rows_without_segments_fall_back_to_frames():
    states, mask = ragged((6, 3, 4))
    rows = [[], [(0, 20), (20, 60)], []]
    stream_mask, fallback = check(states, mask, rows)
    assert fallback.tolist() == [True, False, True]
    assert stream_mask.sum(dim=1).tolist() == [6, 2, 4]
    many = [[], [(0, 20)] * 9, []]  # more segments than frames
    stream_mask, fallback = check(states, mask, many)
    assert stream_mask.sum(dim=1).tolist() == [6, 9, 4]


def test_row_of_one_frame_has_no_segments():
    states, mask = ragged((6, 1))
    stream, stream_mask, fallback = pool(states, mask, seconds([[(0, 20)], [(0, 20), (0, 20)]]))
    assert fallback.tolist() == [False, True]
    assert stream_mask.sum(dim=1).tolist() == [1, 1]
    assert torch.equal(stream[1, 0], states[1, 0])


def test_batch_without_segments_gives_its_frames():
    states, mask = ragged((6, 3))
    stream, stream_mask, fallback = pool(states, mask, torch.full((2, 1, 2), -1.0))
    assert torch.equal(stream * mask.unsqueeze(-1), states * mask.unsqueeze(-1))
    assert torch.equal(stream_mask, mask)
    assert fallback.all()


def test_gradients_go_to_frames_of_segments_only():
    states, mask = ragged((10, 10))
    states.requires_grad_()
    stream, _, _ = pool(states, mask, seconds([[(40, 80), (60, 100)], [(0, 20)]]))
    stream.sum().backward()
    assert_close(states.grad[0, :, 0], torch.tensor([0, 0, 0.5, 1, 0.5, 0, 0, 0, 0, 0]))
    assert_close(states.grad[1, :, 0], torch.tensor([1.0] + [0] * 9))
