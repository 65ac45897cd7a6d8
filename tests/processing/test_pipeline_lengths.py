"""Long recordings are cut where the model's training ended, and silent ones are marked."""

import logging

import av
import numpy as np
import pytest
import soundfile
from emofusion.processing import media, utterance_reader
from testing_pipeline import MODULE, RATE, WORDS, build, noise, same
from transformers import logging as transformers_logging

TRAINED = {"longest_seconds": 0.5}


@pytest.fixture
def warnings(caplog):
    """A function that returns the warnings of the pipeline so far."""
    transformers_logging.get_logger(MODULE).warning_once.cache_clear()
    caplog.set_level(logging.WARNING, logger=MODULE)
    return lambda: [record.getMessage() for record in caplog.records if record.name == MODULE]


def given(samples, text="go", seed=0):
    return {"audio": {"array": noise(samples, seed), "sampling_rate": RATE}, "text": text}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_seconds": 0.5}, "this model takes recordings of up to 0.5 s"),
        ({"max_seconds": 0.5, "longest_seconds": 9.0}, "this model takes recordings of up to 0.5 s"),
        (TRAINED, "this model was trained on recordings of up to 0.5 s"),
    ],
)
def test_long_recording_is_cut_with_one_warning_per_call(settings, reason, warnings):
    pipe = build(settings=settings)
    short, long = given(8000), given(20000)
    alone = pipe(short)
    assert not warnings()
    assert same(pipe([long, short, long], batch_size=2)[0], alone, 1e-5)
    sentence = (
        f"inputs[0]: The recording lasts 1.2 s, and {reason}: only the first 0.5 s are used. Windows "
        "(window_seconds, vad or segments) give scores of all of it."
    )
    assert warnings() == [sentence]
    pipe(long)
    list(pipe(item for item in [short, long, long]))
    assert warnings()[1:] == [sentence[len("inputs[0]: ") :], sentence.replace("[0]", "[1]")]


def test_limit_that_nobody_states_is_60_seconds(monkeypatch, warnings):
    assert utterance_reader.UNSTATED_LIMIT == 60
    monkeypatch.setattr(utterance_reader, "UNSTATED_LIMIT", 0.5)
    pipe = build()
    assert same(pipe(given(20000)), pipe(given(8000)), 1e-5)
    assert warnings() == [
        "The recording lasts 1.2 s, and this model does not state the length of its training recordings: only the first "
        "0.5 s are used. Windows (window_seconds, vad or segments) give scores of all of it."
    ]


def test_no_more_than_the_limit_is_decoded(tmp_path, monkeypatch, warnings):
    soundfile.write(tmp_path / "long.wav", noise(10 * RATE), RATE, subtype="FLOAT")
    decoded, load = [], utterance_reader.load_audio
    monkeypatch.setattr(utterance_reader, "load_audio", lambda *a, **k: decoded.append(load(*a, **k)) or decoded[-1])
    pipe = build(settings=TRAINED)
    result = pipe({"audio": tmp_path / "long.wav", "text": "go"})
    assert len(decoded[0]) <= 0.7 * RATE
    assert same(result, pipe(given(8000)), 1e-5)
    assert warnings()[0].startswith(f"{tmp_path / 'long.wav'} lasts 10.0 s, and this model was trained on")
    # A span counts with its own length.
    pipe({"audio": {"path": str(tmp_path / "long.wav"), "start": 9.0, "end": 9.5}, "text": "go"})
    assert len(warnings()) == 1
    pipe({"audio": {"path": str(tmp_path / "long.wav"), "start": 3.0}, "text": "go"})
    assert "lasts 7.0 s" in warnings()[1]


def test_unknown_length_is_said_to_be_longer(tmp_path, monkeypatch, warnings):
    soundfile.write(tmp_path / "long.wav", noise(2 * RATE), RATE)
    monkeypatch.setattr(utterance_reader, "audio_seconds", lambda source: None)
    build(settings=TRAINED)({"audio": tmp_path / "long.wav", "text": "go"})
    assert "lasts longer than 0.5 s, and this model was trained" in warnings()[0]


def test_processor_decodes_no_more_than_its_maximum(tmp_path, monkeypatch):
    from emofusion.processing import processing_emofusion

    soundfile.write(tmp_path / "long.wav", noise(2 * RATE), RATE, subtype="FLOAT")
    limits, load = [], processing_emofusion.load_audio
    monkeypatch.setattr(
        processing_emofusion, "load_audio", lambda *a, **k: limits.append(k["max_seconds"]) or load(*a, **k)
    )
    processor = build(settings={"max_seconds": 0.5}).processor
    assert processor(audio=tmp_path / "long.wav")["input_values"].shape == (1, 8000)
    assert processor(audio=tmp_path / "long.wav", max_seconds=0.25)["input_values"].shape == (1, 4000)
    assert processor(audio=tmp_path / "long.wav", max_seconds=9.0)["input_values"].shape == (1, 8000)
    assert limits == [0.5, 0.25, 0.5]


def save_video(path, seconds, rate=10):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 24, 20, "yuv420p"
        for image in np.random.default_rng(0).integers(0, 256, (round(seconds * rate), 20, 24, 3), dtype=np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())


def test_long_video_is_cut(tmp_path, warnings):
    save_video(tmp_path / "long.mp4", 4)
    pipe = build("video", settings={"longest_seconds": 1.0})
    whole = pipe({"video": tmp_path / "long.mp4"})
    assert warnings()[0].startswith(f"{tmp_path / 'long.mp4'} lasts 4.0 s, and this model was trained on")
    assert same(whole, pipe({"video": {"path": str(tmp_path / "long.mp4"), "end": 1.0}}))
    frames = np.random.default_rng(0).integers(0, 256, (8, 20, 24, 3), dtype=np.uint8)
    assert same(pipe(frames), pipe(frames[:2]))
    assert len(warnings()) == 2
    assert "The video lasts 4.0 s" in warnings()[1]


def test_alignment_is_cut_with_its_recording(warnings):
    pipe = build("multi_level", settings=TRAINED)
    spans = {"start": [0.1, 0.4, 0.7], "end": [0.3, 0.6, 0.9], "symbol": list(WORDS[:3])}
    cut = {"start": [0.1, 0.4], "end": [0.3, 0.5], "symbol": list(WORDS[:2])}
    long = pipe(given(20000) | {"alignment": dict.fromkeys(("word", "syllable", "phone"), spans)})
    assert same(long, pipe(given(8000) | {"alignment": dict.fromkeys(("word", "syllable", "phone"), cut)}), 1e-5)


def silence(samples=8000, level=0.0):
    """Return a recording that alternates between two values."""
    return {"array": np.resize(np.float32([level, -level]), samples), "sampling_rate": RATE}


def test_silence_is_marked_in_every_entry():
    pipe = build()
    for source in (silence(), silence(level=0.9 * media.SILENCE), {"audio": silence(), "text": "hello"}):
        result = pipe(source)
        assert len(result) == 3
        assert all(entry["silent"] is True for entry in result)
        assert {"label", "score"} < set(result[0])
    marked = pipe([given(8000), {"audio": silence()}, {"text": "hello"}], batch_size=4, return_text=True, top_k=1)
    assert ["silent" in result["scores"][0] for result in marked] == [False, True, False]
    assert "silent" not in pipe(silence(level=1.1 * media.SILENCE))[0]


def test_silent_sound_track_of_a_video_is_marked():
    video = np.zeros((2, 20, 24, 3), np.uint8)
    pipe = build("wavfusion")
    assert pipe({"audio": silence(), "video": video, "text": "hello"})[0]["silent"] is True
    assert "silent" not in pipe({"video": video, "text": "hello"})[0]
    assert "silent" not in build("text")({"audio": silence(), "text": "hello"})[0]  # it does not listen


def test_silence_is_not_transcribed():
    class Recogniser:
        def __call__(self, *arguments, **options):
            raise AssertionError("Silence was transcribed.")

    for name in ("cross_attention", "text"):
        pipe = build(name)
        pipe.transcriber = Recogniser()
        result = pipe(silence(), return_text=True)
        assert result["text"] == ""
        assert result["scores"][0]["silent"] is True
