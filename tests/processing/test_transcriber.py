"""Transcripts that the pipeline has written where none is given."""

import os

import pytest
import soundfile
from testing_pipeline import RATE, build, expected, noise, same
from testing_recognisers import save_ctc, save_whisper
from transformers import Pipeline, Wav2Vec2FeatureExtractor, pipeline


@pytest.fixture(scope="module")
def waveform():
    return noise(8000)


@pytest.fixture(scope="module")
def recording(tmp_path_factory, waveform):
    path = tmp_path_factory.mktemp("recordings") / "recording.wav"
    soundfile.write(path, waveform, RATE, subtype="FLOAT")
    return path


class Clerk(Pipeline):
    """A recogniser of speech that notes what it is given; it hears 8 kHz, half a second at once."""

    def __init__(self, *texts):
        self.feature_extractor = Wav2Vec2FeatureExtractor(sampling_rate=8000)
        self.feature_extractor.n_samples = 4000
        self.texts, self.heard = list(texts), []

    def __call__(self, inputs, **options):
        self.heard.append((inputs, options))
        return {"text": self.texts.pop(0)}

    def _sanitize_parameters(self, **options): ...

    def preprocess(self, *inputs): ...

    def _forward(self, *inputs): ...

    def postprocess(self, *outputs): ...


def test_a_transcriber_writes_what_is_missing_and_no_more(recording, waveform, caplog):
    clerk = Clerk(" hello there ", "")
    pipe = build(transcriber=clerk, transcriber_kwargs={"language": "en"})
    inputs = [{"audio": recording, "text": "go away"}, recording, {"text": "morning"}, {"audio": recording}]
    answers = pipe(inputs, return_text=True, batch_size=4)
    assert [answer["text"] for answer in answers] == ["go away", "hello there", "morning", ""]
    assert same(answers[1]["scores"], expected(pipe, audio=waveform, text="hello there"), 1e-5)
    assert same(answers[3]["scores"], expected(pipe, audio=waveform, text=""), 1e-5)
    assert not caplog.records
    assert [options for _, options in clerk.heard] == [{"language": "en"}] * 2
    for heard, _ in clerk.heard:
        assert heard["sampling_rate"] == 8000
        assert heard["raw"].shape == (4000,)


def test_a_recording_longer_than_whispers_window_is_heard_by_time_stamps():
    clerk = Clerk("hello", "hello", "hello")
    pipe = build(transcriber=clerk)
    for samples, options in ((8000, {}), (8002, {}), (8002, {"return_timestamps": "word"})):
        pipe({"array": noise(samples), "sampling_rate": RATE}, transcriber_kwargs=options)
    stamps = [options.get("return_timestamps") for _, options in clerk.heard]
    assert stamps == [None, True, "word"]


@pytest.mark.parametrize("save", [save_ctc, save_whisper])
def test_a_transcriber_is_loaded_when_it_is_needed_and_once(save, tmp_path, recording, waveform):
    folder = save(tmp_path / "recogniser")
    pipe = build(transcriber=folder)
    os.rename(folder, f"{folder}-elsewhere")
    assert pipe({"audio": recording, "text": "hello"}, return_text=True)["text"] == "hello"
    os.rename(f"{folder}-elsewhere", folder)
    answers = pipe([recording, recording], return_text=True)
    os.rename(folder, f"{folder}-elsewhere")
    answers.append(pipe(recording, return_text=True))
    recogniser = pipeline("automatic-speech-recognition", model=f"{folder}-elsewhere")
    text = recogniser({"raw": waveform, "sampling_rate": RATE})["text"].strip()
    assert [answer["text"] for answer in answers] == [text] * 3
    assert text or save is save_whisper  # of random weights it may hear nothing
    for answer in answers:
        assert same(answer["scores"], expected(pipe, audio=waveform, text=text))


def test_a_transcriber_without_safetensors_is_not_unpickled(tmp_path, recording):
    folder = save_ctc(tmp_path / "recogniser")
    os.rename(f"{folder}/model.safetensors", f"{folder}/pytorch_model.bin")
    with pytest.raises(RuntimeError, match=r"^The transcriber fails: .+") as caught:
        build(transcriber=folder)(recording)
    assert "\n" not in str(caught.value)


def test_the_place_of_a_recording_that_cannot_be_heard_is_named(recording):
    pipe = build(transcriber=Clerk("hello"))
    with pytest.raises(RuntimeError, match=r"^inputs\[1\]: The transcriber fails: pop from empty list"):
        pipe([recording, recording])


def test_a_model_that_reads_takes_text_bare_and_with_a_transcriber_recordings(recording):
    text, listening = build("text"), build("text", transcriber=Clerk("go away", "go away"))
    wanted = expected(text, text="go away")
    assert same(text("go away"), wanted)
    assert same(text(["go away", {"text": "go away"}], batch_size=2)[1], wanted)
    assert same(listening(recording), wanted)
    assert same(listening({"audio": recording}), wanted)
    assert same(listening({"text": "go away"}), wanted)
    with pytest.raises(ValueError, match="There is nothing that this model looks at: give text, or audio and a tran"):
        text({"audio": recording})
