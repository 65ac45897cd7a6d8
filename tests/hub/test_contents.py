"""Contents of a folder that are published, and files that stop a push."""

import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from emofusion.evaluation.results import RunResults
from emofusion.hub import write_bundle, write_card
from emofusion.hub.contents import collect_contents
from emofusion.processing import EmoFusionProcessor
from safetensors.torch import load_file, save_file
from testing_common import CASES, IMAGE
from testing_model_folder import change_results, make_adapter
from transformers import BertTokenizer, ViTImageProcessorPil, Wav2Vec2FeatureExtractor

REFUSED = {
    "Ses01F_impro01_F000.wav": "a recording",
    "dia0_utt0.MP4": "a video",
    "transcripts.txt": "able to hold transcripts",
    "rows.jsonl": "able to hold transcripts",
    "data.arrow": "able to hold transcripts",
    "pytorch_model.bin": "able to hold a pickle, which runs code when it is loaded",
    "weights.PT": "able to hold a pickle, which runs code when it is loaded",
    "notes.md": "not needed by a model",
    "secret.py": "code that the model does not import",
    "face.png": "a picture that README.md does not show",
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unknown_file_stops_the_push(folder, name):
    if name.endswith("png"):
        shutil.copy(folder / "confusion_matrix.png", folder / name)
    else:
        (folder / name).write_text("x = 1\n")
    with pytest.raises(ValueError, match=re.escape(f"{name} is {REFUSED[name]}. Move them out")):
        collect_contents(folder)


def test_many_refused_files_are_one_sentence(folder):
    for number in range(12):
        (folder / f"{number:02}.wav").touch()
    with pytest.raises(ValueError, match=r"00.wav is a recording.*04.wav is a recording, and so are 7 more\. Move"):
        collect_contents(folder)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "confusion_matrix.png", "tokenizer.json", "fusion_pooling.py", "README.md"]
)
@pytest.mark.parametrize("disguise", ["pickle", "zip"])
def test_a_pickle_is_found_under_any_name(folder, name, disguise):
    if disguise == "pickle":
        (folder / name).write_bytes(pickle.dumps({"weights": [1.0]}))
    else:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("data.pkl", pickle.dumps(1))
    with pytest.raises(ValueError, match=rf"{name} is not readable as the \w+ that its name says"):
        collect_contents(folder)


def test_links_and_folders_are_refused(folder, tmp_path):
    outside = tmp_path / "vocab.txt"
    outside.write_text("[PAD]\n")
    (folder / "vocab.txt").symlink_to(outside)
    (folder / "merges.txt").symlink_to(tmp_path / "nowhere")
    (folder / "wav").mkdir()
    with pytest.raises(ValueError, match="cannot be published") as caught:
        collect_contents(folder)
    assert "vocab.txt is a link that leads out of the folder" in str(caught.value)
    assert "merges.txt is a link that leads out of the folder" in str(caught.value)
    assert "wav is a folder" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no weights"),
        ("README.md", "has no README.md"),
        ("fusion_pooling.py", "is missing: emofusion.hub.write_bundle"),
    ],
)
def test_an_incomplete_folder_is_refused(folder, name, sentence):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(sentence)):
        collect_contents(folder)


def test_shards_must_match_their_index(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(weights)}
    for shard in set(shards.values()):
        part = {name: value for name, value in weights.items() if shards[name] == shard}
        save_file(part, folder / shard, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": shards}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00002-of-00002.safetensors" in collect_contents(folder).files
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(OSError, match=r"has no model-00002-of-00002.safetensors, which its .* names"):
        collect_contents(folder)


@pytest.mark.parametrize("card", ["# No metadata\n", "---\n- a\n- list\n---\n# Card\n", "---\na: [\n---\n# Card\n"])
def test_a_card_without_readable_metadata_is_refused(folder, card):
    (folder / "README.md").write_text(card)
    with pytest.raises(ValueError, match=r"README.md has (no )?metadata") as caught:
        collect_contents(folder)
    assert "\n" not in str(caught.value)


def test_paths_of_this_machine_are_replaced(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_name_or_path": "/home/me/wav2vec2/"}))
    change_results(folder, recipe={"augmentation": {"noise": {"folder": "/data/musan/noise"}}, "note": "and/or"})
    contents = collect_contents(folder)
    assert json.loads(contents.read("config.json")) == config | {"_name_or_path": "wav2vec2"}
    assert json.loads(contents.read("results.json"))["recipe"] == {
        "augmentation": {"noise": {"folder": "noise"}},
        "note": "and/or",
    }
    assert "results.json: 'noise' instead of '/data/musan/noise'." in contents.notes


@pytest.mark.parametrize("secret", [f"hf_{'a1' * 17}", f"{Path.home()}/corpora/IEMOCAP"])
def test_a_token_or_the_home_of_the_user_stops_the_push(folder, secret):
    with (folder / "README.md").open("a") as card:
        card.write(f"\nTrained with {secret}.\n")
    with pytest.raises(ValueError, match=r"README.md, line \d+, has a (token|path)"):
        collect_contents(folder)


@pytest.mark.parametrize("base_model", ["someone/base", "/somewhere/base", "a b"])
def test_a_base_model_needs_adapters_and_a_valid_name(folder, base_model):
    if base_model != "someone/base":
        make_adapter(folder, folder / "base")
    with pytest.raises(ValueError, match=r"has no adapters|is not the name of a repository"):
        collect_contents(folder, base_model)


FIRST = {case.variant: case for case in reversed(CASES)}


@pytest.mark.parametrize("variant", FIRST)
def test_every_variant_can_be_published_as_saved(tmp_path, variant):
    model = FIRST[variant].model()
    modalities = list(model.config.modalities)
    processor = EmoFusionProcessor(
        Wav2Vec2FeatureExtractor() if "audio" in modalities else None,
        BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "so": 4})
        if "text" in modalities
        else None,
        ViTImageProcessorPil(size={"height": IMAGE, "width": IMAGE}) if "video" in modalities else None,
    )
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    processor.save_pretrained(tmp_path)
    write_bundle(model, tmp_path, processor)
    write_card(tmp_path, RunResults(labels=["a", "b", "c"], modalities=modalities))
    contents = collect_contents(tmp_path)
    assert set(contents.files) == {file.name for file in tmp_path.iterdir()}
    assert not contents.notes
