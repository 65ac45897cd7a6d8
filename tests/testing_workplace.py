"""A folder with small stand-ins for all paths that the pages name: recordings, models, corpora, names on the Hub."""

import io
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch
from emofusion.hub import write_bundle
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from PIL import Image
from testing_iemocap import build_iemocap
from testing_media import encode, tone
from testing_meld import make_raw
from testing_model_folder import make_model_folder
from testing_pages import ROOT
from testing_recognisers import save_whisper
from testing_training import AUDIO, TEXT
from transformers import AutoConfig, AutoModel, BertTokenizer, Wav2Vec2FeatureExtractor

DEMO = "runs/demo/cross_attention"
RATE = 16000
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "my", "parcel", "is", "lost", "good", "morning"]
# Name of a recording -> its seconds.
RECORDINGS = {
    **dict.fromkeys(("recording.wav", "good.wav", "first.wav", "second.wav", "third.wav", "interview.wav"), 0.5),
    **dict.fromkeys(("recordings/one.wav", "recordings/two.wav"), 0.5),
}
CALL_SECONDS = 17  # beyond the turn in the RTTM file of a page


def build_workplace(folder: Path) -> Path:
    """Build the folder, and return it."""
    for name, seconds in RECORDINGS.items():
        write_tone(folder / name, seconds)
    call = tone(CALL_SECONDS)
    soundfile.write(folder / "call.wav", np.stack([call, call[::-1]], axis=1), RATE)
    (folder / "calls").mkdir()
    shutil.copy(folder / "call.wav", folder / "calls" / "0041.wav")
    (folder / "turns").mkdir()
    (folder / "turns" / "0041.rttm").write_text("SPEAKER 0041 1 1.0 2.5 <NA> <NA> agent <NA> <NA>\n")
    (folder / "call.m4a").write_bytes(encode(call, "ipod", "aac"))
    (folder / "archive").mkdir()
    (folder / "archive" / "old.mp3").write_bytes(encode(tone(0.5), "mp3", "libmp3lame"))
    build_models(folder)
    (folder / "data").mkdir()
    build_iemocap(folder / "data")
    make_raw(folder / "data" / "MELD.Raw")
    for part in ("recipes", "metrics", "hub_cards"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def write_tone(path: Path, seconds: float = 0.5) -> None:
    """Write a recording, unless it exists."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(seconds), RATE)


def build_models(folder: Path) -> None:
    """Write a model wherever a page has a run, and small models in folders that have the names of large ones on the Hub."""
    model, processor = make_model_folder(folder / DEMO)
    for name in ("runs/iemocap/cross_attention", "runs/iemocap/wavfusion", "runs/lora/base", "OWNER/NAME"):
        shutil.copytree(folder / DEMO, folder / name)
    make_model_folder(folder / "runs/talk", context_layers=1, context_hidden_size=8, context_heads=2)
    model.name_or_path = "runs/lora/base"
    put_adapters(model, Lora(rank=2), find_targets(model, Lora())).save_pretrained(folder / "runs/lora")
    processor.save_pretrained(folder / "runs/lora")
    write_bundle(None, folder / "runs/lora", processor)
    shutil.copy(folder / DEMO / "results.json", folder / "runs/lora")
    save_whisper(folder / "openai/whisper-small.en", languages=())
    speech, text = folder / "facebook/wav2vec2-base", folder / "bert-base-uncased"
    torch.manual_seed(0)
    for place, config in ((speech, AUDIO), (text, TEXT)):
        AutoModel.from_config(AutoConfig.for_model(**config)).save_pretrained(place)
    Wav2Vec2FeatureExtractor().save_pretrained(speech)
    BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(text)


class LabelSequence(dict):
    """The file of labels that CMU-MOSEI publishes, in place of `h5py.File`; h5py is no dependency."""

    def __init__(self, path: str):
        values = {"intervals": [[0.0, 2.5]], "features": [[1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]]}
        super().__init__({"All Labels/data": {"a_video": values}})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def save_pixel(figure, file, **_):
    """Save one pixel in place of a figure, whose rendering takes a third of a short training."""
    if isinstance(file, io.StringIO):
        file.write("<svg></svg>")
    else:
        Image.new("RGB", (1, 1)).save(file, "PNG")


def replace_borders(monkeypatch, hub) -> None:
    """Replace what a page's code has and the tests have not: the user `OWNER` of the Hub, h5py. Pictures are not rendered.

    Args:
        monkeypatch: Of pytest.
        hub: The server in place of the Hub. It has no collections and variables of Spaces, so that only the arguments of
            their functions are checked.
    """
    from unittest.mock import create_autospec

    from huggingface_hub import HfApi

    monkeypatch.setattr("testing_hub_server.USER", "OWNER")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save_pixel)
    hub.add("OWNER/lora-base")
    monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=LabelSequence))
    for name in ("add_space_variable", "create_collection", "add_collection_item"):
        monkeypatch.setattr(HfApi, name, create_autospec(getattr(HfApi, name)))
