"""Pushing to a local server that imitates the Hub."""

import json
import os
import re
import shutil
from pathlib import Path

import emofusion
import pytest
import soundfile
import torch
from emofusion.hub.push import address_card, format_size, push_to_hub
from huggingface_hub import ModelCard, constants
from safetensors.torch import load_file
from testing_fresh import run_fresh
from testing_hub_server import TOKEN, HubServer
from testing_model_folder import LABELS, make_adapter, make_model_folder

# The Hub's client passes files to its HTTP library in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

SCRIPT = Path(emofusion.__file__).parent / "scripts" / "push_to_hub.py"
REPO = "someone/angry"
# What a push leaves in the folder.
KEPT = ("predictions.jsonl", "splits.json", "seed-1", "checkpoint-3")

RUN = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"

LOAD = """
import re
import sys

sys.modules["emofusion"] = None
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForAudioClassification, AutoProcessor

repo_id, sha = sys.argv[1:]
from_there = {"trust_remote_code": True, "revision": sha}
processor = AutoProcessor.from_pretrained(repo_id, **from_there)
inputs = processor(audio="recording.wav", text="hello there", return_tensors="pt")
with torch.no_grad():
    embedding = AutoModel.from_pretrained(repo_id, **from_there)(**inputs).embedding
    logits = AutoModelForAudioClassification.from_pretrained(repo_id, **from_there)(**inputs).logits
save_file({"embedding": embedding, "logits": logits}, "loaded.safetensors")
page = open(hf_hub_download(repo_id, "README.md")).read()
exec(re.search("```python(.*?)```", page, re.DOTALL).group(1))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run, with its model and processor."""
    folder = tmp_path_factory.mktemp("runs") / "cross_attention"
    model, processor = make_model_folder(folder)
    return folder, model, processor


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the folder, for one test."""
    return shutil.copytree(made[0], tmp_path / "runs" / "cross_attention")


@pytest.fixture
def logged():
    """The lines that were logged."""
    return []


@pytest.fixture
def push(hub, logged):
    def run(folder, repo_id=REPO, **options):
        return push_to_hub(folder, repo_id, log=lambda text: logged.extend(text.splitlines()), **options)

    return run


def history(hub, repo_id=REPO, branch="main"):
    return hub.repos["model", repo_id].branches[branch]


def test_a_pushed_model_loads_by_its_id_where_emofusion_is_not_installed(made, tmp_path):
    source, model, processor = made
    soundfile.write(tmp_path / "recording.wav", 0.1 * torch.randn(4000).numpy(), 16000, subtype="FLOAT")
    with HubServer() as hub:
        environment = {name: None for name in os.environ if name.endswith("_CACHE")} | {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        }

        def run(code, *arguments):
            done = run_fresh(code, *arguments, cwd=tmp_path, **environment)
            assert done.returncode == 0, done.stderr[-3000:]
            return done.stdout

        said = run(RUN, SCRIPT, source, REPO)
        initial, commit, pinned = history(hub)
        printed = run(LOAD, REPO, commit.sha)
    assert hub.repos["model", REPO].private
    assert set(commit.files) - {".gitattributes"} == {file.name for file in source.iterdir() if file.name not in KEPT}
    unchanged = commit.files.keys() - initial.files.keys() - {"README.md"}
    assert all(commit.files[name] == (source / name).read_bytes() for name in unchanged)
    assert {name for name in pinned.files if pinned.files[name] != commit.files[name]} == {"README.md"}
    assert f'"{REPO}", revision="{commit.sha}", trust_remote_code=True' in pinned.files["README.md"].decode()
    assert f"commit/{commit.sha}\n" in said
    assert said.index("model.safetensors") < said.index("commit/")
    inputs = processor(audio=tmp_path / "recording.wav", text="hello there", return_tensors="pt")
    with torch.no_grad():
        expected = {"embedding": model.base_model(**inputs).embedding, "logits": model(**inputs).logits}
    loaded = load_file(tmp_path / "loaded.safetensors")
    torch.testing.assert_close(loaded, expected, rtol=1e-6, atol=1e-6)
    assert all(label in printed for label in LABELS)  # by the example of the page


def test_the_plan_is_logged_before_anything_is_sent(folder, hub):
    def log(text):
        assert not any(request.startswith(("POST", "PUT")) for request in hub.requests) or "commit/" in text
        logged.append(text)

    logged = []
    push_to_hub(folder, REPO, log=log)
    plan = logged[0].splitlines()
    assert plan[0] == f"To {REPO} (private, new), branch main:"
    sizes = {line.split()[-1]: line.split()[:2] for line in plan if line.startswith("  ")}
    weights = (folder / "model.safetensors").stat().st_size
    assert sizes["model.safetensors"] == format_size(weights).split()
    for name in ("predictions.jsonl", "splits.json"):
        assert f"{name} (ids, speakers and labels of the corpus)" in plan[-1]
    assert "seed-1 (a run of its own)" in plan[-1]
    assert "checkpoint-3 (a checkpoint to resume from)" in plan[-1]
    assert "Trained on my corpus, which is not sent. Its licence: CC BY 4.0." in plan
    assert [commit.message for commit in history(hub)] == [
        "initial commit",
        "Upload cross_attention",
        "Pin the revision in the card",
    ]


def test_the_folder_does_not_change(folder, push):
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    push(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before


def test_a_dry_run_logs_the_same_plan_and_sends_nothing(folder, hub, push, logged):
    assert push(folder, dry_run=True) is None
    dry = list(logged)
    assert not hub.repos
    push(folder)
    assert logged[len(dry) : 2 * len(dry)] == dry


@pytest.mark.parametrize("state", ["no token", "no network"])
def test_a_dry_run_needs_no_hub(folder, push, logged, hub, monkeypatch, state):
    if state == "no token":
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    push(folder, dry_run=True)
    assert "model.safetensors" in "".join(logged)


def test_a_second_push_replaces_the_files_of_the_first(folder, hub, push, logged):
    files = {"model-00001-of-00002.safetensors": "x", "model.safetensors.index.json": "{}", "pooling_of_old.py": ""}
    hub.add(REPO, private=True, **files, **{"NOTES.md": "mine", "README.md": "old"})
    push(folder)
    *_, commit, _ = history(hub)
    assert not files.keys() & commit.files.keys()
    assert commit.files["NOTES.md"] == b"mine"
    assert f"Removed from the repository: {', '.join(sorted(files))}." in logged
    sent = len([request for request in hub.requests if request.startswith("PUT")])
    push(folder)
    assert len([request for request in hub.requests if request.startswith("PUT")]) == sent
    assert len(history(hub)) == 5


def test_a_branch_is_created(folder, hub, push):
    push(folder, revision="experiment", commit_message="Try this")
    assert len(history(hub)) == 1
    assert history(hub, branch="experiment")[1].message == "Try this"


def test_a_name_without_owner_is_in_my_account(folder, hub, push):
    push(folder, "angry")
    assert f'"{REPO}", revision=' in history(hub)[-1].files["README.md"].decode()


@pytest.mark.parametrize("private", [True, False])
def test_a_repository_has_the_intended_visibility(folder, hub, push, private):
    push(folder, private=private)
    assert hub.repos["model", REPO].private is private
    commits = len(history(hub))
    with pytest.raises(ValueError, match=r"is public, so everybody|is private: make it public"):
        push(folder, private=not private)
    assert hub.repos["model", REPO].private is private
    assert len(history(hub)) == commits


def test_adapters_need_a_base_on_the_hub(folder, hub, push, logged):
    base = folder / "base"
    base.mkdir()
    make_adapter(folder, base)
    with pytest.raises(ValueError, match="is not a repository of the Hub: publish that folder first"):
        push(folder)
    with pytest.raises(OSError, match="The Hub has no someone/base"):
        push(folder, base_model="someone/base")
    assert ("model", REPO) not in hub.repos
    head = hub.add("someone/base").find("main").sha
    commit = push(folder, base_model="someone/base")
    files = history(hub)[-1].files
    config = json.loads(files["adapter_config.json"])
    assert (config["base_model_name_or_path"], config["revision"]) == ("someone/base", head)
    assert json.loads(files["results.json"])["adapter"]["base_model"] == "someone/base"
    page = files["README.md"].decode()
    assert ModelCard(page).data.base_model == ["someone/base"]
    assert f'AutoProcessor.from_pretrained("{REPO}", revision="{commit.oid}", trust_remote_code=True)' in page
    pin = f'revision="{head}", adapter_kwargs={{"revision": "{commit.oid}"}}, trust_remote_code=True'
    assert f'AutoModelForAudioClassification.from_pretrained("{REPO}", {pin})' in page
    assert not any(str(base).encode() in content for content in files.values())
    assert any("base (the base model of adapters, a repository of its own)" in line for line in logged)


def test_adapters_keep_the_commit_of_their_base(folder, push, hub):
    make_adapter(folder, "someone/base")
    base = hub.add("someone/base")
    head = base.find("main").sha
    base.commit("main", "later", {})
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"revision": head}))
    push(folder)
    assert json.loads(history(hub)[-1].files["adapter_config.json"]) == config | {"revision": head}


def test_a_push_whose_card_cannot_be_pinned_names_the_commit(folder, hub, push):
    hub.add(REPO, private=True)
    original = hub.repos["model", REPO].commit

    def commit(*arguments):
        hub.failures["POST .*preupload"] = (403, "")
        return original(*arguments)

    hub.repos["model", REPO].commit = commit
    with pytest.raises(
        OSError, match=r"^All files are in http.*/commit/\w+, but its card is not pinned to it: The token"
    ):
        push(folder)
    assert len(history(hub)) == 2


CARD = """---
license: mit
custom: kept
---

# old

Text with "old" and revision="main".

```python
model = Auto.from_pretrained('old', revision="main", trust_remote_code=True)
recogniser = pipeline("emotion-recognition", model="old", trust_remote_code=True, transcriber="openai/whisper-tiny")
```

```bash
echo model="old"
```
"""


def test_only_the_examples_of_a_card_are_pinned():
    assert address_card(CARD, "me/new") == CARD.replace("# old", "# new").replace(
        "'old', revision=\"main\"", '"me/new"'
    ).replace('model="old", trust', 'model="me/new", trust')
    pinned = address_card(address_card(CARD, "me/new", revision="a" * 40), "me/new", revision="b" * 40)
    assert pinned.count(f', revision="{"b" * 40}", trust_remote_code=True') == 2
    assert "a" * 40 not in pinned


ERRORS = {
    "POST /api/repos/create": (403, "may not write to someone/angry"),
    "POST .*validate-yaml": (400, "refuses the files for someone/angry: Invalid metadata in README.md."),
    "POST .*preupload": (404, "has no someone/angry"),
    "POST .*commit": (412, "changed by another commit in the meantime"),
    "POST .*batch": (413, "too large"),
    "PUT /large": (403, "may not write"),
    "GET /api/models/": (429, "limits the number of requests"),
    "POST .*/commit/": (507, "answered 507: Out of space"),
}


@pytest.mark.parametrize("request_line", ERRORS)
def test_an_error_of_the_hub_is_one_sentence(folder, hub, push, request_line):
    status, sentence = ERRORS[request_line]
    hub.failures[request_line] = (status, "Out of space")
    with pytest.raises(OSError, match=re.escape(sentence)) as caught:
        push(folder)
    assert "\n" not in str(caught.value)
    assert ("model", REPO) not in hub.repos or len(history(hub)) == 1


def test_an_error_before_the_first_request_is_one_sentence(folder, hub, push, monkeypatch):
    with pytest.raises(ValueError, match="not the name of a repository"):
        push(folder, "some one/angry")
    with pytest.raises(OSError, match="may not write to another/angry"):
        push(folder, "another/angry")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(OSError, match="does not know the token"):
        push(folder, "angry")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OSError, match="There is no token"):
        push(folder)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(OSError, match="HF_HUB_OFFLINE is set"):
        push(folder)
    assert not hub.repos


def test_a_hub_that_cannot_be_reached_is_named(folder, hub, push):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(OSError, match=r"cannot be reached") as caught:
        push(folder)
    assert "\n" not in str(caught.value)
