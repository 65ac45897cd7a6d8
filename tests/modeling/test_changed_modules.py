"""What others put into a module has its effect, in every form in which a model is computed."""

import pytest
import torch
from accelerate import cpu_offload
from emofusion.modeling.modeling_modules import is_plain_linear, is_unchanged
from peft import LoraConfig, inject_adapter_in_model
from testing_common import CASES, as_on_gpu, make_batch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.testing import assert_close

# Rows of different lengths, some of them missing; rows of equal length.
BATCHES = (((3000, 0, 1500), (4, 9, 0), (0, 1, 3)), ((2000,) * 2, (5,) * 2, (3,) * 2))
# Modules whose weights transformers reads without a call, too.
READ_BY_TRANSFORMERS = ("rel_embeddings", "layers.0.attention", "layers.1.attention", "self_attention")
ALONE = [case for case in CASES if not case.has_members]
NAMED = {case.name: case for case in CASES}
FORMS = ("as on a CPU", "as on a GPU")


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    if request.param == "as on a GPU":
        as_on_gpu(monkeypatch)


def reads_weights(case) -> bool:
    """Return whether transformers reads weights of other modules in an encoder of a case."""
    return "wavlm" in case.name or "deberta" in case.name


def has_weights(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("case", ALONE, ids=lambda case: case.name)
def test_hooks_of_every_module_are_called(case):
    model, batch = case.model().double().eval(), make_batch(*BATCHES[0])
    expected, called, hooked = model(**batch).logits, set(), set()
    for name, module in model.named_modules():
        # Encoders are called stage by stage; those of speech hold the embedding of masked frames.
        if not has_weights(module) or name.endswith("audio_encoder"):
            continue
        if reads_weights(case) and any(part in name for part in READ_BY_TRANSFORMERS):
            continue
        hooked.add(name)
        hook = module.register_forward_hook(lambda *_, name=name: called.add(name))
        assert_close(model(**batch).logits, expected)
        hook.remove()
    assert called == hooked
    assert hooked


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_weights_may_lie_on_another_device(case):
    if reads_weights(case):
        pytest.skip("transformers reads weights of other modules")
    model = case.model().double().eval()
    batches = [make_batch(*lengths) for lengths in BATCHES]
    with torch.no_grad():
        expected = [model(**batch).logits for batch in batches]
        cpu_offload(model, execution_device=torch.device("cpu"))
        for batch, logits in zip(batches, expected, strict=True):
            assert_close(model(**batch).logits, logits)


def add_lora(module: nn.Module, name: str) -> None:
    config = LoraConfig(target_modules=f".*{name}", init_lora_weights=False)
    inject_adapter_in_model(config, module)


def prune_it(module: nn.Module, name: str) -> None:
    prune.random_unstructured(module.get_submodule(name), "weight", amount=0.5)


def normalise(module: nn.Module, name: str) -> None:
    part = parametrizations.weight_norm(module.get_submodule(name))
    with torch.no_grad():
        part.parametrizations.weight.original0.mul_(2)


PLACES = {
    "speech-data2vec": ("audio_encoder.feature_extractor.conv_layers.1.conv",),
    "speech": (
        "audio_encoder.feature_extractor.conv_layers.0.conv",
        "audio_encoder.encoder.layers.1.attention.q_proj",
    ),
    "text": ("text_encoder.encoder.layer.1.attention.self.value", "text_encoder.encoder.layer.0.output.dense"),
    "multi_level": tuple(
        f"coattention.frame.0.{side}_attention.{name}_proj" for side in ("audio_text", "text_audio") for name in "qkv"
    ),
}


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("change", [add_lora, prune_it, normalise])
@pytest.mark.parametrize(("case", "name"), [(case, name) for case, names in PLACES.items() for name in names])
def test_a_changed_module_changes_the_result_and_learns(case, name, change):
    model = NAMED[case].model(**{"freeze_feature_encoder": False} if "audio_encoder" in name else {}).double().eval()
    batch = make_batch(*BATCHES[0])
    before = model(**batch).logits
    change(model.model, name)
    model.double()
    outputs = model(**batch)
    assert not torch.allclose(outputs.logits, before)
    outputs.loss.backward()
    part = model.model.get_submodule(name)
    gradients = [weight.grad for weight in part.parameters() if weight.requires_grad]
    assert gradients
    assert all(gradient is not None for gradient in gradients)
    part.forward = part.forward  # from now on it is called in any case
    assert_close(model(**batch).logits, outputs.logits)


def test_weights_of_other_classes_are_not_joined():
    class Weight(nn.Parameter):
        """As a quantised or a sharded weight."""

    layer = nn.Linear(2, 2)
    assert is_plain_linear(layer)
    layer.weight = Weight(layer.weight.detach())
    assert is_unchanged(layer)
    assert not is_plain_linear(layer)
    assert not is_plain_linear(nn.Linear(2, 2, bias=False))
