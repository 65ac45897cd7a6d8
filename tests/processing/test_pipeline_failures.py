"""Inputs that cannot be used, answered in their place; and worker processes."""

import pickle
import threading
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from emofusion.processing import utterance_batches as module
from emofusion.processing.input_errors import with_prefix
from emofusion.processing.utterance_reader import Failure
from testing_pipeline import RATE, build, noise, same
from torch.utils.data import DataLoader, Dataset
from transformers.pipelines.pt_utils import KeyDataset

GOOD = {"audio": {"array": noise(4000), "sampling_rate": RATE}, "text": "go"}
FRAMES = np.zeros((2, 20, 24, 3), np.uint8)


@pytest.fixture(scope="module")
def pipe():
    return build("wavfusion")


class Utterances(Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        if isinstance(self.rows[number], Exception):
            raise self.rows[number]
        return self.rows[number]


BAD = {
    "gone": ("gone.wav", "gone.wav does not exist."),
    "no sound": (b"no sound", "the audio is not an audio or video file"),
    "not finite": ({"array": np.full(800, np.nan, np.float32), "sampling_rate": RATE}, "not finite"),
    "key": ({"text": "go", "label": 1}, "An utterance has no key 'label'"),
    "other keys": (
        {"sound": "go.wav"},
        "An utterance has no key 'sound'; its keys are audio, text, video, alignment, context, speaker, segments.",
    ),
    "no key": ({}, "The utterance has no input for this model: give audio"),
    "nothing": ({"audio": None, "text": None}, "The utterance has no input for this model"),
    "type": (3, "must be"),
    "surrogate": ("\ud800.wav", ""),
    "late": ({"text": "go", "video": np.zeros((2, 3), np.uint8)}, "video[0] must be frames"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_is_answered_in_its_place(pipe, bad):
    given, message = BAD[bad]
    rows = [GOOD, given, GOOD, {"text": "hello", "video": FRAMES}]
    for results in (
        pipe(rows, on_error="return"),
        pipe(rows, on_error="return", batch_size=4),
        list(pipe((row for row in rows), on_error="return", batch_size=3)),
        list(pipe(Utterances(rows), on_error="return", batch_size=2)),
    ):
        assert len(results) == 4
        assert list(results[1]) == ["error"]
        assert message in results[1]["error"]
        assert "inputs[" not in results[1]["error"]
        assert "\n" not in results[1]["error"]
        for number in (0, 2, 3):
            assert same(results[number], pipe(rows[number]), 1e-5)
    assert pipe(given, on_error="return") == results[1]


def test_an_error_that_is_kept_keeps_no_threads(pipe):
    with pytest.raises(FileNotFoundError) as kept:
        pipe(["gone.wav", *[GOOD] * 30], batch_size=2)
    assert kept.tb
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("emofusion")]


def test_only_bad_inputs_are_all_answered(pipe):
    assert [list(answer) for answer in pipe(["gone.wav", b"no"], on_error="return", batch_size=2)] == [["error"]] * 2


def test_option_of_the_pipeline_and_of_the_call():
    pipe = build(on_error="return", return_text=True)
    assert pipe("gone.wav") == {"error": "gone.wav does not exist."}
    with pytest.raises(FileNotFoundError, match=r"^gone\.wav does not exist\."):
        pipe("gone.wav", on_error="raise")


def test_row_that_cannot_be_read_is_answered(pipe):
    rows = Utterances([GOOD, RuntimeError("Could not open\nthe file."), GOOD])
    assert list(pipe(rows, on_error="return"))[1] == {"error": "Could not open the file."}
    with pytest.raises(RuntimeError, match=r"^inputs\[1\]: Could not open the file\."):
        list(pipe(rows))


def test_first_row_of_a_column_is_answered(pipe):
    rows = KeyDataset(Utterances([RuntimeError("Could not open the file."), {"row": GOOD}]), "row")
    assert next(pipe(rows, on_error="return")) == {"error": "Could not open the file."}
    assert list(pipe(KeyDataset(Utterances([]), "row"))) == []


def test_failed_transcript_is_answered(tmp_path):
    pipe = build(transcriber=tmp_path)  # it has no model
    results = pipe([GOOD["audio"], GOOD], on_error="return", batch_size=2)
    assert results[0]["error"].startswith("The transcriber failed: ")
    assert same(results[1], pipe(GOOD))


def test_workers_answer_and_raise_in_one_line(tmp_path, pipe):
    soundfile.write(tmp_path / "good.wav", noise(4000), RATE)
    rows = [str(tmp_path / "good.wav"), "gone.wav"]
    assert pipe(rows, on_error="return", num_workers=1)[1] == {"error": "gone.wav does not exist."}
    with pytest.raises(FileNotFoundError) as caught:
        pipe(rows, num_workers=1)
    assert str(caught.value) == "inputs[1]: gone.wav does not exist."


def test_workers_need_no_model(tmp_path, monkeypatch):
    """As on Windows and macOS, where workers start anew and get a pickle of what they need."""
    soundfile.write(tmp_path / "good.wav", noise(4000), RATE, subtype="FLOAT")
    pipe = build()
    pipe.model.forward = lambda **batch: type(pipe.model).forward(pipe.model, **batch)  # cannot be pickled
    monkeypatch.setattr(module, "DataLoader", partial(DataLoader, multiprocessing_context="spawn"))
    rows = [str(tmp_path / "good.wav"), "gone.wav"]
    results = pipe(rows, on_error="return", num_workers=1)
    assert same(results[0], pipe(rows[0]))
    assert results[1] == {"error": "gone.wav does not exist."}


def test_reader_is_small(pipe):
    assert len(pickle.dumps(pipe._reader())) < 1000


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), MemoryError(), FileNotFoundError(2, "gone", "a.wav")]
)
def test_failure_of_any_kind_can_be_pickled(error):
    failure = pickle.loads(pickle.dumps(Failure.from_error(error, "inputs[3]: ")))
    assert isinstance(error, type(failure.error))
    assert str(failure.error) == f"inputs[3]: {failure.message}"
    assert failure.message
    assert with_prefix(error, "").__cause__ is error


def test_weights_that_are_not_finite_are_named(tmp_path):
    pipe = build()
    torch.nn.init.constant_(pipe.model.classifier.weight, torch.nan)
    for options in ({}, {"on_error": "return"}):  # no input is to blame
        with pytest.raises(
            ValueError, match=r"its weights classifier\.weight are not finite \(NaN or infinity\): use"
        ):
            pipe([GOOD], **options)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_scores_that_are_not_finite_name_the_input():
    pipe = build()
    # In float32, the mean of these overflows when they are normalised.
    huge = {"audio": {"array": np.array([3e38, -3e38] * 400, np.float32), "sampling_rate": RATE}}
    results = pipe([GOOD, huge], on_error="return")
    assert same(results[0], pipe(GOOD))
    assert results[1] == {
        "error": "The scores are not finite, although the weights are: check the input for extreme values."
    }
    with pytest.raises(ValueError, match=r"^inputs\[1\]: The scores are not finite"):
        pipe([GOOD, huge])


class Decoder:
    """What a decoder of torchcodec offers, as `datasets.Audio` gives it."""

    def __init__(self, waveform, rate):
        self.waveform, self.rate = waveform, rate
        self.metadata = type("Metadata", (), {"sample_rate": rate, "duration_seconds": waveform.shape[-1] / rate})()

    def get_samples_played_in_range(self, start_seconds=0.0, stop_seconds=None):
        first = round(start_seconds * self.rate)
        last = None if stop_seconds is None else round(stop_seconds * self.rate)
        return self._samples(self.waveform[:, first:last], first / self.rate)

    def get_all_samples(self):
        return self._samples(self.waveform, 0.0)

    def _samples(self, data, start):
        fields = {
            "data": data,
            "sample_rate": self.rate,
            "pts_seconds": start,
            "duration_seconds": data.shape[1] / self.rate,
        }
        return type("AudioSamples", (), fields)()


def test_decoded_rows_of_datasets_are_accepted(pipe):
    decoder = Decoder(torch.from_numpy(noise(4000))[None], RATE)
    assert same(pipe({"audio": decoder, "text": "go"}), pipe(GOOD))
    assert same(pipe(decoder), pipe(GOOD["audio"]))
    batch = pipe.processor(audio=[decoder, noise(4000)], sampling_rate=RATE)
    assert torch.equal(*batch["input_values"])


def test_decoded_videos_of_datasets_name_the_option(pipe):
    decoder = type("VideoDecoder", (), {"get_frames_in_range": None})()
    with pytest.raises(TypeError, match=r"load the column with datasets\.Video\(decode=False\)"):
        pipe({"video": decoder, "text": "go"})
