"""Adapters and their base, pushed as two repositories and loaded by the example of the card."""

import os

import pytest
import soundfile
import torch
import transformers
from emofusion.evaluation.results import AdapterMetadata, RunResults
from emofusion.hub import push_to_hub, write_bundle, write_card
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from packaging.version import Version
from safetensors.torch import load_file
from testing_fresh import run_fresh
from testing_hub_server import TOKEN, HubServer, connect
from testing_model_folder import LABELS, make_model_folder

# The Hub's client passes files to its HTTP library in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
# transformers 5.17 loads no completely trained modules; our loading raises an error there.
LOADS_ALL = Version(transformers.__version__) >= Version("5.23")

LOAD = """
import re
import sys

sys.modules["emofusion"] = None
import torch
from huggingface_hub import hf_hub_download
from peft import AutoPeftModelForSequenceClassification
from safetensors.torch import save_file

loads_all, repo_id, sha = sys.argv[1:]
example = re.search("```python(.*?)```", open(hf_hub_download(repo_id, "README.md")).read(), re.DOTALL).group(1)
if loads_all == "False":
    example = "\\n".join(line for line in example.splitlines() if not line.startswith(("model =", "print")))
exec(example)
with torch.no_grad():
    auto = AutoPeftModelForSequenceClassification.from_pretrained(repo_id, revision=sha, trust_remote_code=True)
    outputs = {"peft": auto.eval()(**inputs).logits}
    if loads_all == "True":
        outputs["page"] = model(**inputs).logits
save_file(outputs, "outputs.safetensors")
"""


def test_the_example_of_adapters_loads_the_pinned_base(tmp_path, monkeypatch):
    base, folder = tmp_path / "lora" / "base", tmp_path / "lora"
    model, processor = make_model_folder(base)
    model.name_or_path = str(base)
    adapted = put_adapters(model, Lora(rank=2), find_targets(model, Lora()))
    for weight in adapted.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(folder)
    processor.save_pretrained(folder)
    write_bundle(None, folder, processor)
    adapter = AdapterMetadata(method="lora", base_model=str(base))
    write_card(folder, RunResults(labels=LABELS, modalities=["audio", "text"], adapter=adapter))
    soundfile.write(tmp_path / "recording.wav", 0.1 * torch.randn(4000).numpy(), 16000, subtype="FLOAT")
    with HubServer() as hub:
        connect(monkeypatch, hub)
        push_to_hub(base, "someone/base")
        commit = push_to_hub(folder, "someone/lora", base_model="someone/base")
        hub.repos["model", "someone/base"].commit(
            "main", "remove everything", {}
        )  # the newest commit is never requested
        environment = {name: None for name in os.environ if name.endswith("_CACHE")} | {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "0",
        }
        done = run_fresh(LOAD, LOADS_ALL, "someone/lora", commit.oid, cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr[-3000:]
    utterance = {"audio": tmp_path / "recording.wav", "text": "I will be there in a minute."}
    with torch.no_grad():
        expected = adapted.eval()(**processor(**utterance, return_tensors="pt")).logits
    outputs = load_file(tmp_path / "outputs.safetensors")
    assert set(outputs) == ({"peft", "page"} if LOADS_ALL else {"peft"})
    for way, logits in outputs.items():
        torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-6, msg=way)
