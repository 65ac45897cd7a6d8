"""`pipeline("emotion-recognition", model=folder)`, where emofusion is not installed and where it is."""

import ast
import json

import pytest
import soundfile
from emofusion import SpeakerResNetConfig, SpeakerResNetForSpeakerRecognition
from emofusion.hub import write_bundle
from testing_pipeline import RATE, build, noise, same
from testing_recognisers import save_ctc
from testing_server import serve

# With an empty PATH and no torchaudio, the pipelines of transformers could neither decode nor resample.
WITHOUT = """
import os
import sys

os.environ["PATH"] = ""
sys.modules["torchaudio"] = None
from transformers import AutoModelForAudioClassification, AutoProcessor, pipeline

address = sys.argv[1]
recognise = pipeline("emotion-recognition", model="folder", trust_remote_code=True)
assert type(recognise).__module__.startswith("transformers_modules."), type(recognise)
slow = {"array": recognise.preprocess("recording.wav")["audio"]["array"], "sampling_rate": 8000}
inputs = ["recording.mp3", {"audio": "recording.wav", "text": "hello"}, address, {"text": "go away"}, slow]
local = {"allow_private_urls": True}
print([recognise(item, **local) for item in inputs])
print(recognise(inputs, batch_size=3, num_workers=2, **local))
print(list(recognise((item for item in inputs), batch_size=2, top_k=1, **local)))

os.chdir("folder")  # as the card of the folder says
from transformers import AutoModelForAudioClassification, AutoProcessor

AutoProcessor.from_pretrained(".", trust_remote_code=True)
AutoModelForAudioClassification.from_pretrained(".", trust_remote_code=True)
inside = pipeline("emotion-recognition", model=".", trust_remote_code=True)
print(inside("../recording.wav"))
os.chdir("..")

hearing = pipeline(model="folder", trust_remote_code=True, transcriber="recogniser", return_text=True)
print(hearing("recording.wav"))

hearing.save_pretrained("saved")
again = pipeline("emotion-recognition", model="saved", trust_remote_code=True, transcriber="recogniser", return_text=True)
assert again.model.config.custom_pipelines == recognise.model.config.custom_pipelines
print(again("recording.wav"))

remote = {"trust_remote_code": True}
AutoModelForAudioClassification.from_pretrained("folder", **remote).save_pretrained("parts")
AutoProcessor.from_pretrained("folder", **remote).save_pretrained("parts")
print(pipeline("emotion-recognition", model="parts", **remote)("recording.wav"))

try:
    pipeline("emotion-recognition", model="folder", trust_remote_code=False)
except ValueError as error:
    assert "trust_remote_code" in str(error)
else:
    raise AssertionError("the code ran without being trusted")
"""

# First without emofusion; then it is imported after transformers.
WITH = """
from transformers import AutoModelForAudioClassification, AutoProcessor, pipeline

model = AutoModelForAudioClassification.from_pretrained("folder", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("folder", trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules."), type(model)

import emofusion

model.save_pretrained("again")
processor.save_pretrained("again")
emofusion.write_bundle(model, "again", processor)
for remote in ({}, {"trust_remote_code": True}):
    recognise = pipeline("emotion-recognition", model="folder", **remote)
    assert type(recognise) is emofusion.EmotionRecognitionPipeline
    assert type(recognise.model) is emofusion.CrossAttentionFusionForSequenceClassification
    print(recognise("recording.wav"))
"""


@pytest.fixture(scope="module")
def pipe():
    return build()


@pytest.fixture(scope="module")
def place(tmp_path_factory, pipe):
    """A folder with a checkpoint, a speech recogniser, and a recording as wav and as mp3."""
    place = tmp_path_factory.mktemp("place")
    pipe.save_pretrained(place / "folder")
    write_bundle(pipe.model, place / "folder", pipe.processor)
    save_ctc(place / "recogniser")
    soundfile.write(place / "recording.wav", noise(8000), RATE, subtype="FLOAT")
    soundfile.write(place / "recording.mp3", noise(8000), RATE)
    return place


@pytest.fixture(scope="module")
def elsewhere(place, run_python):
    """The outputs of a process without emofusion."""
    with serve({"/recording.wav": (place / "recording.wav").read_bytes()}) as address:
        printed = run_python(WITHOUT, f"{address}/recording.wav", cwd=place)
    return [ast.literal_eval(line) for line in printed.splitlines()]


def test_trusted_code_of_a_folder_predicts_like_the_package(elsewhere, place, pipe):
    slow = {"array": noise(8000), "sampling_rate": 8000}
    recording = str(place / "recording.wav")
    inputs = [f"{recording[:-3]}mp3", {"audio": recording, "text": "hello"}, recording, {"text": "go away"}, slow]
    alone, together, streamed, inside, *_ = elsewhere
    assert same(inside, pipe(recording), 1e-5)
    assert all(same(*pair, 1e-5) for pair in zip(alone, pipe(inputs), strict=True))
    assert all(same(*pair, 1e-5) for pair in zip(together, alone, strict=True))
    assert all(same(first, scores[:1], 1e-5) for first, scores in zip(streamed, alone, strict=True))


def test_trusted_code_of_a_folder_transcribes(elsewhere, place, pipe):
    *_, heard, again, _ = elsewhere
    assert heard["text"]
    assert same(heard["scores"], pipe({"audio": place / "recording.wav", "text": heard["text"]}), 1e-5)
    assert again["text"] == heard["text"]


def test_a_pipeline_of_remote_code_is_saved_with_its_code(elsewhere, place):
    check_same_files(place / "saved", place / "folder")
    *_, heard, again, _ = elsewhere
    assert same(again["scores"], heard["scores"])


def test_model_and_processor_of_remote_code_are_saved_with_all_code(elsewhere, place, pipe):
    check_same_files(place / "parts", place / "folder")
    assert same(elsewhere[-1], pipe(place / "recording.wav"), 1e-5)


def check_same_files(folder, other):
    """Check that two folders have files of the same names and the same code."""
    assert {file.name for file in folder.iterdir()} == {file.name for file in other.iterdir()}
    for file in other.glob("*.py"):
        assert (folder / file.name).read_bytes() == file.read_bytes()


def test_with_emofusion_installed_no_code_has_to_be_trusted(place, pipe, run_python):
    printed = run_python(WITH, cwd=place, without_emofusion=False)
    for line in printed.splitlines():
        assert same(ast.literal_eval(line), pipe(place / "recording.wav"))
    # The loader fetches remote code without the pipeline; the bundle has it again.
    for file in (place / "folder").glob("*.py"):
        assert (place / "again" / file.name).read_bytes() == file.read_bytes()
    configs = [json.loads((place / name / "config.json").read_text()) for name in ("folder", "again")]
    assert configs[0]["custom_pipelines"] == configs[1]["custom_pipelines"]


def test_a_speaker_network_has_no_pipeline(tmp_path):
    config = SpeakerResNetConfig(
        num_mel_bins=16, hidden_sizes=[4, 8], depths=[1, 2], embedding_size=12, num_speakers=3
    )
    model = SpeakerResNetForSpeakerRecognition(config)
    model.save_pretrained(tmp_path)
    names = {file.name for file in write_bundle(model, tmp_path)}
    assert "pipeline_emotion_recognition.py" not in names
    assert "custom_pipelines" not in json.loads((tmp_path / "config.json").read_text())
