"""Recordings of any length: windows, segments, and what is read of a recording."""

import av
import numpy as np
import pytest
import soundfile
from emofusion.processing import long_recordings, media, recording_stream
from emofusion.processing.long_recordings import RecordingReader
from emofusion.processing.media import audio_seconds, load_audio
from emofusion.processing.media_packets import Packets
from emofusion.processing.recording_stream import ReadRecordings
from emofusion.processing.sound_stream import SoundStream
from emofusion.processing.utterance_reader import Limit, UtteranceReader
from emofusion.processing.window_options import WindowOptions
from testing_common import CASES
from testing_dimensions import BOTH
from testing_media import encode, tone, write
from testing_pipeline import RATE, WORDS, build, make_processor, noise, same
from transformers import pipeline


@pytest.fixture(scope="module")
def fusion():
    return build(settings={"longest_seconds": 1.0})


@pytest.fixture(scope="module")
def waveform():
    return noise(round(3.3 * RATE))


@pytest.fixture(scope="module")
def recording(tmp_path_factory, waveform):
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, waveform, RATE, subtype="FLOAT")
    return path


def times(rows):
    return [(row["start"], row["end"]) for row in rows]


def sound(samples, seed=0):
    return {"array": noise(samples, seed), "sampling_rate": RATE}


def test_windows_are_recognised_as_utterances(fusion, recording, waveform):
    rows = fusion(recording, window_seconds=1.0, hop_seconds=0.5, batch_size=4)
    assert times(rows) == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5), (2, 3), (2.3, 3.3)]
    for row in rows:
        assert set(row) == {"start", "end", "scores"}
        alone = {"path": str(recording), "start": row["start"], "end": row["end"]}
        assert same(row["scores"], fusion(alone), 1e-5)
    content = {"array": waveform, "sampling_rate": RATE}
    again = fusion({"audio": content}, window_seconds=1.0, hop_seconds=0.5, top_k=1)
    assert [row["scores"][0]["label"] for row in again] == [row["scores"][0]["label"] for row in rows]
    assert len(again[0]["scores"]) == 1


def test_automatic_windows_are_as_long_as_the_model_takes(fusion, recording):
    rows = fusion(recording, window_seconds="auto", batch_seconds=2.0)
    assert times(rows) == [(0, 1), (1, 2), (2, 3), (2.3, 3.3)]
    (row,) = fusion({"audio": sound(8000), "text": "go away"}, window_seconds="auto")
    assert (row["start"], row["end"], row["text"]) == (0, 0.5, "go away")
    assert same(row["scores"], fusion({"audio": sound(8000), "text": "go away"}), 1e-5)


def test_span_of_a_file_is_cut_at_times_of_the_file(fusion, recording):
    span = {"path": str(recording), "start": 1.0, "end": 2.5}
    assert times(fusion(span, window_seconds=1.0)) == [(1, 2), (1.5, 2.5)]
    with pytest.raises(ValueError, match=r"A segment begins at 0.5 s, before the recording, which begins at 1 s"):
        fusion(span, segments=[{"start": 0.5, "end": 1.5}])


def test_segments_give_rows_with_speaker_and_text(fusion, recording):
    segments = [
        {"start": 2, "end": 2.5, "speaker": "B", "text": "go away"},
        {"start": 0.25, "end": 1.25, "speaker": "A"},
    ]
    rows = fusion({"audio": recording, "segments": segments})
    assert [{key: row[key] for key in row if key != "scores"} for row in rows] == [
        segments[0],
        {"start": 0.25, "end": 1.25, "speaker": "A"},
    ]
    span = {"path": str(recording), "start": 2.0, "end": 2.5}
    assert same(rows[0]["scores"], fusion({"audio": span, "text": "go away"}), 1e-5)
    for given in ([recording], (item for item in [recording])):
        assert times(next(iter(fusion(given, segments=segments)))) == [(2, 2.5), (0.25, 1.25)]
    own = ({"audio": item, "segments": segments} for item in [recording])
    assert times(next(fusion(own, window_seconds="auto"))) == [(2, 2.5), (0.25, 1.25)]
    with pytest.raises(ValueError, match="need the option window_seconds='auto'"):
        list(fusion({"audio": item, "segments": segments} for item in [recording]))


def test_windows_of_several_recordings_share_batches(fusion, recording, monkeypatch):
    shapes, forward = [], fusion.model.forward
    monkeypatch.setattr(
        fusion.model, "forward", lambda **batch: shapes.append(batch["input_values"].shape) or forward(**batch)
    )
    inputs = [recording, {"audio": sound(4000)}, recording]
    answers = fusion(inputs, window_seconds=1.0, batch_size=3)
    assert [len(rows) for rows in answers] == [4, 1, 4]
    assert len(shapes) == 3
    assert [row["scores"] for row in answers[0]] == [row["scores"] for row in answers[2]] or same(
        answers[0][1]["scores"], answers[2][1]["scores"], 1e-5
    )
    shapes.clear()
    fusion(inputs, window_seconds=1.0, batch_seconds=4.0)
    assert max(rows * samples for rows, samples in shapes) <= 4 * RATE
    assert len(shapes) == 3


def test_bad_recordings_are_answered_by_sentences(fusion, recording):
    spoiled = noise(3 * RATE)
    spoiled[RATE + 100] = np.nan
    inputs = ["gone.wav", {"array": spoiled, "sampling_rate": RATE}, recording]
    gone, bad, good = fusion(inputs, window_seconds=1.0, on_error="return")
    assert gone == {"error": "gone.wav does not exist."}
    assert bad == {"error": "the audio has samples that are not finite (NaN or infinity)."}
    assert len(good) == 4
    with pytest.raises(FileNotFoundError, match=r"^inputs\[0\]: gone.wav does not exist"):
        fusion(inputs, window_seconds=1.0)
    with pytest.raises(FileNotFoundError, match=r"^gone.wav does not exist"):
        fusion("gone.wav", window_seconds=1.0)


def test_damaged_part_of_a_file_spoils_its_windows_only(fusion):
    spoiled = noise(3 * RATE)
    spoiled[RATE + 100] = np.nan
    rows = fusion([write(spoiled, "WAV", "FLOAT")], window_seconds=1.0, on_error="return")[0]
    assert ["error" in row for row in rows] == [False, True, False]
    assert rows[1] == {
        "start": 1.0,
        "end": 2.0,
        "error": "the audio has samples that are not finite (NaN or infinity).",
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"window_seconds": 5},
            "window_seconds is 5, and this model was trained on recordings of up to 1 s: choose at most",
        ),
        ({"window_seconds": "long"}, "window_seconds must be a number"),
        ({"hop_seconds": 1}, "give it with window_seconds"),
        ({"window_seconds": 1, "hop_seconds": 1, "vad": True}, "without segments and vad"),
        ({"vad": True, "segments": []}, "choose one of them"),
        ({"vad": "yes"}, "vad must be True or False"),
        ({"segments": {"start": 0, "end": 1}}, "segments must be a list of dicts"),
        ({"window_seconds": 1, "batch_seconds": 0}, "batch_seconds must be a positive number"),
    ],
)
def test_wrong_options_are_refused(fusion, recording, options, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        fusion(recording, **options)


def test_text_without_times_is_not_divided(fusion, recording):
    with pytest.raises(
        ValueError, match=r"The text is that of 3.3 s and cannot be divided over 4 windows: give the times"
    ):
        fusion({"audio": recording, "text": "go away"}, window_seconds=1.0)
    with pytest.raises(ValueError, match="has no recording or video for this model, and windows need one"):
        fusion({"text": "go away"}, window_seconds=1.0)


def test_times_of_words_divide_text_and_alignment(recording):
    pipe = build("multi_level")
    words = {"start": [0.2, 0.9, 1.4, 2.6], "end": [0.6, 1.3, 1.6, 3.0], "symbol": [*WORDS[:2], "<sil>", "away"]}
    given = {"audio": recording, "text": "Hello there... away!", "alignment": {"word": words, "phone": None}}
    rows = pipe(given, window_seconds=1.65)
    assert [row["text"] for row in rows] == ["hello there", "away"]
    second = {"word": {"start": [2.6 - 1.65], "end": [3.0 - 1.65], "symbol": ["away"]}}
    span = {"path": str(recording), "start": 1.65}
    assert same(rows[1]["scores"], pipe({"audio": span, "text": "away", "alignment": second}), 1e-5)
    overlapping = pipe(given, window_seconds=1.0, hop_seconds=0.5)
    assert [row["text"] for row in overlapping] == ["hello", "there", "there", "", "away", "away"]


def test_silent_windows_are_marked(fusion):
    half = np.concatenate([noise(RATE), np.zeros(RATE, np.float32)])
    rows = fusion({"array": half, "sampling_rate": RATE}, window_seconds=1.0)
    assert [row.get("silent", False) for row in rows] == [False, True]
    assert rows[1]["scores"][0]["silent"] is True


def test_rows_of_classes_and_dimensions_have_both():
    case = next(case for case in CASES if case.name == "cross_attention")
    model = case.model(**BOTH)
    pipe = pipeline("emotion-recognition", model=model, processor=make_processor(model.config.modalities))
    rows = pipe(sound(2 * RATE), window_seconds=1.0)
    assert [entry["label"] for entry in rows[1]["dimensions"]] == BOTH["dimensions"]
    assert "scale" not in rows[1]["scores"][0]


def save_video(path, seconds, rate=10):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 24, 20, "yuv420p"
        for image in np.random.default_rng(0).integers(0, 256, (round(seconds * rate), 20, 24, 3), dtype=np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())


def test_videos_are_cut_with_their_recording_or_alone(tmp_path, recording, caplog):
    path = tmp_path / "talk.mp4"
    save_video(path, 2)
    alone = build("video")
    rows = alone({"video": path}, window_seconds=1.0)
    assert times(rows) == [(0, 1), (1, 2)]
    assert same(rows[1]["scores"], alone({"video": {"path": str(path), "start": 1.0, "end": 2.0}}), 1e-5)
    frames = np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3), dtype=np.uint8)
    rows = alone({"video": frames}, window_seconds=1.0)
    assert same(rows[1]["scores"], alone({"video": frames[2:]}), 1e-5)
    with pytest.raises(ValueError, match="vad needs a recording"):
        alone({"video": path}, vad=True)
    both = build("wavfusion")
    rows = both({"audio": recording, "video": path}, window_seconds=1.1)
    assert f"{path} lasts 2.0 s, and the recording 3.3 s: later windows have no video." in caplog.messages
    last = {"audio": {"path": str(recording), "start": 2.2, "end": 3.3}}
    assert same(rows[2]["scores"], both(last), 1e-5)
    middle = {"path": str(path), "start": 1.1, "end": 2.0}
    span = {"path": str(recording), "start": 1.1, "end": 2.2}
    assert same(rows[1]["scores"], both({"audio": span, "video": middle}), 1e-5)


def reader(seconds=10.0, **fields):
    windows = WindowOptions(**fields.pop("windows", {"window_seconds": "auto"}))
    return RecordingReader(
        UtteranceReader(("audio", "text"), False, RATE, 2.0, Limit(seconds, ""), **fields), windows, {}
    )


def test_earlier_windows_are_the_context():
    segments = [
        {"start": 2, "end": 3, "speaker": "A", "text": "third"},
        {"start": 0, "end": 1, "speaker": "A", "text": "first"},
        {"start": 0.9, "end": 1.8, "speaker": "B", "text": "second"},
        {"start": 1.7, "end": 1.9},
    ]
    given = {"audio": sound(3 * RATE), "segments": segments, "context": [{"speaker": "B", "text": "before"}]}
    own = reader(earlier_turns=3, history=1)
    third, first, second, nameless = own.read(own.plan(given), [0, 1, 2, 3])
    assert [turn["text"] for turn in third["context"]] == ["before", "first", None]
    assert [turn["text"] for turn in first["context"]] == ["before"]
    assert [turn["text"] for turn in second["context"]] == ["before"]  # the first one overlaps it
    assert [(turn["text"], turn["speaker"]) for turn in nameless["context"]] == [("before", None), ("first", None)]
    (earlier,) = third["history"]
    np.testing.assert_array_equal(
        earlier["audio"]["array"], given["audio"]["array"][round(1.7 * RATE) : round(1.9 * RATE)]
    )


def test_speech_context_of_windows_changes_their_scores():
    case = next(case for case in CASES if case.name == "cross_attention")
    model = case.model(context_layers=1, context_window=1, context_hidden_size=16, context_heads=2)
    for weights in model.parameters():
        weights.data += 0.05
    pipe = pipeline("emotion-recognition", model=model, processor=make_processor(model.config.modalities))
    given = sound(2 * RATE)
    first, second = (given["array"][:RATE], given["array"][RATE:])
    rows = pipe(given, window_seconds=1.0, batch_size=2)
    turn = {"audio": {"array": first, "sampling_rate": RATE}}
    asked = {"audio": {"array": second, "sampling_rate": RATE}, "context": [turn]}
    alone = pipe(asked)
    assert {entry["label"]: entry["score"] for entry in rows[1]["scores"]} == pytest.approx(
        {entry["label"]: entry["score"] for entry in alone}, abs=1e-5
    )


def test_memory_does_not_depend_on_the_length_of_a_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "LONGEST", 600.0)  # seconds of the longest waveform
    path, seconds = tmp_path / "long.wav", 1800
    soundfile.write(path, np.zeros(RATE, np.int16), RATE, subtype="PCM_16")
    head = bytearray(path.read_bytes()[:44])
    size = seconds * RATE * 2
    head[4:8], head[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(head)
        file.truncate(44 + size)  # a sparse file
    decoded, read, held = [], media.read_blocks, []

    def count(*arguments):
        for block in read(*arguments):
            decoded.append(len(block.samples) / block.rate)
            yield block

    def measure(stream, *arguments):
        waveform = stream_read(stream, *arguments)
        held.append(len(stream._held) / RATE)
        return waveform

    stream_read = SoundStream._read
    monkeypatch.setattr(media, "read_blocks", count)
    monkeypatch.setattr(SoundStream, "_read", measure)
    lengths = [len(row["audio"]["array"]) / RATE for row in ReadRecordings(reader(15.0), [{"audio": path}]).rows()]
    assert lengths == [15.0] * (seconds // 15)
    assert sum(decoded) == pytest.approx(seconds)  # none is decoded twice
    assert max(held) <= 2 * long_recordings.STRETCH
    monkeypatch.setattr(media, "read_blocks", read)
    blocks = [len(block) for block in media.stream_audio(path, RATE)]
    assert sum(blocks) == seconds * RATE
    assert max(blocks) <= 2**16


def test_no_more_is_read_ahead_than_stated(monkeypatch):
    reading = []
    monkeypatch.setattr(long_recordings, "STRETCH", 1.0)
    read = RecordingReader.read
    monkeypatch.setattr(RecordingReader, "read", lambda *arguments: reading.append(1) or read(*arguments))
    rows = ReadRecordings(reader(1.0), [{"audio": sound(20 * RATE)}]).rows()
    next(rows)
    assert len(reading) <= recording_stream.AHEAD + 1
    rows.close()
    stream = ReadRecordings(reader(1.0), ({"audio": sound(20 * RATE)} for _ in range(3))).rows()
    reading.clear()
    next(stream)
    assert len(reading) == 1
    stream.close()


# Recordings as phones, messengers and call centres save them.
FORMATS = {
    "m4a of a phone": lambda: encode(tone(2.5, 44100), "ipod", "aac", 44100),
    "amr of a phone": lambda: encode(tone(2.5, 8000), "amr", "libopencore_amrnb", 8000, codec_options={"b": "12200"}),
    "opus of a messenger": lambda: encode(tone(2.5, 48000), "ogg", "libopus", 48000),
    "8 kHz of a telephone": lambda: write(tone(2.5, 8000), "WAV", "ULAW", 8000),
    "stereo call": lambda: write(np.stack([tone(2.5), 0.5 * tone(2.5)[::-1]], axis=1), "WAV"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_recordings_of_phones_and_call_centres_are_cut(fusion, name):
    content = FORMATS[name]()
    rows = fusion(content, window_seconds=1.0)
    assert times(rows)[:2] == [(0, 1), (1, 2)]
    assert rows[-1]["end"] == pytest.approx(2.5, abs=0.1)
    assert rows[-1]["end"] - rows[-1]["start"] == pytest.approx(1.0)
    assert same(rows[1]["scores"], fusion({"bytes": content, "start": 1.0, "end": 2.0}), 0.02)
    if name == "stereo call":  # channels are averaged
        mean = (tone(2.5) + 0.5 * tone(2.5)[::-1]) / 2
        assert same(rows[1]["scores"], fusion({"array": mean[RATE : 2 * RATE], "sampling_rate": RATE}), 1e-3)


@pytest.mark.parametrize("name", ["amr of a phone", "8 kHz of a telephone"])
def test_stretches_of_a_recording_are_one_pass(monkeypatch, name):
    content, whole = FORMATS[name](), load_audio(FORMATS[name](), RATE)
    monkeypatch.setattr(long_recordings, "STRETCH", 0.5)
    packets, read = [], Packets.__iter__
    monkeypatch.setattr(Packets, "__iter__", lambda self: (packets.append(one) or one for one in read(self)))
    audio_seconds(content)
    measured = len(packets)
    for seconds in (0.5, 0.25):  # twice as many windows
        packets.clear()
        rows = list(ReadRecordings(reader(seconds), [{"audio": content}]).rows())
        assert len(packets) <= 2 * measured  # measured and decoded
        for number, row in enumerate(rows[:-1]):
            own = row["audio"]["array"]
            first = round(number * seconds * RATE)
            assert np.abs(own - whole[first : first + len(own)]).max() < 1e-4


def test_rows_are_answered_one_by_one(fusion, recording):
    options = {"window_seconds": 1.0, "on_error": "return"}
    inputs = [recording, "gone.wav", {"path": str(recording), "start": 0.0, "end": 1.0}]
    rows = fusion(inputs, stream_rows=True, **options)
    expected = fusion(inputs, **options)
    assert {row["input"]: row["error"] for row in rows if "error" in row} == {1: expected[1]["error"]}
    for number in (0, 2):
        own = [row for row in rows if row["input"] == number]
        assert [(row["row"], row["rows"]) for row in own] == [(place, len(own)) for place in range(len(own))]
        assert times(own) == times(expected[number])
    with pytest.raises(ValueError, match="stream_rows is for a list"):
        fusion(recording, stream_rows=True, window_seconds=1.0)
