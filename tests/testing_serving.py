"""A recogniser without a model, and requests, for the tests of the server."""

import asyncio
import io
import threading
from types import SimpleNamespace

import httpx2
import numpy as np
import soundfile
from emofusion.inference.serving import Server

ADDRESS = "http://127.0.0.1:8000"
BOUNDARY = (b"content-type", b"multipart/form-data; boundary=x")
PART = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'


class Recogniser:
    """A pipeline whose answers follow from the texts; it may wait at each call until `go` is set."""

    def __init__(self, waits=False):
        self.calls, self.options, self.go, self.called, self.transcriber = (
            [],
            [],
            threading.Event(),
            threading.Event(),
            None,
        )
        config = {
            "id2label": {0: "sad", 1: "happy"},
            "is_regression": False,
            "dimensions": None,
            "problem_type": None,
            "history": 0,
        }
        self.model = SimpleNamespace(
            config=SimpleNamespace(**config, modalities=("audio", "text"), _commit_hash="c0ffee"),
            dtype="float32",
        )
        self.device = "cpu"
        self.processor = SimpleNamespace(decoded_seconds=5.0, longest_seconds=None, earlier_turns=0)
        if not waits:
            self.go.set()

    def __call__(self, inputs, **options):
        texts = [row.get("text") for row in (inputs if isinstance(inputs, list) else [inputs])]
        self.calls.append(texts)
        self.options.append(options)
        self.called.set()
        assert self.go.wait(60)
        if "raise" in texts:
            raise RuntimeError("/secret/place is no place.")
        answers = [self.answer(text) for text in texts]
        return answers if isinstance(inputs, list) else answers[0]

    @staticmethod
    def answer(text):
        if text == "bad":
            return {"error": "/tmp/secret/audio holds no sound."}
        happy = float(text or 0) / 100
        scores = [{"label": "happy", "score": happy}, {"label": "sad", "score": 1 - happy}]
        return {"text": text, "scores": scores}


def wav(seconds=0.5, rate=8000, level=0.1, seed=0):
    """Return noise as a wav file."""
    file = io.BytesIO()
    samples = level * np.random.default_rng(seed).normal(0, 1, round(rate * seconds))
    soundfile.write(file, samples.clip(-1, 1), rate, format="WAV")
    return file.getvalue()


def talk(server, conversation):
    """Return the result of a coroutine function of a client, while a server without a network runs."""

    async def run():
        async with server.app.router.lifespan_context(server.app):
            transport = httpx2.ASGITransport(server.app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as client:
                return await conversation(client)

    return asyncio.run(run())


def post(server, *requests, path="/recognise"):
    """Return the answers to requests that are sent at the same time, each the arguments of a `post` of httpx."""

    async def send(client):
        return await asyncio.gather(*(client.post(path, **request) for request in requests))

    return talk(server, send)


def form(content=None, **fields):
    """Return the arguments of a request with a recording."""
    return {"files": {"audio": ("voice.wav", wav() if content is None else content)}, "data": fields}


def make_server(recognise=None, **options):
    """Return a server."""
    return Server(recognise or Recogniser(), "somebody/name", **options)


async def call_app(app, receive, headers=(), path="/recognise"):
    """Call an ASGI application with a request whose body a function gives; return the status and the body."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, send)
    return sent[0], b"".join(message.get("body", b"") for message in sent[1:])
