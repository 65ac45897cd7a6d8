"""Runs that score many recordings: continued, divided, and with bad files."""

import json
import multiprocessing
import os
import shutil
import signal
import warnings

import pytest
from accelerate import PartialState
from emofusion.inference.dialogues import share_dialogues
from emofusion.inference.journal import Journal
from emofusion.inference.recording import Recording
from emofusion.inference.recordings import find_recordings
from emofusion.inference.scoring import Scorer
from emofusion.inference.scoring_options import ScoringOptions
from emofusion.processing import media
from testing_common import CASES
from testing_dimensions import BOTH, DIMENSIONS
from testing_media import encode, tone
from testing_pipeline import make_processor
from testing_scoring import Recogniser, make_recordings, run
from testing_server import free_port
from transformers import pipeline

WINDOWS = ScoringOptions(window_seconds=0.5)


@pytest.fixture
def calls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_recordings(tmp_path / "calls")


def read(path="scores.jsonl"):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def in_processes(*runs):
    """Run functions in processes that begin as copies of this one; return their exit codes."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=function, args=arguments) for function, *arguments in runs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of threads, which do nothing here
        for process in processes:
            process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def test_every_utterance_has_a_row(calls):
    summary = run(Recogniser(), "calls", "scores.jsonl")
    assert [(row["recording"], row["start"], row["end"]) for row in read()] == [
        (f"calls/{number:02d}.wav", 0.0, 1.0) for number in range(4)
    ]
    assert [row["happy"] for row in read()] == [0.0, 0.01, 0.02, 0.03]
    assert (summary.rows, summary.errors, summary.seconds) == (4, 0, 4.0)
    assert sorted(os.listdir()) == ["calls", "scores.jsonl"]


def test_every_window_has_a_row(calls):
    (calls / "manifest.csv").write_text("audio,start,end\n00.wav,0.25,1\n01.wav,,\n")
    run(Recogniser(), "calls/manifest.csv", "scores.jsonl", ScoringOptions(window_seconds=0.5, hop_seconds=0.25))
    assert [(row["recording"][-6:-4], row["start"], row["end"]) for row in read()] == [
        *(("00", 0.25, 0.75), ("00", 0.5, 1.0)),
        *(("01", 0.0, 0.5), ("01", 0.25, 0.75), ("01", 0.5, 1.0)),
    ]


def test_text_of_several_windows_is_an_error(calls):
    (calls / "manifest.csv").write_text("audio,text\n00.wav,hello\n")
    run(Recogniser(), "calls/manifest.csv", "scores.jsonl", WINDOWS)
    assert "has 2 windows, and its text has no times" in read()[0]["error"]


def test_long_recording_is_scored_in_windows_that_the_model_takes(calls):
    make_recordings(calls, 1, seconds=7.0)
    summary = run(Recogniser(), "calls/00.wav", "scores.jsonl")
    assert [(row["start"], row["end"]) for row in read()] == [(0.0, 5.0), (2.0, 7.0)]
    assert summary.cut == 0


def test_long_recording_with_a_text_is_cut_and_counted(calls):
    make_recordings(calls, 1, seconds=7.0)
    (calls / "manifest.csv").write_text("audio,text\n00.wav,hello\n01.wav,there\n")
    summary = run(Recogniser(), "calls/manifest.csv", "scores.jsonl")
    assert [(row["start"], row["end"]) for row in read()] == [(0.0, 5.0), (0.0, 1.0)]
    assert (summary.cut, summary.limit) == (1, 5.0)


def test_windows_that_the_pipeline_finds_are_rows(calls):
    recogniser = Recogniser()
    windows = [
        {"start": 0.0, "end": 0.5, "scores": [{"label": "sad", "score": 1.0}]},
        {"start": 0.5, "end": 1.0, "error": "x"},
    ]
    recogniser.answers = {"00.wav": windows, "01.wav": []}
    summary = run(recogniser, ["calls/00.wav", "calls/01.wav"], "scores.jsonl", ScoringOptions(vad=True))
    assert recogniser.calls[0]["vad"]
    assert recogniser.calls[0]["window_seconds"] == "auto"
    assert [(row["recording"], row["end"], row["label"], row["error"]) for row in read()] == [
        *(("calls/00.wav", 0.5, "sad", None), ("calls/00.wav", 1.0, None, "x")),
        ("calls/01.wav", None, None, None),
    ]
    assert (summary.rows, summary.errors, summary.speechless) == (3, 1, 1)


@pytest.mark.parametrize("number", [1, 2])
def test_killed_run_is_continued_at_its_row(calls, number):
    assert in_processes((run, Recogniser(("02.wav", 0.5)), "calls", "scores.jsonl", WINDOWS)) == [-signal.SIGKILL]
    journal = calls.parent / "scores.jsonl.journal" / "rows-00000.jsonl"
    assert len(journal.read_bytes().splitlines()) == 5
    assert not os.path.exists("scores.jsonl")
    if number == 2:  # killed while it wrote
        with open(journal, "r+b") as file:
            file.truncate(journal.stat().st_size - 9)
    rest = Recogniser()
    summary = run(rest, "calls", "scores.jsonl", WINDOWS)
    assert rest.seen == [("02.wav", 0.0)] * (number - 1) + [("02.wav", 0.5), ("03.wav", 0.0), ("03.wav", 0.5)]
    assert summary.scored == 2
    run(Recogniser(), "calls", "whole.jsonl", WINDOWS)
    assert read() == read("whole.jsonl")
    assert not journal.exists()


def test_bad_file_is_a_row_and_is_tried_again(calls):
    shutil.copy(calls / "00.wav", calls / "bad.wav")
    assert run(Recogniser(), "calls", "scores.jsonl").errors == 1
    assert [row["error"] for row in read()] == [None] * 4 + ["bad.wav is no recording."]
    (calls / "bad.wav").unlink()
    make_recordings(calls, 5)
    again = Recogniser()
    os.utime(calls / "00.wav", ns=(1, 1))
    for number in (1, 2, 3):
        os.utime(calls / f"{number:02d}.wav", ns=(number, number))
    assert run(again, "calls", "scores.jsonl").errors == 0
    assert len(read()) == len(again.seen) == 5
    assert not os.path.exists("scores.jsonl.journal")


def test_only_changed_files_are_scored_again(calls):
    shutil.copy(calls / "00.wav", calls / "bad.wav")
    run(Recogniser(), "calls", "scores.jsonl")
    os.utime(calls / "02.wav", ns=(1, 1))
    again = Recogniser()
    run(again, "calls", "scores.jsonl")
    assert [name for name, _ in again.seen] == ["02.wav", "bad.wav"]
    assert len(read()) == 5


def test_finished_table_is_not_replaced(calls):
    run(Recogniser(), "calls", "scores.jsonl")
    with pytest.raises(FileExistsError, match="exists already: remove it, or give another name"):
        run(Recogniser(), "calls", "scores.jsonl")


def test_other_options_do_not_continue_a_run(calls):
    shutil.copy(calls / "00.wav", calls / "bad.wav")
    run(Recogniser(), "calls", "scores.jsonl")
    with pytest.raises(ValueError, match=r"with another window_seconds \(none, now 0\.5\): give the same, or another"):
        run(Recogniser(), "calls", "scores.jsonl", WINDOWS)
    with pytest.raises(
        ValueError, match=r"another dtype \(float32, now bfloat16\) and window_seconds \(none, now 0\.5\)"
    ):
        run(Recogniser(dtype="bfloat16"), "calls", "scores.jsonl", WINDOWS)


def test_two_runs_do_not_write_one_table(calls):
    with Journal("scores.jsonl") as journal:
        journal.begin({})
        with pytest.raises(ValueError, match="Another run writes to"):
            run(Recogniser(), "calls", "scores.jsonl")


def test_damaged_line_of_a_journal_is_named(calls):
    shutil.copy(calls / "00.wav", calls / "bad.wav")
    run(Recogniser(), "calls", "scores.jsonl")
    file = calls.parent / "scores.jsonl.journal" / "rows-00000.jsonl"
    file.write_bytes(b"[1, 2]\n" + file.read_bytes())
    with pytest.raises(ValueError, match=r"rows-00000\.jsonl, line 1, is damaged"):
        run(Recogniser(), "calls", "scores.jsonl")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hop_seconds": 1.0}, "give it with window_seconds"),
        ({"window_seconds": 9.0}, "Windows of 9 s are longer than the 5 s"),
        ({"window_seconds": 1.0, "hop_seconds": 2.0}, "hop_seconds must be"),
    ],
)
def test_impossible_windows_are_refused(calls, options, message):
    with pytest.raises(ValueError, match=message):
        run(Recogniser(), "calls", "scores.jsonl", ScoringOptions(**options))
    assert not os.path.exists("scores.jsonl.journal")


def score_as_one_of_two(rank, port):
    PartialState._shared_state.clear()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    recogniser = Recogniser(dtype=("float32", "bfloat16")[rank])
    summary = run(recogniser, "calls", "scores.jsonl", WINDOWS)
    assert (summary is None) == (rank == 1)
    assert recogniser.model.dtype == "float32"  # that of the first process
    with pytest.raises(ValueError, match="Several processes have a device each"):
        run(recogniser, "calls", "scores.jsonl", WINDOWS, device="cpu")


def test_processes_share_the_recordings_and_write_one_table(calls):
    assert in_processes((run, Recogniser(("01.wav", 0.5)), "calls", "scores.jsonl", WINDOWS)) == [-signal.SIGKILL]
    shutil.copy(calls / "00.wav", calls / "bad.wav")
    port = str(free_port())
    assert in_processes(*((score_as_one_of_two, rank, port) for rank in (0, 1))) == [0, 0]
    journal = calls.parent / "scores.jsonl.journal"
    lines = [file.read_bytes().splitlines() for file in sorted(journal.glob("rows-*.jsonl"))]
    assert [len(own) for own in lines] == [3 + 1 + 2, 2 + 2]
    assert len(read()) == 10
    assert sum(row["error"] is not None for row in read()) == 2


@pytest.mark.parametrize("learned", [{}, DIMENSIONS, BOTH], ids=["classes", "dimensions", "both"])
def test_rows_are_the_answers_of_the_pipeline(calls, learned):
    model = next(case for case in CASES if case.name == "cross_attention").model(**learned)
    processor = make_processor(model.config.modalities)
    recognise = pipeline("emotion-recognition", model=model, processor=processor)
    scorer = Scorer(lambda device: recognise, ScoringOptions(batch_size=3))
    (calls / "manifest.csv").write_text("audio,text\n00.wav,hello there\n01.wav,\ngone.wav,\n")
    recordings = find_recordings(["calls/manifest.csv"]).recordings
    bad, *good = [row for part in scorer(recordings) for row in part.rows]
    assert bad["error"].endswith("gone.wav does not exist.")
    for row, text in zip(good, ("hello there", None), strict=True):
        answer = recognise({"audio": row["recording"], "text": text})
        entries = answer["scores"] + answer["dimensions"] if isinstance(answer, dict) else answer
        assert {entry["label"]: row[entry["label"]] for entry in entries} == pytest.approx(
            {entry["label"]: entry["score"] for entry in entries}, abs=1e-5
        )


def test_model_of_dialogues_gets_earlier_windows_and_texts_alone(calls):
    recogniser = Recogniser()
    recogniser.processor.earlier_turns = 2
    (calls / "manifest.csv").write_text("audio,text\n00.wav,\n01.wav,hello\n")
    recogniser.answers = {"00.wav": [{"start": 0.0, "end": 1.0, "scores": [{"label": "sad", "score": 1.0}]}]}
    summary = run(recogniser, "calls/manifest.csv", "scores.jsonl")
    assert [call.get("window_seconds") for call in recogniser.calls] == [None, "auto"]
    assert [row["label"] for row in read()] == ["sad", "sad"]
    assert summary.has_no_turns


def test_turns_of_a_dialogue_are_read_before_an_utterance(calls):
    lines = [
        "audio,dialogue_id,turn,speaker,text",
        *("00.wav,d,3,Ann,third", "01.wav,d,1,Ann,first", "02.wav,d,2,Ben,", "03.wav,e,1,Ben,other"),
    ]
    (calls / "manifest.csv").write_text("\n".join(lines) + "\n")
    (calls / "below").mkdir()
    (calls / "below" / "manifest.csv").write_text("audio,dialogue\n../00.wav,d\n")
    recogniser = Recogniser()
    recogniser.processor.earlier_turns = 2
    summary = run(recogniser, ["calls/manifest.csv", "calls/below/manifest.csv"], "scores.jsonl", root="calls")
    assert not summary.has_no_turns
    contexts = {
        name: given.get("context", []) for (name, _), given in zip(recogniser.seen, recogniser.inputs, strict=True)
    }
    assert [(turn.get("text"), turn["speaker"]) for turn in contexts["00.wav"]] == [("first", "Ann"), (None, "Ben")]
    assert [len(contexts[name]) for name in ("01.wav", "02.wav", "03.wav")] == [0, 1, 0]
    assert [(row["dialogue"], row["turn"]) for row in read()] == [("d", 3), ("d", 1), ("d", 2), ("e", 1), ("d", None)]


def test_changed_turn_is_read_again_by_those_after_it(calls):
    (calls / "bad.wav").write_text("")
    text = "audio,dialogue,text\nbad.wav,f,x\n00.wav,d,a\n01.wav,d,b\n02.wav,e,c\n"
    for words in ("a", "changed"):
        (calls / "manifest.csv").write_text(text.replace(",d,a", f",d,{words}"))
        recogniser = Recogniser()
        recogniser.processor.earlier_turns = 1
        run(recogniser, "calls/manifest.csv", "scores.jsonl")
    assert [name for name, _ in recogniser.seen] == ["bad.wav", "00.wav", "01.wav"]


def test_dialogue_changes_nothing_for_a_model_without_context(calls):
    (calls / "manifest.csv").write_text("audio,conversation,turn\n00.wav,d,1\n01.wav,d,2\n02.wav,d,two\n")
    recogniser = Recogniser()
    run(recogniser, "calls/manifest.csv", "scores.jsonl")
    assert not any("context" in given for given in recogniser.inputs)
    assert [(row["dialogue"], row["turn"]) for row in read()] == [("d", 1), ("d", 2), ("d", None)]
    assert read()[2]["error"].endswith("row 3: its turn 'two' is not a whole number of 64 bits.")


def test_process_gets_whole_dialogues():
    recordings = {str(place): Recording("", dialogue=name) for place, name in enumerate([None, "d", "e", "d", None])}
    shares = [share_dialogues(recordings, process, 2) for process in (0, 1)]
    assert [[*share] for share in shares] == [["0", "2"], ["1", "3", "4"]]


def test_windows_are_decoded_once_also_where_a_run_goes_on(tmp_path, monkeypatch):
    model = next(case for case in CASES if case.name == "cross_attention").model()
    recognise = pipeline("emotion-recognition", model=model, processor=make_processor(model.config.modalities))
    scorer = Scorer(lambda device: recognise, ScoringOptions(window_seconds=0.5))
    (tmp_path / "call.amr").write_bytes(
        encode(tone(6.0, 8000), "amr", "libopencore_amrnb", 8000, codec_options={"b": "12200"})
    )
    recordings = find_recordings([tmp_path]).recordings
    monkeypatch.setattr("emofusion.processing.long_recordings.STRETCH", 1.0)
    seconds, read = [], media.read_blocks

    def count(*arguments):
        for block in read(*arguments):
            seconds.append(len(block.samples) / block.rate)
            yield block

    monkeypatch.setattr(media, "read_blocks", count)
    parts = list(scorer(recordings))
    assert [part.part for part in parts] == list(range(13))  # the encoder adds a frame
    assert sum(seconds) == pytest.approx(6.0, abs=0.1)
    seconds.clear()
    rest = list(scorer(recordings, {parts[0].key: [0, 1, 2, 3, 4, 5, 7]}))
    assert [part.part for part in rest] == [6, 8, 9, 10, 11, 12]
    assert 3.0 < sum(seconds) < 5.0  # with up to two seconds before the first one, and packets before them
    for part in rest:
        assert part.rows[0]["score"] == pytest.approx(
            parts[part.part].rows[0]["score"], abs=1e-3
        )  # AMR decodes with a state


def test_workers_of_ray_get_the_dtype_of_the_command(calls, monkeypatch):
    given = []
    monkeypatch.setattr(
        "emofusion.inference.ray_engine.score_on_ray", lambda load, *_: given.append(load.keywords) or []
    )
    run(Recogniser(dtype="bfloat16"), "calls", "scores.jsonl", engine="ray")
    assert given == [{"dtype": "bfloat16"}]
    with pytest.raises(ValueError, match="Several processes have a device each"):
        run(Recogniser(), "calls", "other.jsonl", engine="ray", device="cpu")
