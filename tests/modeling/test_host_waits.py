"""Forward and backward passes on a device without data: nothing waits for the device.

Tensors on torch's `meta` device have no values, as those of a GPU have none on the host: reading one raises, and so does
a shape that depends on values. Copies that would block are refused by a dispatch mode.
"""

import pytest
import torch
from emofusion.configuration.modalities import host_lengths
from emofusion.modeling.fusion_recurrence import BidirectionalGRU, BidirectionalLSTM
from testing_common import CASES, FUSION_MEMBER, SPEECH_MEMBER, TEXT_MEMBER, Case, make_batch
from testing_dimensions import BOTH, DIMENSIONS, with_dimension_labels
from testing_rows import rows_of
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
# Samples, tokens and frames of rows of different length, some of them missing; of rows of equal length; of full rows.
BATCHES = (
    ((3000, 0, 1500, 2200), (4, 9, 0, 6), (0, 1, 3, 2)),
    ((2000,) * 2, (5,) * 2, (3,) * 2),
    ((3000, 300, 1500), (4, 9, 2), (1, 3, 2)),
)
# The variants, and the encoders that take other ways.
NAMES = (
    "text-deberta",
    "video",
    "speech-whisper",
    "cross_attention",
    "cross_attention-wavlm-deberta",
    "speaker_resnet",
    "multi_level",
    "wavfusion-text",
    "wavfusion",
    "wavfusion-concat",
)
# One of each variant; full rows go the same way through the other encoders.
ALL_BATCHES = ("cross_attention", "speaker_resnet", "multi_level", "wavfusion-text", "late_fusion-logistic")
# Members of ours; classifiers of transformers ask their masks whether anything is padded.
LATE_FUSION = [
    Case(
        f"late_fusion-{combination}",
        "late_fusion",
        {
            "member_configs": [SPEECH_MEMBER, TEXT_MEMBER, FUSION_MEMBER],
            "combination": combination,
            "freeze_members": combination != "mean",
        },
    )
    for combination in ("mean", "logistic", "linear")
]


class NoWaiting(TorchDispatchMode):
    """Raise where the host would wait for a GPU: at values that are read and at copies that block."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is aten._local_scalar_dense.default and args[0].is_meta:
            raise AssertionError("A value of the device is read.")
        output = func(*args, **kwargs)
        if func in (aten._to_copy.default, aten.copy_.default):
            source, target = (args[0], output) if func is aten._to_copy.default else (args[1], args[0])
            non_blocking = kwargs.get("non_blocking", len(args) > 2 and args[2])
            if source.is_meta != target.is_meta and source.dim() and not non_blocking:
                raise AssertionError("A copy between host and device blocks.")
        return output


class NoConstants(TorchFunctionMode):
    """Raise where numbers of Python become a tensor on the device, which blocks."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu").type == "meta":
            raise AssertionError("A tensor is made on the device; make it on the host and copy it without blocking.")
        if func is torch.Tensor.new_tensor and args[0].is_meta:
            raise AssertionError("A tensor is made on the device; use new_full.")
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and args[0].is_meta:
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(part, list) or (torch.is_tensor(part) and not part.is_meta) for part in parts):
                raise AssertionError("An index is copied to the device.")
        return func(*args, **kwargs)


@pytest.fixture(autouse=True)
def autocast_on_meta(monkeypatch):
    """Let code ask about autocast on the device `meta`, which has none."""
    for name in ("autocast", "is_autocast_enabled", "get_autocast_dtype"):
        function = getattr(torch, name)
        monkeypatch.setattr(
            torch,
            name,
            lambda *args, function=function, **options: function(
                *("cpu" if argument == "meta" else argument for argument in args), **options
            ),
        )


@pytest.mark.parametrize(
    "wait",
    [
        lambda values: values.sum().item(),
        lambda values: bool((values > 0).any()),
        lambda values: values[values > 0],
        lambda values: values.cpu(),
        lambda values: values[:, [1, 0]],
        lambda values: values.new_tensor(1.0),
        lambda values: torch.tensor([1.0, 2.0], device=values.device),
        lambda values: torch.tensor([1.0, 2.0]).to(values.device),
    ],
)
def test_waits_are_found(wait):
    with NoWaiting(), NoConstants(), pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
        wait(torch.zeros(2, 2, device="meta"))


@pytest.mark.parametrize(
    "case", [*(case for case in CASES if case.name in NAMES), *LATE_FUSION], ids=lambda case: case.name
)
def test_nothing_waits_for_device(case):
    """Each case passes once over batches of several kinds, with classes and dimensions; every second pass is a training step."""
    classes = {"class_weights": [1.0, 2.0, 0.5]}
    combines_dimensions = case.fields.get("combination") == "linear"
    fields = DIMENSIONS if combines_dimensions else classes if case.has_members else classes | BOTH
    model = case.model(**fields).to("meta")
    for number, lengths in enumerate(BATCHES if case.name in ALL_BATCHES else BATCHES[:2]):
        batch = make_batch(*lengths)
        batch = with_dimension_labels(batch, model.config) if model.config.dimensions else batch
        known = host_lengths(batch)
        batch = {name: value.to("meta") for name, value in batch.items()}
        model.train(number % 2 == 0)
        with NoWaiting(), NoConstants():
            loss = model(**batch, lengths=known).loss
            if model.training:
                loss.backward()


def test_nothing_waits_for_device_with_earlier_turns():
    """Tokens of earlier turns, and utterances of dialogues, some of them only context."""
    case = next(case for case in CASES if case.name == "cross_attention")
    model = case.model(context_layers=1, context_hidden_size=8).to("meta").train()
    batch = make_batch(*BATCHES[0]) | {"context_lengths": torch.tensor([2, 5, 0, 3])}
    known = host_lengths(batch)
    places = {"dialogue": (0, 1, 0, 0), "turn": (2, 0, 1, 0), "speaker": (0, -1, 1, 0), "asked": (2,)}
    batch = {name: value.to("meta") for name, value in batch.items()} | {"labels": batch["labels"][:2].to("meta")}
    with NoWaiting(), NoConstants():
        model(**batch, lengths=known, dialogues=places).loss.backward()


def test_auxiliary_heads_and_mixup_never_wait_for_device():
    case = next(case for case in CASES if case.name == "speaker_resnet")
    model = (
        case.model(auxiliary_labels={"gender": ["female", "male"]}, pooling="attentive_statistics").to("meta").train()
    )
    batch = make_batch(*BATCHES[2])
    known = host_lengths(batch)
    batch = {name: value.to("meta") for name, value in batch.items()}
    auxiliary = {"gender": torch.tensor([0, -100, 1]).to("meta")}
    mixup = {"partners": [1, 2, 0], "shares": [0.9, 0.5, 1.0]}
    with NoWaiting(), NoConstants():
        model(**batch, lengths=known, auxiliary_labels=auxiliary, mixup=mixup).loss.backward()


@pytest.mark.parametrize("layer", [BidirectionalLSTM, BidirectionalGRU])
@pytest.mark.parametrize("lengths", [(3, 7, 1, 7), (4, 4)])
def test_recurrences_in_one_call_and_by_direction_equal_torch(layer, lengths):
    torch.manual_seed(0)
    module = layer(6, 5)
    rows = rows_of(torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])
    padded = torch.randn(len(lengths), max(lengths), 6, requires_grad=True)
    gradients = []
    for run in (module, module._run_at_once, module._run_directions):
        outputs = run(padded, rows)
        for row, length in enumerate(lengths):
            assert_close(outputs[row, :length], layer.__bases__[1].forward(module, padded[row, :length])[0])
        leaves = [padded, *module.parameters()]
        gradients.append(torch.autograd.grad(rows.pack(outputs).square().sum(), leaves))
    assert_close(gradients[1], gradients[0])
    assert_close(gradients[2], gradients[0])
