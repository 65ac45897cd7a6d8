"""The forms of layers that a GPU computes, here on the CPU: equal to those that the CPU computes."""

from itertools import pairwise

import pytest
import torch
from emofusion.modeling import modeling_rows
from emofusion.modeling.encoder_positions import convolve_in_blocks
from emofusion.modeling.modeling_rows import Rows
from testing_common import CASES, as_on_gpu, make_batch
from torch import nn
from torch.testing import assert_close

# Rows of different lengths, one shorter than the receptive field and some of them missing; rows of equal length.
BATCHES = (((3000, 0, 1500, 200), (4, 9, 0, 6), (0, 1, 3, 2)), ((2000,) * 2, (5,) * 2, (3,) * 2))
ENCODERS = [case for case in CASES if not case.has_members]


@pytest.mark.parametrize("case", ENCODERS, ids=lambda case: case.name)
def test_models_compute_the_same_as_on_a_cpu(case, monkeypatch):
    model = case.model().double().eval()
    results = []
    for _ in range(2):
        for lengths in BATCHES:
            outputs = model(**make_batch(*lengths))
            gradients = torch.autograd.grad(
                outputs.loss, [weight for weight in model.parameters() if weight.requires_grad], allow_unused=True
            )
            results.append((outputs.logits, outputs.loss, *(g for g in gradients if g is not None)))
        as_on_gpu(monkeypatch)
    for by_row, at_once in zip(results[:2], results[2:], strict=True):
        assert_close(at_once, by_row, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("taps", [1, 2, 7, 128])
@pytest.mark.parametrize("lengths", [(3, 40, 1, 9), (6, 6), (1,)])
def test_convolution_in_blocks_equals_convolution_of_each_row(taps, lengths):
    torch.manual_seed(0)
    conv = nn.Conv1d(8, 12, taps, padding=taps // 2, groups=4).double()
    rows = [torch.randn(length, 8, dtype=torch.float64, requires_grad=True) for length in lengths]
    packed = torch.stack(rows) if len(set(lengths)) == 1 else torch.cat(rows)[None]
    states = convolve_in_blocks(conv, packed, Rows(lengths, packed.device))
    expected = torch.cat([conv(row.T)[:, : len(row)].T for row in rows])
    assert_close(states.flatten(0, 1), expected)
    leaves = [*rows, *conv.parameters()]
    assert_close(*(torch.autograd.grad(result.square().sum(), leaves) for result in (states, expected)))


@pytest.fixture
def kernels(monkeypatch):
    """Stand-ins for the attention kernels of a GPU, with the arguments that they have in this version of torch."""
    calls = []

    def stand_in(name):
        names = [argument.name for argument in getattr(torch.ops.aten, name).default._schema.arguments]

        def attend(*args, **kwargs):
            given = dict(zip(names, args, strict=False)) | kwargs
            assert given.keys() <= set(names)
            calls.append(name)
            is_flash = name.startswith("_flash")
            bounds = [given[f"cu{'m_seq' if is_flash else '_seqlens'}_{side}"].tolist() for side in "qk"]
            longest = [given[f"max_{'' if is_flash else 'seqlen_'}{side}"] for side in "qk"]
            assert longest == [max(end - start for start, end in pairwise(b)) for b in bounds]
            assert not any(given.get(option) for option in ("is_causal", "custom_mask_type", "dropout_p"))
            states = [given[part].reshape(-1, *given[part].shape[-2:]) for part in ("query", "key", "value")]
            counts = [[end - start for start, end in pairwise(b)] for b in bounds]
            split = [state.split(counts[part > 0]) for part, state in enumerate(states)]
            rows = zip(*split, strict=True)
            contexts = [
                nn.functional.scaled_dot_product_attention(*(s.transpose(0, 1) for s in row), scale=given["scale"])
                for row in rows
            ]
            return (torch.cat([context.transpose(0, 1) for context in contexts]).view_as(given["query"]),)

        return attend

    for name in ("_efficient_attention_forward", "_flash_attention_forward"):
        monkeypatch.setattr(torch.ops.aten, name, stand_in(name))
    offsets = lambda lengths, device: torch.tensor([0, *lengths]).cumsum(0).int()  # noqa: E731
    monkeypatch.setattr(modeling_rows, "offsets_of_rows", offsets)
    return calls


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["cross_attention", "multi_level", "wavfusion"])
def test_attention_of_packed_rows_runs_in_the_kernels_of_a_gpu(name, dtype, monkeypatch, kernels):
    case = next(case for case in CASES if case.name == name)
    model, batch = case.model(hidden_size=16, num_attention_heads=2).to(dtype).eval(), make_batch(*BATCHES[0])
    with torch.no_grad():
        as_on_gpu(monkeypatch)
        logits = model(**batch).logits
        assert set(kernels) == {f"_{'efficient' if dtype == torch.float32 else 'flash'}_attention_forward"}
        count = len(kernels)
        monkeypatch.setattr(modeling_rows, "offsets_of_rows", lambda lengths, device: None)
        expected = model(**batch).logits
    assert len(kernels) == count
    assert_close(logits, expected, atol=1e-5 if dtype == torch.float32 else 0.02, rtol=0)
