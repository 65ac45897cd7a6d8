"""The server under load, against a naive one that runs the pipeline on one request at a time.

The model is one of speech with random weights, small or of the size of wav2vec 2.0 base. Clients send recordings of noise at 16 kHz one
after another over the loopback; a client is a thread of this process, as the servers are.
"""

import http.client
import io
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..configuration.modalities import SAMPLING_RATE
from .measuring import table
from .scoring import SMALL
from .subprocess_run import run_in_subprocess

CLIENTS = (1, 4, 16)
SECONDS = 3.0  # of a recording
BATCH = 8  # the default of `emofusion serve`
TINY = SMALL | {"conv_dim": [32] * 7}  # a model that takes no longer than the requests around it
REQUESTS = {True: 64, False: 16}  # of a measurement, by whether the model is small
BOUNDARY = "emofusion-benchmark"


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    if quick:
        rows, _ = run_in_subprocess(measure_size, small=True, clients=[1, 4], requests=4)
        return [table("Small model, few requests", rows)]
    tables = []
    for title, small in (("Small model", True), ("Model of base size", False)):
        rows, _ = run_in_subprocess(measure_size, small=small, clients=list(CLIENTS), requests=REQUESTS[small])
        tables.append(table(f"{title}, recordings of {SECONDS:g} s", rows))
    tables[-1]["note"] = (
        "Naive: the same framework, which decodes and runs one request at a time under a lock. Ratio: requests per second over those of "
        "the naive server with as many clients. p50 and p99: milliseconds from sending a request to its answer."
    )
    return tables


def measure_size(small: bool, clients: list[int], requests: int) -> list[dict]:
    """Return a row for each server and number of clients."""
    from ..inference.serving import Server

    with tempfile.TemporaryDirectory() as folder:
        recognise = build_pipeline(Path(folder), small)
        server = Server(recognise, folder, batch_size=BATCH)
        request, rows = make_request(), []
        with run_app(server.app) as ours, run_app(build_naive(recognise)) as naive:
            ask(ours, request), ask(naive, request)
            for number in clients:
                found = {
                    name: load(port, request, number, requests) for name, port in (("naive", naive), ("serve", ours))
                }
                first = found["naive"]["per s"]
                rows += [
                    {"what": f"{name}, {number} client{'s' * (number > 1)}", **row, "ratio": row["per s"] / first}
                    for name, row in found.items()
                ]
    return rows


def load(port: int, request: tuple[bytes, str], clients: int, requests: int) -> dict[str, float]:
    """Return throughput and latencies of requests of several clients, each of which sends one after another."""
    numbers = iter(range(max(requests, 2 * clients)))
    lock, times = threading.Lock(), []

    def work() -> None:
        while True:
            with lock:
                if next(numbers, None) is None:
                    return
            begin = time.perf_counter()
            ask(port, request)
            times.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(work) for _ in range(clients)]:
            done.result()
    wall = time.perf_counter() - begin
    p99 = float(np.percentile(times, 99))
    return {
        "requests": len(times),
        "per s": len(times) / wall,
        "p50 ms": 1e3 * statistics.median(times),
        "p99 ms": 1e3 * p99,
    }


def ask(port: int, request: tuple[bytes, str]) -> None:
    """Send a request, and wait for its answer."""
    body, kind = request
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/recognise", body, {"Content-Type": kind})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"The server answered {response.status}: {content[:200]!r}")


def make_request() -> tuple[bytes, str]:
    """Return the body of a form with a recording, and its content type."""
    import soundfile

    file = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * SAMPLING_RATE))
    soundfile.write(file, samples, SAMPLING_RATE, format="WAV")
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
    return (
        head.encode() + file.getvalue() + f"\r\n--{BOUNDARY}--\r\n".encode(),
        f"multipart/form-data; boundary={BOUNDARY}",
    )


def build_pipeline(folder: Path, small: bool) -> Any:
    """Save a model of speech, and return its pipeline."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, pipeline

    from .. import EmoFusionProcessor, UnimodalConfig, UnimodalForSequenceClassification

    torch.manual_seed(0)
    encoder = Wav2Vec2Config(**TINY if small else {}).to_dict()
    config = UnimodalConfig(modality="audio", audio_config=encoder, num_labels=4)
    UnimodalForSequenceClassification(config).save_pretrained(folder)
    model = UnimodalForSequenceClassification.from_pretrained(folder, dtype="auto")
    return pipeline("emotion-recognition", model=model, processor=EmoFusionProcessor(Wav2Vec2FeatureExtractor()))


def build_naive(recognise: Callable) -> Any:
    """Return a server as one would write it first."""
    from fastapi import FastAPI, UploadFile

    app, lock = FastAPI(), threading.Lock()

    def answer(audio: UploadFile) -> list[dict]:
        with lock:
            return recognise(audio.file.read())

    app.post("/recognise")(answer)
    return app


@contextmanager
def run_app(app: Any) -> Iterator[int]:
    """Run an application in a thread, and yield its port."""
    import uvicorn

    from ..inference.serving import listen

    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
