"""Floors: floating-point operations at the measured rate of a large product, bytes at the measured bandwidth."""

from collections.abc import Callable

PRODUCT = {"cpu": 2048, "cuda": 8192}  # rows and columns of the matrices of the large product
COPY = {"cpu": 1 << 28, "cuda": 1 << 30}  # bytes of the copied memory

# Operations whose result the host reads, or whose result has a shape that depends on values; a boolean index is a `nonzero`.
HOST_READS = {
    f"aten::{name}" for name in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim")
}


def count_operations(call: Callable) -> int:
    """Return the number of floating-point operations of a call, without recurrent layers."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    # The counter lacks the attention kernels of the CPU.
    def forward(query, key, value, *args, out_shape=None, **kwargs):
        return sdpa_flop_count(query, key, value)

    def backward(gradient, query, key, value, *args, out_shape=None, **kwargs):
        return sdpa_backward_flop_count(gradient, query, key, value)

    attention = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: forward,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        call()
    return counter.get_total_flops()


def count_states(module, call: Callable) -> int:
    """Return the number of values that the products, convolutions and embeddings of a module put out in a call."""
    from torch import nn

    found = []
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)
    leaves = [part for part in module.modules() if isinstance(part, kinds)]
    hooks = [part.register_forward_hook(lambda _, args, output: found.append(output.numel())) for part in leaves]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return sum(found)


def make_product(dtype, device: str) -> Callable:
    """Return a function that computes the large product."""
    import torch

    size = PRODUCT[device]
    left, right = torch.randn(2, size, size, device=device).to(dtype)
    return lambda: left @ right


def product_rate(milliseconds: float, device: str) -> float:
    """Return the rate in GFLOP/s of the large product."""
    return 2 * PRODUCT[device] ** 3 / milliseconds / 1e6


def make_copy(device: str) -> Callable:
    """Return a function that copies memory."""
    import torch

    source, target = torch.zeros(2, COPY[device], dtype=torch.uint8, device=device)
    return lambda: target.copy_(source)


def bandwidth(milliseconds: float, device: str) -> float:
    """Return the GB/s of the copy: all bytes are read and written."""
    return 2 * COPY[device] / milliseconds / 1e6


def floor_ms(operations: float, moved: float, rate: float, width: float) -> float:
    """Return the floor in milliseconds: the longer of computing and moving.

    Args:
        operations: Floating-point operations.
        moved: Bytes.
        rate: GFLOP/s.
        width: GB/s.
    """
    return max(operations / rate, moved / width) / 1e6


def count_waits(call: Callable, device: str) -> int:
    """Return how often a call waits for the device.

    On a GPU torch reports every wait. On the CPU, where nothing waits, operations whose result the host or the shape of
    a tensor needs are counted instead; a list made of a tensor of the CPU is not seen.
    """
    return _count_reported_waits(call) if device == "cuda" else _count_host_reads(call)


def _count_reported_waits(call: Callable) -> int:
    import warnings

    import torch

    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in caught)


def _count_host_reads(call: Callable) -> int:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        call()
    return sum(event.name in HOST_READS for event in profiler.events())
