import json
import os
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import Dataset, DatasetDict
from emofusion.corpora.records import Prepared
from emofusion.corpora.schema import features
from emofusion.corpora.transcripts import transcribe as module
from emofusion.corpora.transcripts.files import add_transcripts, carry_transcripts, transcripts_name
from emofusion.corpora.transcripts.recogniser import Recogniser
from emofusion.corpora.transcripts.transcribe import transcribe
from testing_recognisers import save_ctc

RATE, ROWS = 8000, 11  # a rate that is not the recogniser's


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_ctc(tmp_path_factory.mktemp("recogniser"))


@pytest.fixture
def prepared(tmp_path):
    """Eleven recordings in two splits; two of them are spans of one file."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    rows = []
    for number in range(ROWS):
        source, span = number, {"start": None, "end": None}
        if number in (3, 4):
            source, span = 3, {"start": 0.1 * (number - 3), "end": 0.1 * number}
        audio = {"path": write_hum(tmp_path / f"{source}.wav", source), "bytes": None, **span}
        rows.append({"id": f"row {number}", "audio": audio, "text": "said", "label": number % 2})
    schema = features(["calm", "cross"])
    splits = {}
    for split, some in {"train": rows[:8], "test": rows[8:]}.items():
        columns = {column: [row.get(column) for row in some] for column in schema}
        path = folder / f"{split}.arrow"
        Dataset.from_dict(columns, features=schema).save_to_disk(folder / split)
        os.replace(folder / split / "data-00000-of-00001.arrow", path)
        splits[split] = Dataset.from_file(str(path))
    return Prepared(folder, DatasetDict(splits), [], {})


def write_hum(path: Path, seed: int) -> str:
    draw = np.random.default_rng(seed)
    samples = 3200 + 300 * seed
    loudness = np.repeat(draw.uniform(0.1, 0.9, samples // 400 + 1), 400)[:samples]
    soundfile.write(path, loudness * np.sin(np.cumsum(draw.uniform(0, 1, samples))), RATE)
    return str(path)


def lines(prepared: Prepared, model: str) -> list[dict]:
    file = prepared.folder / "transcripts" / f"{transcripts_name(model)}.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def transcripts(prepared: Prepared) -> dict[str, str | None]:
    return {row["id"]: row["asr_text"] for rows in prepared.splits.values() for row in rows}


@pytest.fixture
def decoded(monkeypatch):
    """The recordings that are decoded, as names and starts."""
    paths, load_audio = [], module.load_audio

    def spy(audio, *others):
        paths.append((audio["path"] and Path(audio["path"]).name, audio["start"]))
        return load_audio(audio, *others)

    monkeypatch.setattr(module, "load_audio", spy)
    return paths


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_transcripts_do_not_depend_on_batch_size(prepared, model, batch_size):
    recognise = Recogniser(model)
    transcribed = transcribe(prepared, model, batch_size=batch_size)
    assert transcribed.problems == []
    for rows in transcribed.splits.values():
        for row in rows:
            assert row["asr_text"] == recognise([module.load_audio(row["audio"], 16000)])[0]
    assert len(set(transcripts(transcribed).values()) - {""}) > 8
    assert {line["id"] for line in lines(prepared, model)} == {f"row {number}" for number in range(ROWS)}


def test_other_columns_stay_unchanged_and_on_disk(prepared, model):
    transcribed = transcribe(prepared, model)
    for split, rows in prepared.splits.items():
        new = transcribed.splits[split]
        assert new.features == rows.features
        assert new.column_names == rows.column_names
        assert new.cache_files == rows.cache_files
        assert new.remove_columns("asr_text").to_dict() == rows.remove_columns("asr_text").to_dict()


def test_complete_run_loads_no_model(prepared, model, monkeypatch, decoded):
    first = transcribe(prepared, model)
    written = lines(prepared, model)
    del decoded[:]
    monkeypatch.setattr(module, "Recogniser", None)
    again = transcribe(prepared, model)
    assert transcripts(again) == transcripts(first)
    assert lines(prepared, model) == written
    assert decoded == []


def test_interrupted_run_is_continued(prepared, model, monkeypatch, tmp_path, decoded):
    whole = Prepared(tmp_path / "whole", prepared.splits, [], {})
    whole.folder.mkdir()
    expected = transcripts(transcribe(whole, model))
    load_audio = module.load_audio

    def stop_at_the_tenth(*given):
        if len(decoded) == 9:
            raise KeyboardInterrupt
        return load_audio(*given)

    del decoded[:]
    monkeypatch.setattr(module, "load_audio", stop_at_the_tenth)
    with pytest.raises(KeyboardInterrupt):
        transcribe(prepared, model, batch_size=1)
    done = lines(prepared, model)
    assert len(done) == 8  # two times the four that are decoded together
    assert add_transcripts(prepared.splits, prepared.folder) is prepared.splits  # no run is complete

    file = prepared.folder / "transcripts" / f"{transcripts_name(model)}.jsonl"
    file.write_bytes(file.read_bytes()[:-7])  # killed while writing
    monkeypatch.setattr(module, "load_audio", load_audio)
    del decoded[:]
    assert transcripts(transcribe(prepared, model)) == expected
    assert len(decoded) == ROWS - 7
    assert lines(prepared, model)[:7] == done[:7]
    assert len(lines(prepared, model)) == ROWS


def test_changed_recording_is_transcribed_again(prepared, model, decoded, tmp_path):
    before = transcripts(transcribe(prepared, model))
    del decoded[:]
    write_hum(tmp_path / "5.wav", 50)
    after = transcripts(transcribe(prepared, model))
    assert decoded == [("5.wav", None)]
    assert {name for name in before if before[name] != after[name]} == {"row 5"}

    del decoded[:]
    moved = prepared.splits["train"].map(
        lambda row: {"audio": row["audio"] | {"end": 0.45}} if row["id"] == "row 4" else {}
    )
    prepared.splits["train"] = moved
    transcribe(prepared, model)
    assert decoded == [("3.wav", 0.1)]


def test_embedded_recordings_are_identified_by_bytes(prepared, model, decoded):
    def embed(row, other=None):
        path = row["audio"]["path"]
        return {"audio": row["audio"] | {"path": None, "bytes": Path(other or path).read_bytes()}}

    paths = {row["id"]: row["audio"]["path"] for row in prepared.splits["test"]}
    by_path = transcripts(transcribe(prepared, model))
    prepared.splits = DatasetDict({split: rows.map(embed) for split, rows in prepared.splits.items()})
    assert transcripts(transcribe(prepared, model)) == by_path
    del decoded[:]
    prepared.splits["test"] = prepared.splits["test"].map(
        lambda row: embed({"audio": row["audio"] | {"path": paths["row 8"]}}) if row["id"] == "row 10" else {}
    )
    after = transcripts(transcribe(prepared, model))
    assert len(decoded) == 1
    assert after["row 10"] == after["row 8"] == by_path["row 8"]


def test_failed_recording_is_retried(prepared, model, tmp_path):
    good = (tmp_path / "6.wav").read_bytes()
    (tmp_path / "6.wav").write_bytes(good[:2000])
    (tmp_path / "7.wav").unlink()
    soundfile.write(tmp_path / "9.wav", np.zeros(80), RATE)
    prepared.splits["test"] = prepared.splits["test"].map(
        lambda row: {"audio": dict.fromkeys(row["audio"])} if row["id"] == "row 10" else {}
    )
    with pytest.warns(UserWarning, match=f"^4 of {ROWS} recordings have no transcript. The first: row 7: "):
        transcribed = transcribe(prepared, model)
    problems = {found["id"]: found["what"] for found in transcribed.problems}
    assert set(problems) == {"row 6", "row 7", "row 9", "row 10"}
    assert {found["kind"] for found in transcribed.problems} == {"not transcribed"}
    assert "6.wav is truncated" in problems["row 6"]
    assert "7.wav" in problems["row 7"]
    assert "lasts less than 0.1 s" in problems["row 9"]
    assert "no recording" in problems["row 10"]
    texts = transcripts(transcribed)
    assert {name for name, text in texts.items() if text is None} == set(problems)

    (tmp_path / "6.wav").write_bytes(good)
    with pytest.warns(UserWarning, match="^3 of"):
        again = transcribe(prepared, model)
    assert transcripts(again)["row 6"] is not None
    assert len(lines(prepared, model)) == ROWS - 3


def test_lost_recording_loses_its_transcript(prepared, model, tmp_path):
    assert transcripts(transcribe(prepared, model))["row 7"] is not None
    (tmp_path / "7.wav").unlink()
    with pytest.warns(UserWarning, match="^1 of"):
        assert transcripts(transcribe(prepared, model))["row 7"] is None
    write_hum(tmp_path / "7.wav", 7)
    assert transcripts(transcribe(prepared, model))["row 7"] is not None


def test_model_failure_does_not_stop_others(prepared, model, monkeypatch):
    recognise = Recogniser.__call__

    def fail(self, waveforms):
        if any(len(waveform) == 2 * (3200 + 300 * 6) for waveform in waveforms):
            raise RuntimeError("it does not fit\nand more")
        return recognise(self, waveforms)

    monkeypatch.setattr(Recogniser, "__call__", fail)
    with pytest.warns(UserWarning, match="row 6: The recogniser failed: it does not fit$"):
        transcribed = transcribe(prepared, model)
    assert [name for name, text in transcripts(transcribed).items() if text is None] == ["row 6"]


def test_concurrent_runs_share_work(prepared, model, decoded):
    results = []
    threads = [threading.Thread(target=lambda: results.append(transcribe(prepared, model))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == len(lines(prepared, model)) == ROWS
    assert transcripts(results[0]) == transcripts(results[1])


def test_last_complete_model_is_current(prepared, model, tmp_path):
    other = save_ctc(tmp_path / "other", "hubert")
    first, second = transcribe(prepared, model), transcribe(prepared, other)
    assert transcripts(first) != transcripts(second)

    def shown(*name):
        return transcripts(Prepared(prepared.folder, add_transcripts(prepared.splits, prepared.folder, *name), [], {}))

    assert shown() == transcripts(second)
    assert shown(transcripts_name(model)) == transcripts(first)
    for wrong in ("nobody", f"../transcripts/{transcripts_name(model)}"):
        with pytest.raises(FileNotFoundError, match=f"has no transcripts '{wrong}'; it has {transcripts_name(other)}"):
            shown(wrong)


def test_rows_without_transcripts_stay_unchanged(prepared):
    assert add_transcripts(prepared.splits, prepared.folder) is prepared.splits


def test_damaged_line_is_named(prepared, model):
    transcribe(prepared, model)
    file = prepared.folder / "transcripts" / f"{transcripts_name(model)}.jsonl"
    damaged = file.read_text("utf-8").splitlines(keepends=True)
    damaged[4] = '{"id": "row 4"}\n'
    file.write_text("".join(damaged), encoding="utf-8")
    with pytest.raises(ValueError, match=r"jsonl, line 5, is damaged: remove that line"):
        transcribe(prepared, model)


def test_transcripts_survive_new_preparation(prepared, model, tmp_path, decoded):
    before = transcripts(transcribe(prepared, model))
    new = Prepared(tmp_path / "new", prepared.splits, [], {})
    new.folder.mkdir()
    carry_transcripts(prepared.folder, new.folder)
    shutil.rmtree(prepared.folder / "transcripts")
    assert add_transcripts(new.splits, new.folder) is new.splits
    del decoded[:]
    write_hum(tmp_path / "5.wav", 50)
    after = transcripts(transcribe(new, model))
    assert decoded == [("5.wav", None)]
    assert {name for name in before if before[name] != after[name]} == {"row 5"}
    carry_transcripts(prepared.folder, tmp_path)  # where there are none
    assert not (tmp_path / "transcripts").exists()


def test_unusable_model_writes_nothing(prepared, tmp_path):
    with pytest.raises(ValueError, match="cannot be loaded as a speech recogniser"):
        transcribe(prepared, str(tmp_path))
    assert not [file for file in (prepared.folder / "transcripts").iterdir() if not file.name.startswith(".")]
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        transcribe(prepared, str(tmp_path), batch_size=0)


def test_names_differ_by_model_revision_and_language(tmp_path):
    assert transcripts_name("openai/whisper-small") == "openai--whisper-small"
    assert transcripts_name("openai/whisper-small", "v1", "de") == "openai--whisper-small--v1--de"
    for user in ("a", "b"):
        (tmp_path / user / "mine").mkdir(parents=True)
    names = {transcripts_name(str(tmp_path / user / "mine")) for user in ("a", "b")}
    assert len(names) == 2
    assert all(name.startswith("mine-") for name in names)


def test_run_without_problems_gives_no_warning(prepared, model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        transcribe(prepared, model)


def test_batches_have_similar_lengths(prepared, model, monkeypatch):
    monkeypatch.setattr("emofusion.corpora.transcripts.recogniser.LONG", 0.5)
    batches, recognise = [], Recogniser.__call__

    def spy(self, waveforms):
        batches.append([len(waveform) / 16000 for waveform in waveforms])
        return recognise(self, waveforms)

    monkeypatch.setattr(Recogniser, "__call__", spy)
    prepared.splits["train"] = prepared.splits["train"].select(reversed(range(8)))
    transcribe(prepared, model, batch_size=2)
    assert sum(map(len, batches)) == ROWS
    assert max(map(len, batches)) == 2
    assert all(len(batch) == 1 for batch in batches if max(batch) > 0.5)
    lengths = [max(batch) for batch in batches[:5]]  # of the eight recordings that are decoded first
    assert lengths == sorted(lengths)
