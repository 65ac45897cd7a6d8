"""Requests to the server of a model."""

import asyncio
import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from testing_pipeline import build
from testing_serving import call_app, make_server, wav

from .judging import is_sentence
from .spoil_bytes import spoil_bytes
from .spoil_text import spoil_lines
from .spoil_trees import spoil_json
from .target import Spoiled, Target

FORM = "multipart/form-data; boundary=xyz"
FIELDS = {"context": '[{"text": "go away", "speaker": "a"}]', "speaker": "b", "vad": "false"}
URL = {"url": "http://127.0.0.1:9/a.wav", "window_seconds": 0.5, "context": [{"text": "go"}], "vad": False}
STATUSES = {200, 400, 413, 415, 422}


@cache
def find_pipeline() -> Any:
    return build(settings={"max_seconds": 1.0, "context_turns": 2})


def build_request(folder: Path) -> dict[str, Any]:
    find_pipeline()
    fields = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in FIELDS.items()]
    file = b'Content-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n' + wav(1.5)
    pieces = [*map(str.encode, fields), file]
    return {"type": FORM, "body": b"".join(b"--xyz\r\n" + piece + b"\r\n" for piece in pieces) + b"--xyz--\r\n"}


def spoil_request(random: Random, valid: dict[str, Any], folder: Path) -> Spoiled:
    """Spoil the recording, the form around it, its type, or the JSON of a URL, which is not called."""
    place = random.choice(("form", "recording", "recording", "type", "json", "json"))
    if place == "json":
        what, text, _ = spoil_json(random, json.dumps(URL))
        return Spoiled(f"json: {what}", {"type": "application/json", "body": text.encode("utf-8", "surrogatepass")})
    if place == "type":
        what, kind = spoil_lines(random, FORM)
        return Spoiled(f"type: {what}", valid | {"type": kind.decode("latin-1")})
    start = valid["body"].index(b"RIFF")
    head, recording = valid["body"][:start], valid["body"][start:]
    if place == "form":
        what, head = spoil_bytes(random, head) if random.random() < 0.5 else spoil_lines(random, head.decode())
    else:
        what, recording = spoil_bytes(random, recording)
    return Spoiled(f"{place}: {what}", valid | {"body": head + recording})


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Return the status and the answer of the server, and the files that it left."""
    server = make_server(find_pipeline(), allow_urls=True, max_wait=0.0)
    body = request["body"]
    messages = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive():
        if not messages:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": messages.pop(0), "more_body": bool(messages)}

    async def run():
        async with server.app.router.lifespan_context(server.app):
            headers = [(b"content-type", request["type"].encode("latin-1")), (b"transfer-encoding", b"chunked")]
            start, answer = await call_app(server.app, receive, headers)
            return {
                "status": start["status"],
                "answer": json.loads(answer),
                "left": len([*Path(server.folder).iterdir()]),
            }

    return asyncio.run(run())


def check_response(answer: dict[str, Any], intact: dict[str, Any] | None, spoiled: Spoiled) -> str | None:
    if answer["status"] not in STATUSES or answer["left"]:
        return f"{answer}"
    if answer["status"] == 200:
        return None if {"model", "silent"} <= {*answer["answer"]} else f"no answer: {answer['answer']}"
    if [*answer["answer"]] != ["error"]:
        return f"no error: {answer['answer']}"
    error = answer["answer"]["error"]
    if not is_sentence(error) or "/tmp" in error:
        return f"no sentence: {error}"
    return None


TARGETS = [Target("serving", "inference", build_request, spoil_request, ask, check_response, weight=2)]
