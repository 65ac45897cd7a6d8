"""Checkpoints that are incomplete, pickled or of another format are refused."""

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from emofusion.configuration.configuration_emofusion import FORMAT
from emofusion.modeling.fusion_late_members import load_member
from emofusion.modeling.modeling_cross_attention import (
    CrossAttentionFusionForSequenceClassification,
    CrossAttentionFusionModel,
)
from emofusion.modeling.modeling_late_fusion import LateFusionForSequenceClassification
from emofusion.modeling.modeling_unimodal import UnimodalForSequenceClassification
from emofusion.training.adapters.base import find_source
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from testing_common import BERT, CASES
from testing_hub_server import HubServer, connect, sha256
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
)

CLASSIFIER = CrossAttentionFusionForSequenceClassification
INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a classifier."""
    folder = tmp_path_factory.mktemp("saved")
    next(case for case in CASES if case.name == "cross_attention").model().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the folder, for one test."""
    return shutil.copytree(saved, tmp_path / "model")


@pytest.fixture
def no_pickles(monkeypatch, tmp_path):
    """Write pickles that record when they are opened; the test fails if one was."""
    opened = tmp_path / "opened"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(opened),)

    def note(*arguments, **options):
        raise AssertionError("A pickle was opened.")

    monkeypatch.setattr(torch, "load", note)
    yield lambda path: path.write_bytes(pickle.dumps(Evil()))
    assert not opened.exists()


def change_config(folder: Path, **fields) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def change_weights(folder: Path, lost: str | None = None, **more: torch.Tensor) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path) | more
    weights = {name: value for name, value in weights.items() if name != lost}
    save_file(weights, path, metadata={"format": "pt"})


def lead_to_a_pickle(folder: Path, how: str, write_pickle) -> None:
    """Replace the weights by a pickle, and let the other files of the folder name it."""
    weights = list(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    if how == "only a pickle":
        write_pickle(folder / "pytorch_model.bin")
    elif how == "index":
        write_pickle(folder / "pytorch_model.bin")
        index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "pytorch_model.bin")}
        (folder / INDEX).write_text(json.dumps(index))
    else:
        write_pickle(folder / "adapter_model.bin")
        change_config(folder, transformers_weights="adapter_model.bin")
    change_config(folder, dtype=None)  # transformers would look it up in the weights before it builds the model


@pytest.mark.parametrize("how", ["only a pickle", "index", "configuration"])
@pytest.mark.parametrize("loader", [CLASSIFIER, AutoModel, AutoModelForAudioClassification])
def test_a_pickle_is_never_opened(folder, no_pickles, loader, how):
    lead_to_a_pickle(folder, how, no_pickles)
    error, message = (
        (OSError, "safetensors") if how == "only a pickle" else (ValueError, r"model\.bin, which is not op")
    )
    with pytest.raises(error, match=message) as caught:
        loader.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_opened_on_demand(folder, no_pickles):
    lead_to_a_pickle(folder, "only a pickle", no_pickles)
    with pytest.raises(ValueError, match=r"from safetensors only: leave out use_safetensors=False\.$"):
        AutoModelForAudioClassification.from_pretrained(folder, use_safetensors=False)
    with pytest.raises(ValueError, match=r"pytorch_model\.bin, which is not opened"):
        CLASSIFIER.from_pretrained(
            folder / "pytorch_model.bin", config=CLASSIFIER.config_class.from_pretrained(folder)
        )


def test_pickles_of_encoders_and_members_are_never_opened(tmp_path, no_pickles):
    folder = tmp_path / "encoder"
    BertModel(BertConfig(**{name: value for name, value in BERT.items() if name != "model_type"})).save_pretrained(
        folder
    )
    lead_to_a_pickle(folder, "index", no_pickles)
    with pytest.raises(ValueError, match=r"pytorch_model\.bin, which is not opened"):
        UnimodalForSequenceClassification.from_encoders_pretrained(text=str(folder), modality="text")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin, which is not opened"):
        LateFusionForSequenceClassification.from_members_pretrained([folder])


@pytest.fixture
def adapters(folder, tmp_path):
    """A folder of adapters of the classifier."""
    model = CLASSIFIER.from_pretrained(folder)
    put_adapters(model, Lora(rank=2), find_targets(model, Lora())).save_pretrained(tmp_path / "adapters")
    return tmp_path / "adapters"


@pytest.mark.parametrize("loader", [CLASSIFIER, AutoModelForAudioClassification])
def test_a_pickle_of_a_base_of_adapters_is_never_opened(adapters, folder, no_pickles, loader):
    lead_to_a_pickle(folder, "index", no_pickles)
    with pytest.raises(ValueError, match=rf"{re.escape(str(folder))} has weights in pytorch_model\.bin"):
        loader.from_pretrained(adapters)


@pytest.fixture
def hub(monkeypatch):
    """A local Hub that this process loads from."""
    with HubServer() as server:
        connect(monkeypatch, server)
        template = f"{server.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        # The Hub's service that converts pickles to safetensors is not imitated.
        monkeypatch.setenv("DISABLE_SAFETENSORS_CONVERSION", "1")
        yield server


def put_on_hub(hub: HubServer, folder: Path) -> str:
    """Return a name that no other test uses, because the client caches commits."""
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    hub.large |= {sha256(content): content for content in files.values()}
    name = f"someone/{folder.parent.name}"
    hub.add(name).commit("main", "All of it", files)
    return name


def test_a_pickle_of_adapters_is_never_opened(adapters, folder, no_pickles, hub, tmp_path):
    model = CLASSIFIER.from_pretrained(folder)
    (adapters / "adapter_model.safetensors").unlink()
    no_pickles(adapters / "adapter_model.bin")
    for source in (str(adapters), put_on_hub(hub, adapters)):
        with pytest.raises(OSError, match=r"adapter_model\.safetensors"):
            model.load_adapter(source, adapter_kwargs={"cache_dir": tmp_path / "cache"})
    assert not [request for request in hub.requests if ".bin" in request]


@pytest.mark.parametrize("how", ["only a pickle", "index", "configuration"])
def test_a_pickle_of_the_hub_is_not_downloaded(folder, no_pickles, hub, tmp_path, how):
    lead_to_a_pickle(folder, how, no_pickles)
    repo_id = put_on_hub(hub, folder)
    for loader in (AutoModelForAudioClassification, CLASSIFIER):
        with pytest.raises((OSError, ValueError), match=r"safetensors"):
            loader.from_pretrained(repo_id, cache_dir=tmp_path / "cache")
    assert any("config.json" in request for request in hub.requests)
    assert not [request for request in hub.requests if ".bin" in request]


def test_shards_of_a_revision_load_from_the_hub(folder, hub, tmp_path):
    model = CLASSIFIER.from_pretrained(folder)
    shutil.rmtree(folder)
    model.save_pretrained(folder, max_shard_size="20kB")
    assert (folder / INDEX).is_file()
    repo_id = put_on_hub(hub, folder)
    repo = hub.repos["model", repo_id]
    sha = repo.find("main").sha
    repo.commit("main", "Nothing is left", {})
    for loader in (AutoModelForAudioClassification, CLASSIFIER):
        assert_same(loader.from_pretrained(repo_id, revision=sha, cache_dir=tmp_path / "cache"), model)


def assert_same(first, second) -> None:
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)


LOST = "model.audio_encoder.encoder.layer_norm.bias"


@pytest.mark.parametrize("loader", [CLASSIFIER, AutoModelForAudioClassification, AutoModelForSequenceClassification])
@pytest.mark.parametrize(
    ("lost", "more", "message"),
    [
        (LOST, {}, rf"lacks 1 weight of {CLASSIFIER.__name__} \({LOST}\): load it"),
        (None, {"spare": torch.ones(1)}, rf"has 1 that {CLASSIFIER.__name__} does not have \(spare\): load it"),
        (LOST, {"model.spare": torch.ones(1)}, rf"\({LOST}\) and has 1 that \w+ does not have \(model\.spare\): "),
    ],
)
def test_a_missing_weight_is_an_error(folder, loader, lost, more, message):
    change_weights(folder, lost, **more)
    with pytest.raises(
        ValueError, match=rf"^{re.escape(str(folder))} .*{message}.*output_loading_info=True"
    ) as caught:
        loader.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    _, info = loader.from_pretrained(folder, output_loading_info=True)  # no error with loading info
    assert (set(info["missing_keys"]), set(info["unexpected_keys"])) == ({lost} - {None}, set(more))


def test_a_model_without_a_head_ignores_only_the_head_of_a_checkpoint(folder):
    assert_same(AutoModel.from_pretrained(folder), CLASSIFIER.from_pretrained(folder).model)
    change_weights(folder, **{"model.spare": torch.ones(1)})
    with pytest.raises(ValueError, match=r"has 1 that CrossAttentionFusionModel does not have \(model\.spare\)"):
        AutoModel.from_pretrained(folder)


def test_a_new_head_needs_an_argument(folder, tmp_path):
    CrossAttentionFusionModel.from_pretrained(folder).save_pretrained(tmp_path / "headless")
    with pytest.raises(ValueError, match=r"lacks 2 weights .*\(classifier\.bias, classifier\.weight\)"):
        AutoModelForAudioClassification.from_pretrained(tmp_path / "headless")
    model, info = AutoModelForAudioClassification.from_pretrained(
        tmp_path / "headless", num_labels=5, output_loading_info=True
    )
    assert model.classifier.out_features == 5
    assert set(info["missing_keys"]) == {"classifier.bias", "classifier.weight"}


def test_a_model_without_a_head_is_no_base_of_adapters(folder, tmp_path):
    CrossAttentionFusionModel.from_pretrained(folder).save_pretrained(tmp_path / "headless")
    model, _ = CLASSIFIER.from_pretrained(tmp_path / "headless", output_loading_info=True)
    assert find_source(model, str(folder)) == str(folder)
    assert find_source(model, str(tmp_path / "headless")) is None


def test_missing_weights_of_a_state_dict_are_an_error(folder):
    model = CLASSIFIER.from_pretrained(folder)
    weights = model.state_dict()
    assert_same(CLASSIFIER.from_pretrained(None, config=model.config, state_dict=dict(weights)), model)
    del weights[LOST]
    with pytest.raises(ValueError, match=r"^The state_dict lacks 1 weight "):
        CLASSIFIER.from_pretrained(None, config=model.config, state_dict=weights)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_configuration_has_its_format(case):
    config = case.config()
    written = [config.to_dict(), json.loads(config.to_json_string())]
    written += [
        member for member in written[0].get("member_configs", ()) if member["model_type"].startswith("emofusion")
    ]
    assert {fields["emofusion_format"] for fields in written} == {FORMAT}


@pytest.mark.parametrize("loader", [AutoConfig, CLASSIFIER.config_class, AutoModel, CLASSIFIER])
@pytest.mark.parametrize("number", [FORMAT + 1, "two"])
def test_a_newer_format_is_refused(folder, loader, number):
    # The format is checked before other fields.
    change_config(folder, emofusion_format=number, freeze_audio_layers={"all": True})
    message = (
        rf"has the emofusion_format {number}, and this code reads format {FORMAT}: upgrade emofusion .*trust_remote"
    )
    with pytest.raises(ValueError, match=message) as caught:
        loader.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_newer_format_of_a_member_is_refused(tmp_path):
    case = next(case for case in CASES if case.variant == "late_fusion")
    case.config().save_pretrained(tmp_path)
    members = json.loads((tmp_path / "config.json").read_text())["member_configs"]
    members[0]["emofusion_format"] = FORMAT + 1
    change_config(tmp_path, member_configs=members)
    with pytest.raises(ValueError, match=f"has the emofusion_format {FORMAT + 1}"):
        AutoConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("number", [None, 1])
def test_an_older_checkpoint_is_refused(folder, number):
    fields = json.loads((folder / "config.json").read_text())
    del fields["emofusion_format"]
    fields |= {} if number is None else {"emofusion_format": number}
    (folder / "config.json").write_text(json.dumps(fields))
    found = "no emofusion_format" if number is None else f"the emofusion_format {number}"
    for load in (AutoConfig.from_pretrained, CLASSIFIER.from_pretrained, load_member):
        message = rf"has {found}, and this code reads format {FORMAT}: train it again, or .*trust_remote"
        with pytest.raises(ValueError, match=message) as caught:
            load(str(folder))
        assert "\n" not in str(caught.value)
