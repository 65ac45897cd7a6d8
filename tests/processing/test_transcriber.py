"""Transcripts that the pipeline's transcriber writes."""

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


class FakeRecogniser(Pipeline):
    """A speech recogniser that records its inputs, at 8 kHz, with a window of half a second."""

    def __init__(self, *texts):
        self.feature_extractor = Wav2Vec2FeatureExtractor(sampling_rate=8000)
        self.feature_extractor.n_samples = 4000
        self.texts, self.calls = list(texts), []

    def __call__(self, inputs, **options):
        self.calls.append((inputs, options))
        return {"text": self.texts.pop(0)}

    def _sanitize_parameters(self, **options): ...

    def preprocess(self, *inputs): ...

    def _forward(self, *inputs): ...

    def postprocess(self, *outputs): ...


def test_only_missing_transcripts_are_written(recording, waveform, caplog):
    recogniser = FakeRecogniser(" hello there ", "")
    pipe = build(transcriber=recogniser, transcriber_kwargs={"language": "en"})
    inputs = [{"audio": recording, "text": "go away"}, recording, {"text": "morning"}, {"audio": recording}]
    results = pipe(inputs, return_text=True, batch_size=4)
    assert [result["text"] for result in results] == ["go away", "hello there", "morning", ""]
    assert same(results[1]["scores"], expected(pipe, audio=waveform, text="hello there"), 1e-5)
    assert same(results[3]["scores"], expected(pipe, audio=waveform, text=""), 1e-5)
    assert not caplog.records
    assert [options for _, options in recogniser.calls] == [{"language": "en"}] * 2
    for inputs, _ in recogniser.calls:
        assert inputs["sampling_rate"] == 8000
        assert inputs["raw"].shape == (4000,)


def test_recording_longer_than_window_uses_time_stamps():
    recogniser = FakeRecogniser("hello", "hello", "hello")
    pipe = build(transcriber=recogniser)
    for samples, options in ((8000, {}), (8002, {}), (8002, {"return_timestamps": "word"})):
        pipe({"array": noise(samples), "sampling_rate": RATE}, transcriber_kwargs=options)
    stamps = [options.get("return_timestamps") for _, options in recogniser.calls]
    assert stamps == [None, True, "word"]


@pytest.mark.parametrize("save", [save_ctc, save_whisper])
def test_transcriber_is_loaded_once_on_first_use(save, tmp_path, recording, waveform):
    folder = save(tmp_path / "recogniser")
    pipe = build(transcriber=folder)
    os.rename(folder, f"{folder}-elsewhere")
    assert pipe({"audio": recording, "text": "hello"}, return_text=True)["text"] == "hello"
    os.rename(f"{folder}-elsewhere", folder)
    results = pipe([recording, recording], return_text=True)
    os.rename(folder, f"{folder}-elsewhere")
    results.append(pipe(recording, return_text=True))
    recogniser = pipeline("automatic-speech-recognition", model=f"{folder}-elsewhere")
    text = recogniser({"raw": waveform, "sampling_rate": RATE})["text"].strip()
    assert [result["text"] for result in results] == [text] * 3
    assert text or save is save_whisper  # random weights may give an empty transcript
    for result in results:
        assert same(result["scores"], expected(pipe, audio=waveform, text=text))


def test_transcriber_without_safetensors_is_refused(tmp_path, recording):
    folder = save_ctc(tmp_path / "recogniser")
    os.rename(f"{folder}/model.safetensors", f"{folder}/pytorch_model.bin")
    with pytest.raises(RuntimeError, match=r"^The transcriber failed: .+") as caught:
        build(transcriber=folder)(recording)
    assert "\n" not in str(caught.value)


def test_failed_transcription_names_position(recording):
    pipe = build(transcriber=FakeRecogniser("hello"))
    with pytest.raises(RuntimeError, match=r"^inputs\[1\]: The transcriber failed: pop from empty list"):
        pipe([recording, recording])


def test_text_model_takes_text_or_transcribed_recordings(recording):
    text, transcribing = build("text"), build("text", transcriber=FakeRecogniser("go away", "go away"))
    wanted = expected(text, text="go away")
    assert same(text("go away"), wanted)
    assert same(text(["go away", {"text": "go away"}], batch_size=2)[1], wanted)
    assert same(transcribing(recording), wanted)
    assert same(transcribing({"audio": recording}), wanted)
    assert same(transcribing({"text": "go away"}), wanted)
    with pytest.raises(
        ValueError, match="The utterance has no input for this model: give text, or audio and a transcriber"
    ):
        text({"audio": recording})


class TimingRecogniser(FakeRecogniser):
    """A recogniser that hears a word in the middle of every second, with times if it is asked for those of words."""

    def __call__(self, inputs, **options):
        self.calls.append((inputs, options))
        words = [f" word{number}" for number in range(round(len(inputs["raw"]) / 8000))]
        chunks = [{"text": word, "timestamp": (number + 0.3, number + 0.5)} for number, word in enumerate(words)]
        return {"text": "".join(words)} | ({"chunks": chunks} if options.get("return_timestamps") == "word" else {})


LONG = {"array": noise(3 * RATE), "sampling_rate": RATE}
WORD_TIMES = {"window_seconds": 1.0, "transcriber_kwargs": {"return_timestamps": "word"}}


def test_times_of_words_divide_the_text_of_a_recording_over_its_windows():
    recogniser = TimingRecogniser()
    pipe = build(transcriber=recogniser)
    rows = pipe(LONG, **WORD_TIMES, batch_size=2)
    assert [row["text"] for row in rows] == ["word0", "word1", "word2"]
    assert [len(inputs["raw"]) for inputs, _ in recogniser.calls] == [3 * 8000]  # once, as a whole
    span = {"audio": {**LONG, "start": 1.0, "end": 2.0}, "text": "word1"}
    assert same(rows[1]["scores"], pipe(span), 1e-5)
    overlapping = pipe(LONG, **WORD_TIMES, hop_seconds=0.5)
    assert [row["text"] for row in overlapping] == ["word0", "word1", "word1", "word2", "word2"]


def test_windows_are_transcribed_by_themselves_without_times_of_words():
    recogniser = FakeRecogniser("one", "two", "three", "all", "hello", "there", "go")
    pipe = build(transcriber=recogniser)
    assert [row["text"] for row in pipe(LONG, window_seconds=1.0)] == ["one", "two", "three"]
    assert [row["text"] for row in pipe(LONG, **WORD_TIMES)] == ["hello", "there", "go"]
    assert [len(inputs["raw"]) for inputs, _ in recogniser.calls] == [8000] * 3 + [3 * 8000] + [8000] * 3


def test_text_model_takes_windows_of_a_recording_with_a_transcriber():
    rows = build("text", transcriber=TimingRecogniser())({"audio": LONG}, **WORD_TIMES)
    assert [row["text"] for row in rows] == ["word0", "word1", "word2"]


def test_recogniser_of_letters_gives_times_of_words(tmp_path):
    pipe = build(transcriber=save_ctc(tmp_path / "recogniser"))
    whole = pipe({"array": noise(4 * RATE), "sampling_rate": RATE}, return_text=True)["text"].split()
    rows = pipe({"array": noise(4 * RATE), "sampling_rate": RATE}, **WORD_TIMES)
    assert " ".join(row["text"] for row in rows).split() == whole
