"""The server of a model, without a network."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi_offline", reason="the server is not installed (pip install 'emofusion[serve]')")
import httpx2
import uvicorn
from emofusion.inference import serving_requests
from emofusion.inference.serving import configure, listen
from emofusion.inference.serving_models import Answer, Health
from emofusion.inference.serving_requests import Limits
from testing_common import CASES
from testing_dimensions import BOTH, DIMENSIONS
from testing_meld import write_video
from testing_pages import ROOT, code_blocks
from testing_pipeline import build, make_processor
from testing_serving import BOUNDARY, PART, Recogniser, call_app, form, make_server, post, talk, wav
from transformers import pipeline

TASKS = {"classification": {}, "dimensions": DIMENSIONS, "multi_task": BOTH}


def recogniser(task="classification", **options):
    case = next(case for case in CASES if case.name == "cross_attention")
    model = case.model(**TASKS[task])
    return pipeline("emotion-recognition", model=model, processor=make_processor(("audio", "text"), **options))


def numbers(entries):
    return {entry["label"]: pytest.approx(entry["score"], abs=1e-5) for entry in entries}


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_those_of_pipeline_alone_and_state_model(task):
    recognise = recogniser(task)
    contents = [wav(seconds, seed=number) for number, seconds in enumerate((0.5, 1.0, 0.3))]
    server = make_server(recognise, batch_size=3, max_wait=3600.0)
    responses = post(server, *(form(content, text="hello there") for content in contents))
    for content, response in zip(contents, responses, strict=True):
        answer = response.json()
        alone = recognise({"audio": content, "text": "hello there"}, return_text=True)
        assert response.status_code == 200
        assert (answer["model"], answer["text"], answer["silent"]) == ("somebody/name", "hello there", False)
        for kind in {"scores", "dimensions"} & {*alone}:
            assert {entry["label"]: entry["score"] for entry in answer[kind]} == numbers(alone[kind])
            assert [entry.get("scale") for entry in answer[kind]] == [entry.get("scale") for entry in alone[kind]]
        assert {*answer} == {"model", "version", "silent", *alone}
        Answer.model_validate(answer)


def test_health_states_task_classes_limits_and_queue():
    server = make_server(recogniser("multi_task", max_seconds=2.0))
    health = talk(server, lambda client: client.get("/health")).json()
    assert (health["ready"], health["task"], health["dimensions"]) == (True, "multi_task", ["valence", "arousal"])
    assert (health["longest_seconds"], health["limits"]["queue"]) == (2.0, 32)
    assert health["queue"] == {"in_progress": 0, "waiting": 0, "running": 0}
    assert (health["device"], health["dtype"]) == ("cpu", "float32")
    Health.model_validate(health)


def test_recording_too_long_for_model_is_answered_in_windows():
    recognise = build(settings={"max_seconds": 1.0})
    content = wav(2.5)
    given, automatic, text = post(
        make_server(recognise),
        form(content, window_seconds="1", hop_seconds="0.5"),
        form(content),
        form(content, text="hello"),
    )
    for response, options in ((given, {"window_seconds": 1, "hop_seconds": 0.5}), (automatic, {"window_seconds": 1})):
        rows, answer = recognise(content, **options), response.json()
        assert [(row["start"], row["end"]) for row in answer["windows"]] == [
            (row["start"], row["end"]) for row in rows
        ]
        for row, alone in zip(answer["windows"], rows, strict=True):
            assert {entry["label"]: entry["score"] for entry in row["scores"]} == numbers(alone["scores"])
        Answer.model_validate(answer)
    assert text.json()["error"].startswith(
        "The recording lasts 2.5 s, and this model takes 1 s at a time: leave the text"
    )


def test_model_with_video_gets_both_files(tmp_path):
    recognise = build("wavfusion")
    write_video(tmp_path / "video.mp4", 0.5, 300)
    video = (tmp_path / "video.mp4").read_bytes()
    files = {"audio": ("a.wav", wav()), "video": ("v.mp4", video)}
    (response,) = post(make_server(recognise), {"files": files, "data": {"text": "hello"}})
    alone = recognise({"audio": wav(), "video": video, "text": "hello"})
    assert {entry["label"]: entry["score"] for entry in response.json()["scores"]} == numbers(alone)


def test_silence_is_said():
    recognise = build(settings={"max_seconds": 1.0})
    short, long = post(make_server(recognise), form(wav(level=0.0)), form(wav(2.0, level=0.0)))
    assert short.json()["silent"] is True
    assert long.json()["silent"] is True


def test_model_of_conversations_reads_turns():
    server = make_server(build(settings={"context_turns": 2}))
    turns = json.dumps(["no dict"]), json.dumps([{"text": "go away", "speaker": "a"}])
    wrong, right, alone = post(
        server,
        form(text="hello", context=turns[0]),
        form(text="hello", context=turns[1], speaker="b"),
        form(text="hello", speaker="b"),
    )
    assert wrong.json()["error"].startswith("context.0 is wrong: ")
    assert right.status_code == alone.status_code == 200
    assert right.json()["scores"] != alone.json()["scores"]


def test_requests_that_arrive_together_share_calls_and_bad_one_fails_alone():
    recognise = Recogniser()
    texts = [str(number) for number in range(1, 9)] + ["bad"]
    server = make_server(recognise, batch_size=9, max_wait=3600.0)
    *good, bad = post(server, *(form(text=text) for text in texts))
    assert len(recognise.calls) == 1
    assert [response.json()["scores"][0]["score"] for response in good] == [n / 100 for n in range(1, 9)]
    assert bad.status_code == 422
    assert bad.json() == {"error": "audio holds no sound."}


def test_failure_of_model_is_an_error_of_server_without_details():
    (response,) = post(make_server(), form(text="raise"))
    assert response.status_code == 500
    assert response.json() == {"error": "The model failed on this recording; the log of the server has the reason."}


GOOD = wav()
BAD = {
    "no body": (415, {}, "Send a form"),
    "text": (415, {"content": b"hello", "headers": {"content-type": "text/plain"}}, "Send a form"),
    "no boundary": (
        400,
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
        "The form cannot be read",
    ),
    "damaged form": (
        400,
        {"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        "The form",
    ),
    "many fields": (400, form(**{f"f{number}": "" for number in range(20)}), "The form cannot be read"),
    "no file": (422, {"files": {"text": (None, "")}}, "There is no recording: send it as the file audio"),
    "other file": (422, {"files": {"\x1b<b>": ("a.wav", GOOD)}}, "There is no file "),
    "no file but field": (422, {"files": {"audio": (None, "x")}}, "audio must be a file"),
    "two files": (422, {"files": [("audio", ("a", GOOD)), ("audio", ("b", GOOD))]}, "audio is given twice."),
    "empty file": (422, form(b""), "The file audio is empty."),
    "no sound": (422, form(b"no sound " * 99), "audio is not an audio or video file"),
    "too long": (422, form(wav(31, rate=1000)), "The file audio lasts 31 s: send at most 30 s."),
    "unknown option": (422, form(top_k="1"), "There is no option top_k: the options are text, "),
    "no number": (422, form(window_seconds="wide"), "window_seconds is wrong: input should be a valid number"),
    "not finite": (422, form(window_seconds="nan"), "window_seconds is wrong: "),
    "window too long": (422, form(window_seconds="9"), "window_seconds is 9, and this model takes 5 s"),
    "window too short": (422, form(window_seconds="0.01"), "window_seconds must be a number of at least 0.1"),
    "lone hop": (422, form(hop_seconds="1"), "hop_seconds is the distance of windows"),
    "hours of windows": (
        422,
        form(wav(25, 1000), window_seconds="5", hop_seconds="0.1"),
        "The windows of this recording",
    ),
    "word times": (422, form(word_times="true"), "word_times needs a transcriber"),
    "long text": (422, form(text="x" * 2001), "text is wrong: "),
    "file in a turn": (
        422,
        form(context='[{"text": "a", "audio": "/etc/passwd"}]'),
        "There is no option context.0.audio",
    ),
    "deep turns": (422, form(context="[" * 5000), "context is wrong: "),
    "url": (403, {"json": {"url": "http://127.0.0.1/"}}, "This server takes no URLs"),
    "form without file": (415, {"data": {"text": "x"}}, "Send a form"),
}


def test_every_bad_request_is_answered_by_one_sentence_and_leaves_no_file():
    server = make_server(limits=Limits(seconds=30.0))

    async def send(client):
        answers = {kind: await client.post("/recognise", **request) for kind, (_, request, _) in BAD.items()}
        answers |= {
            "wrong path": await client.get("/../etc/passwd"),
            "wrong method": await client.get("/recognise"),
            "foreign name": await client.get("/health", headers={"host": "evil.example"}),
        }
        return answers, list(Path(server.folder).iterdir())

    answers, left = talk(server, send)
    assert not left
    assert not Path(server.folder).exists()
    expected = {kind: (status, sentence) for kind, (status, _, sentence) in BAD.items()} | {
        "wrong path": (404, "There is no such page"),
        "wrong method": (405, "This method is not allowed here"),
        "foreign name": (400, "The server is not called by this name"),
    }
    for kind, (status, sentence) in expected.items():
        response = answers[kind]
        assert (kind, response.status_code) == (kind, status)
        assert response.headers["content-type"] == "application/json"
        assert [*response.json()] == ["error"]
        error = response.json()["error"]
        assert error.startswith(sentence), kind
        assert error.endswith(".")
        assert "\x1b" not in error
        assert server.folder not in error


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "streamed"])
def test_too_large_body_is_refused_before_it_is_read_to_the_end(announced):
    server = make_server(limits=Limits(megabytes=1))
    pieces = 0

    async def receive():
        nonlocal pieces
        pieces += 1
        return {
            "type": "http.request",
            "body": (PART if pieces == 1 else b"") + bytes(2**16),
            "more_body": pieces < 999,
        }

    async def send(_):
        length = [(b"content-length", b"65536000")] if announced else [(b"transfer-encoding", b"chunked")]
        return await call_app(server.app, receive, [BOUNDARY, *length])

    start, body = talk(server, send)
    assert start["status"] == 413
    assert json.loads(body) == {"error": "The recording is too large: send at most 1 MB."}
    assert (b"connection", b"close") in start["headers"]
    assert pieces == 0 if announced else pieces < 30


def test_allowed_urls_are_downloaded_from_public_addresses_only(monkeypatch):
    server = make_server(allow_urls=True)
    (private,) = post(server, {"json": {"url": "http://127.0.0.1:9/a.wav"}})
    assert private.status_code == 422
    assert private.json()["error"].startswith("The recording cannot be downloaded: its URL must")
    seen = []
    monkeypatch.setattr(serving_requests, "download", lambda *arguments: seen.append(arguments) or wav())
    server = make_server(allow_urls=True, limits=Limits(megabytes=2, request_seconds=30))
    good, wrong, no_json = post(
        server,
        {"json": {"url": "http://a.org/a.wav", "text": "7"}},
        {"json": {"text": "x"}},
        {"content": b"{", "headers": {"content-type": "application/json"}},
    )
    assert good.json()["scores"][0]["score"] == 0.07
    assert seen == [("http://a.org/a.wav", 30, False, 2**21)]
    assert wrong.json() == {"error": "url is wrong: field required."}
    assert no_json.json()["error"].startswith("The JSON text is wrong: ")


def test_description_is_complete_and_its_page_is_local():
    server = make_server()

    async def send(client):
        page = await client.get("/docs")
        local = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        return page.text, local, [await client.get(path) for path in local], (await client.get("/openapi.json")).json()

    page, local, files, document = talk(server, send)
    assert len(local) >= 3
    assert all(path.startswith("/") for path in local)
    assert all(file.status_code == 200 for file in files)
    assert "https://" not in page
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    assert {*re.findall(r'"#/components/schemas/(\w+)"', text)} <= {*schemas}
    assert '"#/$defs' not in text
    operation = document["paths"]["/recognise"]["post"]
    assert {*operation["requestBody"]["content"]} == {"multipart/form-data", "application/json"}
    assert {*operation["responses"]} == {"200", "400", "403", "408", "413", "415", "422", "500", "503"}
    assert {"audio", "video", "text", "window_seconds", "vad"} <= {*schemas["FormRequest"]["properties"]}


@contextmanager
def run_in_thread(server):
    """Runs a server; yields its address, its socket, and what stops it."""
    listening, running = listen("127.0.0.1", 0), uvicorn.Server(configure(server))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}", listening, running
    finally:
        running.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


def test_clients_of_page_get_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("recording.wav", "call.mp3"):
        Path(name).write_bytes(wav(10.0 if name == "call.mp3" else 0.5))
    page = ROOT / "docs" / "serving.md"
    with run_in_thread(make_server(build(settings={"max_seconds": 8.0}))) as (address, *_):
        (code,) = code_blocks(page, "python")
        exec(code.replace("127.0.0.1:8000", address), {})
        assert {entry["label"] for entry in ast.literal_eval(capsys.readouterr().out)} == {"sad", "happy", "angry"}
        for line in code_blocks(page, "bash")[1].splitlines() if shutil.which("curl") else ():
            command = shlex.split(line.replace("127.0.0.1:8000", address))
            answer = subprocess.run([command[0], "-s", *command[1:]], capture_output=True, check=True).stdout
            Answer.model_validate_json(answer)


def test_stop_finishes_requests_in_progress_and_refuses_others():
    recognise = Recogniser(waits=True)
    server = make_server(recognise, max_wait=0.0)
    with run_in_thread(server) as (place, listening, running), ThreadPoolExecutor(1) as pool:
        address = f"http://{place}/recognise"
        first = pool.submit(httpx2.post, address, **form(text="1"), trust_env=False, timeout=60)
        assert recognise.called.wait(60)
        running.should_exit = True
        while listening.fileno() >= 0:
            time.sleep(0.01)
        with pytest.raises(httpx2.TransportError):
            httpx2.post(address, **form(text="2"), trust_env=False)
        recognise.go.set()
        assert first.result(60).json()["scores"][0]["score"] == 0.01
    assert recognise.calls == [["1"]]
