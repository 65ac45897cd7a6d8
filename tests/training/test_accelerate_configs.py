import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils.fsdp_utils import fsdp2_prepare_auto_wrap_policy
from testing_common import CASES
from testing_processes import ACCELERATE, fsdp_plugin

TYPES = {
    "single_gpu_bf16": "NO",
    "ddp": "MULTI_GPU",
    "fsdp2": "FSDP",
    "deepspeed_zero2": "DEEPSPEED",
    "multi_node": "MULTI_GPU",
}


def test_accelerate_loads_each_configuration():
    found = {file.stem: load_config_from_file(str(file)) for file in ACCELERATE.glob("*.yaml")}
    assert {name: str(config.distributed_type.value) for name, config in found.items()} == TYPES
    assert {config.mixed_precision for config in found.values()} == {"bf16"}
    for name, config in found.items():
        assert (config.num_processes > 1) == (name != "single_gpu_bf16")
        assert f"recipes/accelerate/{name}.yaml" in (ACCELERATE / f"{name}.yaml").read_text("utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_model_has_layers_to_shard(case):
    model, plugin = case.model(), fsdp_plugin()
    plugin.set_auto_wrap_policy(model)
    policy = fsdp2_prepare_auto_wrap_policy(plugin, model)
    layers = [module for module in model.modules() if policy(module)]
    assert bool(layers) == (case.name not in ("speaker_resnet", "speech-wavlm"))  # which are one piece
