"""Checkpoints of different versions of emofusion in one process: each runs the code of its folder."""

import json
import shutil

import pytest
import torch
from emofusion.configuration.configuration_emofusion import FORMAT
from emofusion.hub import write_bundle
from emofusion.processing import EmoFusionProcessor
from safetensors.torch import load_file, save_file
from testing_common import CASES
from testing_hub_server import HubServer, sha256
from transformers import AutoConfig, AutoModelForAudioClassification, BertTokenizer, Wav2Vec2FeatureExtractor

NAMES = ("cross_attention", "late_fusion")
LABELS = {0: "calm", 1: "angry", 2: "happy"}
SECONDS = 0.125
# Changes of the later version, under the same names of files and classes: the logits are doubled, recordings are cut, and
# the format number is higher.
CHANGES = {
    "modeling_emofusion.py": ('"logits": self.classifier(', '"logits": 2 * self.classifier('),
    "processing_emofusion.py": ("self.max_seconds = max_seconds", f"self.max_seconds = {SECONDS}"),
    "configuration_emofusion.py": (f"\nFORMAT = {FORMAT}\n", f"\nFORMAT = {FORMAT + 1}\n"),
}

LOAD = """
import json
import os
import sys

endpoint, sources = json.loads(sys.argv[1])
os.environ |= {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HOME": os.getcwd()}
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForAudioClassification, AutoProcessor, pipeline

waveform = load_file("waveform.safetensors")["waveform"].numpy()
utterance = {"audio": {"array": waveform, "sampling_rate": 16000}, "text": "hello there"}
loaded = []
for source, revision in sources:
    there = {"trust_remote_code": True} | ({"revision": revision} if revision else {})
    loaded.append((
        AutoProcessor.from_pretrained(source, **there),
        AutoModelForAudioClassification.from_pretrained(source, **there),
        AutoModel.from_pretrained(source, **there),
        pipeline("emotion-recognition", model=source, **there),
    ))
for number, (processor, model, base, recognise) in enumerate(loaded):
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    batch = processor(audio=waveform, text="hello there", sampling_rate=16000)
    with torch.no_grad():
        outputs = {"logits": model(**batch).logits, "embedding": base(**batch).embedding}
    outputs |= {entry["label"]: torch.tensor([entry["score"]]) for entry in recognise(utterance)}
    save_file(outputs, f"{number}.safetensors")
print(len(loaded))
"""

ALONE = """
from transformers import AutoModelForAudioClassification
folder = "later/cross_attention"
print(type(AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True)).__module__)
try:
    AutoModelForAudioClassification.from_pretrained("damaged", trust_remote_code=True)
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """The folder of `earlier/<name>` and `later/<name>`, and the models and the processor of the earlier version."""
    root, models = tmp_path_factory.mktemp("versions"), {}
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "there"]
    tokenizer = BertTokenizer(vocab={token: index for index, token in enumerate(vocabulary)})
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(), tokenizer)
    for name in NAMES:
        folder = root / "earlier" / name
        models[name] = next(case for case in CASES if case.variant == name).model(num_labels=3, id2label=LABELS)
        models[name].save_pretrained(folder)
        processor.save_pretrained(folder)
        write_bundle(models[name], folder, processor)
        later = shutil.copytree(folder, root / "later" / name)
        for file, (before, after) in CHANGES.items():
            text = (later / file).read_text(encoding="utf-8")
            assert text.count(before) == 1, file
            (later / file).write_text(text.replace(before, after), encoding="utf-8")
        config = json.loads((later / "config.json").read_text())
        (later / "config.json").write_text(json.dumps(config | {"emofusion_format": FORMAT + 1}))
    save_file({"waveform": 0.1 * torch.randn(4000)}, root / "waveform.safetensors")
    return root, models, processor


def expected(checkpoints, version: str, name: str) -> dict[str, torch.Tensor]:
    """Return the outputs of a version for the utterance, computed with the code of this one."""
    root, models, processor = checkpoints
    waveform, model = load_file(root / "waveform.safetensors")["waveform"].numpy(), models[name]
    scale = 1
    if version == "later":
        scale, waveform = 2, waveform[: int(SECONDS * 16000)]
    batch = processor(audio=waveform, text="hello there", sampling_rate=16000)
    # The members of a late fusion are of that version too, except those of transformers.
    members = [member for member in getattr(model.base_model, "members", ()) if hasattr(member, "model_class")]
    with torch.no_grad():
        for weight in (weight for member in members for weight in member.classifier.parameters()):
            weight.mul_(scale)
        logits, embedding = scale * model(**batch).logits, model.base_model(**batch).embedding
        for weight in (weight for member in members for weight in member.classifier.parameters()):
            weight.div_(scale)
    scores = logits.softmax(-1)[0]
    return {"logits": logits, "embedding": embedding} | {LABELS[number]: scores[number, None] for number in LABELS}


def test_the_versions_have_different_outputs(checkpoints):
    for name in NAMES:
        earlier, later = (expected(checkpoints, version, name) for version in ("earlier", "later"))
        assert all((earlier[part] - later[part]).abs().max() > 1e-3 for part in earlier)


@pytest.fixture(scope="module")
def loaded(checkpoints, run_python):
    """What one process loaded: (version, name, whether from the Hub), by the number of its outputs."""
    root, sources, what = checkpoints[0], [], []
    for version in ("earlier", "later", "earlier"):
        sources += [(f"{version}/{name}", None) for name in NAMES]
        what += [(version, name, False) for name in NAMES]
    with HubServer() as hub:
        repo = hub.add("someone/angry")
        for version in ("later", "earlier"):
            files = {file.name: file.read_bytes() for file in (root / version / NAMES[0]).iterdir()}
            hub.large |= {sha256(content): content for content in files.values()}
            sources.append(("someone/angry", repo.commit("main", version, files).sha))
            what.append((version, NAMES[0], True))
        assert run_python(LOAD, json.dumps((hub.endpoint, sources)), cwd=root) == f"{len(sources)}\n"
    return what


@pytest.mark.parametrize("from_hub", [False, True], ids=["folders of one name", "revisions of one repository"])
def test_each_checkpoint_runs_its_own_code(checkpoints, loaded, from_hub):
    numbers = [number for number, (*_, hub) in enumerate(loaded) if hub == from_hub]
    assert {loaded[number][0] for number in numbers} == {"earlier", "later"}
    for number in numbers:
        version, name, _ = loaded[number]
        outputs = load_file(checkpoints[0] / f"{number}.safetensors")
        torch.testing.assert_close(outputs, expected(checkpoints, version, name), rtol=1e-5, atol=1e-6)


def test_installed_code_reads_its_format_and_refuses_a_newer_one(checkpoints):
    root, models, _ = checkpoints
    for name in NAMES:
        model = AutoModelForAudioClassification.from_pretrained(root / "earlier" / name, trust_remote_code=True)
        assert type(model) is type(models[name])
        torch.testing.assert_close(model.state_dict(), models[name].state_dict(), rtol=0, atol=0)
        for loader in (AutoConfig, AutoModelForAudioClassification):
            with pytest.raises(
                ValueError, match=rf"later/\w+ has the emofusion_format {FORMAT + 1}, .* do not import emofusion"
            ):
                loader.from_pretrained(root / "later" / name, trust_remote_code=True)


def test_the_advice_of_the_refusal_works(checkpoints, run_python):
    root = checkpoints[0]
    damaged = shutil.copytree(root / "earlier" / "cross_attention", root / "damaged")
    weights = load_file(damaged / "model.safetensors")
    del weights["classifier.bias"]
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    module, refusal = run_python(ALONE, cwd=root, without_emofusion=False).splitlines()
    assert module.startswith("transformers_modules.")
    assert refusal.startswith(
        "damaged lacks 1 weight of CrossAttentionFusionForSequenceClassification (classifier.bias)"
    )
