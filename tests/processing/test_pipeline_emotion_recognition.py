"""The pipeline on miniature models, compared with model and processor on the same utterances."""

import logging

import datasets
import numpy as np
import pytest
import soundfile
import soxr
import torch
from emofusion import EmotionRecognitionPipeline
from testing_pipeline import MODULE, RATE, WORDS, build, expected, noise, same, scores
from testing_server import serve
from torch.utils.data import Dataset, IterableDataset
from transformers import logging as transformers_logging
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

SEGMENTS = {"start": [0.05, 0.2], "end": [0.2, 0.4], "symbol": ["hello", "there"]}


@pytest.fixture(scope="module")
def waveform():
    return noise(8000)


@pytest.fixture(scope="module")
def recording(tmp_path_factory, waveform):
    path = tmp_path_factory.mktemp("recordings") / "recording.wav"
    soundfile.write(path, waveform, RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def fusion():
    return build()


@pytest.fixture
def warnings(caplog):
    """A function that returns the warnings of the pipeline so far."""
    transformers_logging.get_logger(MODULE).warning_once.cache_clear()
    caplog.set_level(logging.WARNING, logger=MODULE)
    return lambda: [record.getMessage() for record in caplog.records if record.name == MODULE]


def test_pipeline_is_registered(fusion):
    assert type(fusion) is EmotionRecognitionPipeline
    assert fusion.task == "emotion-recognition"


def test_result_equals_model_sorted_by_score(fusion, recording, waveform):
    result = fusion({"audio": str(recording), "text": "what a lovely morning"})
    assert same(result, expected(fusion, audio=waveform, text="what a lovely morning"))
    assert [set(entry) for entry in result] == [{"label", "score"}] * 3
    assert [entry["score"] for entry in result] == sorted(scores(result).values(), reverse=True)
    assert sum(scores(result).values()) == pytest.approx(1)


def test_every_form_of_recording_gives_same_result(fusion, recording, waveform):
    wanted, content = expected(fusion, audio=waveform), recording.read_bytes()
    with serve({"/a.wav": content}) as address:
        for source in (
            str(recording),
            recording,
            content,
            f"{address}/a.wav",
            {"path": str(recording)},
            {"path": f"{address}/a.wav"},
            {"path": "gone.wav", "bytes": content},
            {"array": waveform, "sampling_rate": RATE},
            {"raw": torch.from_numpy(waveform), "sampling_rate": RATE},
        ):
            assert same(fusion(source, allow_private_urls=True), wanted)
            assert same(fusion({"audio": source}, allow_private_urls=True), wanted)


def mixed(recording):
    """Utterances of different lengths and with different modalities."""
    video = np.random.default_rng(1).integers(0, 256, (5, 20, 24, 3), dtype=np.uint8)
    return [
        {"audio": str(recording), "text": "hello there"},
        {"audio": {"array": noise(300, 1), "sampling_rate": RATE}},
        {"text": "what a lovely morning"},
        {"audio": {"array": noise(16000, 2), "sampling_rate": RATE}, "text": "go", "video": video},
        {"video": video[:2], "text": "hello"},
        str(recording),
        {"audio": {"array": noise(2000, 3), "sampling_rate": RATE}, "video": video[:1], "text": None},
    ]


@pytest.mark.parametrize("name", ["cross_attention", "multi_level", "wavfusion", "late_fusion"])
def test_batching_changes_no_result(name, recording):
    pipe = build(name)
    inputs = mixed(recording)
    if name != "wavfusion":
        inputs = [item for item in inputs if isinstance(item, str) or item.keys() & {"audio", "text"}]
    alone = [pipe(item) for item in inputs]
    for batch_size in (2, 4, 16):
        together = pipe(inputs, batch_size=batch_size)
        assert all(same(*pair, 1e-5) for pair in zip(together, alone, strict=True))
        streamed = pipe((item for item in inputs), batch_size=batch_size)
        assert all(same(*pair, 1e-5) for pair in zip(streamed, alone, strict=True))


def test_worker_processes_give_same_results(fusion, recording):
    inputs = [{"audio": str(recording)}, {"text": "hello"}, {"audio": {"array": noise(700), "sampling_rate": RATE}}]
    here, there = fusion(inputs, batch_size=2), fusion(inputs, batch_size=2, num_workers=2)
    assert all(same(*pair) for pair in zip(here, there, strict=True))


@pytest.fixture
def batches(fusion, monkeypatch):
    """The lengths of the recordings in each batch of the model."""
    seen, forward = [], fusion.model.forward

    def recording_forward(**batch):
        seen.append(batch["audio_attention_mask"].sum(-1).tolist())
        return forward(**batch)

    monkeypatch.setattr(fusion.model, "forward", recording_forward)
    return seen


def test_another_sampling_rate_is_resampled(fusion, batches):
    result = fusion({"array": noise(4000), "sampling_rate": 8000})
    assert batches == [[8000]]
    assert same(result, expected(fusion, audio=soxr.resample(noise(4000), 8000, RATE, quality="HQ")))


def short_and_long():
    return [{"array": noise(2000 if number % 2 else 400), "sampling_rate": RATE} for number in range(8)]


def test_list_is_batched_by_length(fusion, batches):
    results = fusion(short_and_long(), batch_size=2)
    assert batches == [[400, 400]] * 2 + [[2000, 2000]] * 2
    assert all(same(result, results[number % 2]) for number, result in enumerate(results))


def test_generator_is_read_lazily_and_in_order(fusion, batches):
    read = []
    results = fusion((read.append(item) or item for item in short_and_long()), batch_size=2)
    assert len(read) <= 1  # transformers reads the first
    next(results)
    assert len(read) == 2
    assert len(list(results)) == 7
    assert batches == [[400, 2000]] * 4


def test_dataset_is_read_a_few_batches_ahead(fusion):
    taken = []

    class Rows(Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, number):
            taken.append(number)
            return {"array": noise(400), "sampling_rate": RATE}

    results = fusion(Rows(), batch_size=1)
    for _ in range(3):
        next(results)
    results.close()
    assert taken == list(range(len(taken)))
    assert 3 < len(taken) <= 12


def test_model_gets_the_lengths_of_rows(fusion, monkeypatch):
    given, forward = [], fusion.model.forward
    monkeypatch.setattr(
        fusion.model, "forward", lambda lengths, **batch: given.append(lengths) or forward(lengths=lengths, **batch)
    )
    rows = [{"audio": {"array": noise(700), "sampling_rate": RATE}, "text": "hello"}, {"text": "go away"}]
    fusion(rows, batch_size=2)
    assert given == [{"audio": (0, 700), "text": (4, 3)}]


def test_datasets_of_both_kinds_are_read(fusion, recording):
    class Rows(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, number):
            return {"utterance": {"audio": str(recording), "text": WORDS[number]}}

    class Stream(IterableDataset):
        def __iter__(self):
            return (row["utterance"] for row in map(Rows().__getitem__, range(3)))

    wanted = fusion([{"audio": str(recording), "text": word} for word in WORDS[:3]])
    rows = datasets.Dataset.from_list([row["utterance"] for row in map(Rows().__getitem__, range(3))])
    for dataset in (KeyDataset(Rows(), "utterance"), Stream(), rows):
        results = fusion(dataset, batch_size=2)
        assert not isinstance(results, list)
        assert all(same(*pair, 1e-5) for pair in zip(results, wanted, strict=True))


def test_empty_input_gives_empty_result(fusion):
    assert fusion([]) == []
    assert list(fusion(item for item in ())) == []


def test_top_k_is_option_of_pipeline_and_of_call(recording):
    pipe = build(top_k=1)
    everything = pipe(recording, top_k=None)
    assert len(everything) == 3
    assert same(pipe(recording, top_k=9), everything)
    assert same(pipe(recording), everything[:1])
    assert same(pipe([recording], top_k=2)[0], everything[:2])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"top_k": "1"}, "top_k must be at least 1"),
        ({"on_error": "skip"}, "on_error must be 'raise' or 'return', not 'skip'"),
        ({"timeout": -1}, "timeout must be a positive number of seconds"),
        ({"timeout": "60"}, "timeout must be a positive number of seconds"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        (
            {"topk": 1},
            "no option 'topk'; it has timeout, allow_private_urls, context, batch_seconds, stream_rows, window_seconds, "
            "hop_seconds, segments, vad, transcriber_kwargs, on_error, top_k",
        ),
    ],
)
def test_wrong_options_are_refused(fusion, recording, options, error):
    with pytest.raises((TypeError, ValueError), match=error):
        fusion([recording], **options)


def test_missing_transcript_warns_once(recording, warnings):
    pipe = build("wavfusion")
    pipe([recording, recording])
    pipe(recording)
    pipe({"audio": recording, "text": "hello"})
    pipe({"text": "hello"})
    assert warnings() == [
        "An utterance has no transcript: the model uses speech alone. Give its text, or a transcriber."
    ]
    pipe({"audio": recording, "video": np.zeros((1, 20, 24, 3), np.uint8)})
    assert "uses speech and video alone" in warnings()[1]


def test_unused_input_warns_once(recording, warnings):
    speech, text = build("speech"), build("text")
    assert same(speech([{"audio": recording, "text": "hello"}] * 2)[0], speech(recording))
    assert warnings() == ["This model does not use text; the input is ignored."]
    assert same(text({"audio": "gone.wav", "text": "hello"}), text("hello"))
    assert "does not use speech" in warnings()[1]
    assert speech({"audio": recording, "text": "hello"}, return_text=True)["text"] is None


def test_videos_are_read_as_processor_reads_them():
    pipe = build("video")
    video = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)
    for given in (video, {"video": video}, {"video": torch.from_numpy(video)}):
        assert same(pipe(given), expected(pipe, video=video))


def test_alignments_reach_model_in_full_precision(waveform):
    pipe = build("multi_level")
    utterance = {"audio": {"array": waveform, "sampling_rate": RATE}, "text": "hello there"}
    alignment = dict.fromkeys(("word", "syllable", "phone"), SEGMENTS)
    aligned = pipe([utterance | {"alignment": alignment}, utterance], batch_size=2)
    assert same(aligned[0], expected(pipe, audio=waveform, text="hello there", alignment=alignment), 1e-5)
    assert same(aligned[1], expected(pipe, audio=waveform, text="hello there"), 1e-5)
    assert not same(aligned[0], aligned[1], 1e-3)
    # Without a recording an alignment is ignored.
    assert same(pipe({"text": "hello", "alignment": alignment}), pipe({"text": "hello"}))


def test_bfloat16_rounds_signals_but_not_times(waveform, monkeypatch):
    pipe, seen = build("multi_level", torch.bfloat16), {}
    forward = pipe.model.forward
    monkeypatch.setattr(pipe.model, "forward", lambda **batch: seen.update(batch) or forward(**batch))
    utterance = {"audio": {"array": waveform, "sampling_rate": RATE}, "text": "hello", "alignment": {"word": SEGMENTS}}
    assert sum(scores(pipe(utterance)).values()) == pytest.approx(1, abs=1e-5)
    assert seen["input_values"].dtype == torch.bfloat16
    assert seen["word_spans"].dtype == torch.float32
    assert seen["input_ids"].dtype == torch.int64


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("nowhere.wav", FileNotFoundError, "nowhere.wav does not exist"),
        ("ftp://host/a.wav", ValueError, "is not an http or https URL"),
        (b"no sound", ValueError, "is not an audio or video file"),
        (np.zeros(10, np.float32), TypeError, "'array' and 'sampling_rate', not ndarray"),
        ({"array": np.zeros(10, np.float32)}, ValueError, "must also give its 'sampling_rate'"),
        ({"audio": None, "text": None}, ValueError, "no input for this model: give audio or text or video"),
        ({"text": ["hello"]}, TypeError, "text must be a string, not list"),
        ({"text": "hello", "label": 3}, ValueError, "no key 'label'; its keys are audio, text, video, alignment"),
        ({"text": "hello", "video": np.zeros((2, 3), np.uint8)}, ValueError, r"video\[0\] must be frames"),
        ({"text": "hello", "video": "nowhere.mp4"}, FileNotFoundError, "nowhere.mp4 does not exist"),
        ({"text": "hello", "video": b"no video"}, ValueError, "is not an audio or video file"),
        (("hello", "there"), TypeError, "not tuple"),
    ],
)
def test_error_names_input_in_one_sentence(given, error, message, recording):
    pipe = build("wavfusion")
    with pytest.raises(error, match=message) as alone:
        pipe(given)
    with pytest.raises(error, match=message) as listed:
        pipe([{"audio": recording, "text": "hello"}, {"text": "hello"}, given], batch_size=4)
    assert str(listed.value) == f"inputs[2]: {alone.value}"
    assert "\n" not in str(alone.value)


def test_other_models_and_transcribers_are_refused(fusion):
    with pytest.raises(TypeError, match="needs a model of emofusion, not BertModel"):
        pipeline("emotion-recognition", model=fusion.model.model.text_encoder, processor=fusion.processor)
    with pytest.raises(TypeError, match="transcriber must be a pipeline for automatic-speech-recognition"):
        build(transcriber=len)


def test_model_is_set_to_evaluation_mode(fusion, recording):
    model = build().model.train()
    pipe = pipeline("emotion-recognition", model=model, processor=fusion.processor)
    assert same(pipe(recording), fusion(recording))


def test_pipeline_is_saved_with_its_processor(tmp_path, fusion, recording):
    fusion.save_pretrained(tmp_path)
    assert same(pipeline("emotion-recognition", model=str(tmp_path))(recording), fusion(recording))
