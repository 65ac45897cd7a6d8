"""Clients that wait, are slow, or leave."""

import asyncio
import json
from pathlib import Path

import pytest

pytest.importorskip("fastapi_offline", reason="the server is not installed (pip install 'emofusion[serve]')")
from emofusion.inference.serving_requests import Limits
from testing_serving import BOUNDARY, PART, Recogniser, call_app, form, make_server, talk, wav


def test_full_queue_is_refused_until_there_is_place():
    recognise = Recogniser(waits=True)
    server = make_server(recognise, limits=Limits(queue=2), max_wait=0.0)

    async def send(client):
        first = [asyncio.ensure_future(client.post("/recognise", **form(text=text))) for text in ("1", "2")]
        await asyncio.to_thread(recognise.called.wait, 60)
        full = await client.post("/recognise", **form(text="3"))
        recognise.go.set()
        await asyncio.gather(*first)
        return full, await client.post("/recognise", **form(text="4"))

    full, later = talk(server, send)
    assert (full.status_code, full.headers["retry-after"]) == (503, "2")
    assert full.json() == {"error": "2 requests are in progress: try again later."}
    assert later.status_code == 200


def test_client_that_goes_is_dropped_from_queue():
    recognise = Recogniser(waits=True)
    server = make_server(recognise, max_wait=0.0)
    body = PART + wav() + b"\r\n--x--\r\n"

    async def send(client):
        first = asyncio.ensure_future(client.post("/recognise", **form(text="1")))
        await asyncio.to_thread(recognise.called.wait, 60)
        messages = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

        async def receive():
            if len(messages) == 1:
                while not server.batcher.waiting:
                    await asyncio.sleep(0.01)
            return messages.pop(0)

        await call_app(server.app, receive, [BOUNDARY, (b"content-length", str(len(body)).encode())])
        state = server.batcher.waiting, server.in_progress
        recognise.go.set()
        return state, await first

    state, first = talk(server, send)
    assert state == (0, 1)
    assert first.status_code == 200
    assert recognise.calls == [["1"]]


def test_client_that_goes_during_its_upload_leaves_nothing():
    server = make_server()

    async def send(_):
        messages = [
            {"type": "http.request", "body": PART + wav()[:500], "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive():
            return messages.pop(0)

        start, _ = await call_app(server.app, receive, [BOUNDARY, (b"content-length", b"9999")])
        return start["status"], server.in_progress, list(Path(server.folder).iterdir())

    assert talk(server, send) == (499, 0, [])


def test_slow_upload_and_slow_model_are_ended(monkeypatch):
    recognise = Recogniser(waits=True)
    server = make_server(recognise, limits=Limits(request_seconds=30), max_wait=0.0)
    # The first recording arrives in time and is not answered in time; the second does not arrive.
    late, timeout_at, deadlines = iter((False, True, True)), asyncio.timeout_at, []

    def end(deadline):
        deadlines.append(deadline - asyncio.get_running_loop().time())
        return timeout_at(0 if next(late) else None)

    monkeypatch.setattr(asyncio, "timeout_at", end)

    async def hang():
        await asyncio.Event().wait()

    async def send(client):
        slow = await client.post("/recognise", **form(text="1"))
        recognise.go.set()
        return slow, await call_app(server.app, hang, [BOUNDARY, (b"transfer-encoding", b"chunked")])

    slow, (start, body) = talk(server, send)
    assert (slow.status_code, start["status"]) == (503, 408)
    assert slow.json()["error"] == "The answer is not ready after 30 s: try again later."
    assert json.loads(body)["error"] == "The recording did not arrive within 30 s."
    assert server.in_progress == 0
    assert len(deadlines) == 3
    assert deadlines[1] <= deadlines[0] <= 30  # one deadline for both
