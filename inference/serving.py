"""The server of one model: an endpoint for a recording, one for the state of the server, and a page that describes them."""

import asyncio
import logging
import math
import socket
import tempfile
from collections.abc import AsyncIterator, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from .. import __version__
from ..configuration.plain_text import reason_of, show_dtype
from ..evaluation.task import task_of_config
from ..processing.input_errors import TRANSCRIBER_FAILED
from ..processing.utterance_reader import Limit
from .identity import identify_model
from .model_names import name_model
from .serving_batcher import Batcher
from .serving_guard import Guard, Refused, as_json
from .serving_models import Answer, Error, Health
from .serving_requests import BODIES, Limits, name_unused, plan_call, read_request
from .shown_errors import SERVED, ServerLog, show_sentence

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
RETRY_AFTER = 2  # seconds after which a client that found the queue full may come again (ours)
GRACE = 5  # seconds beyond the longest request that a stop may take (ours)
NO_TELEMETRY = dict.fromkeys(("tracing", "metrics", "logs", "auto_configure"), False)
FAILED = "The model failed on this recording; the log of the server has the reason."
# Sentences for statuses that the library gives without one.
SENTENCES = {
    404: "There is no such page: the endpoints are POST /recognise and GET /health.",
    405: "This method is not allowed here: the endpoints are POST /recognise and GET /health.",
}
STATUSES = {
    400: "The form is damaged, or the server is called by a foreign name.",
    403: "The server takes no URLs.",
    408: "The recording did not arrive in time.",
    413: "The recording is too large.",
    415: "The body is no form, and no JSON.",
    422: "There is no recording, it cannot be read or is too long, or an option is wrong.",
    500: "The model failed.",
    503: "Too many requests are in progress, or the answer takes too long: try again later.",
}
ABOUT = 'Emotions of a recording, by a model of emofusion. Errors are `{{"error": "one sentence"}}`. {limits}'


class Server:
    """A server of one model.

    Args:
        recognise: The pipeline `emotion-recognition`.
        model: Folder of the model, or its name on the Hub.
        limits: The limits; None for the default ones.
        batch_size: See `Batcher`.
        batch_seconds: See `Batcher`.
        max_wait: See `Batcher`.
        allow_urls: Whether recordings may be at URLs.
        hosts: Names by which the server may be called; None for any.

    Attributes:
        app: The ASGI application.
        batcher: The thread that runs the model.
        in_progress: The number of requests that arrive, wait or run.
    """

    def __init__(
        self,
        recognise: Any,
        model: str,
        limits: Limits | None = None,
        batch_size: int = 8,
        batch_seconds: float = 120.0,
        max_wait: float = 0.01,
        allow_urls: bool = False,
        hosts: Collection[str] | None = LOOPBACK,
    ):
        self.recognise, self.limits, self.allow_urls = recognise, limits or Limits(), allow_urls
        self.name = name_model(model)
        version = identify_model(model, recognise).rpartition("@")[2]
        self.version = None if version == "None" else version  # a model of a cache may not know its commit
        self.batcher, self.in_progress, self.folder = Batcher(recognise, batch_size, batch_seconds, max_wait), 0, None
        self.app = self._build(hosts)

    def _build(self, hosts: Collection[str] | None) -> FastAPI:
        limits = self.limits
        app = FastAPIOffline(
            redoc_url=None,
            redirect_slashes=False,
            title=f"emofusion: {self.name}",
            version=__version__,
            description=ABOUT.format(
                limits=f"A request has at most {limits.megabytes:g} MB, a recording {limits.seconds:g} s."
            ),
            swagger_ui_parameters={"validatorUrl": None},
            lifespan=self._lifespan,
            telemetry=NO_TELEMETRY,
        )
        app.add_middleware(Guard, megabytes=limits.megabytes, hosts=hosts)
        errors = {status: {"model": Error, "description": text} for status, text in STATUSES.items()}
        responses = {200: {"model": Answer}, **errors}
        app.post("/recognise", responses=responses, operation_id="recognise", summary="Recognise a recording")(
            self._answer
        )
        app.get("/health", response_model=Health, operation_id="health", summary="State of the server")(self._health)

        async def refuse(_: Request, error: HTTPException) -> JSONResponse:
            is_ours = isinstance(error, Refused)
            sentence = error.detail if is_ours else SENTENCES.get(error.status_code, "The request is wrong.")
            return as_json(Refused(error.status_code, sentence, error.headers))

        async def fail(_: Request, error: Exception) -> JSONResponse:
            return as_json(Refused(500, FAILED))

        app.add_exception_handler(HTTPException, refuse)
        app.add_exception_handler(Exception, fail)
        _describe_bodies(app.openapi())
        return app

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncIterator[None]:
        """Keep the folder of recordings and the thread of the model while the server runs."""
        with tempfile.TemporaryDirectory(prefix=SERVED) as folder:
            self.folder = folder
            # A thread for each request, so that slow downloads do not keep others from being read.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self.limits.queue))
            self.batcher.start()
            try:
                yield
            finally:
                await asyncio.to_thread(self.batcher.close)

    async def _health(self) -> dict[str, Any]:
        """State of the server, of its model and of its queue."""
        config = self.recognise.model.config
        queue = {"in_progress": self.in_progress, "waiting": self.batcher.waiting, "running": self.batcher.running}
        return {
            "ready": self.batcher.is_alive,
            "model": self.name,
            "version": self.version,
            "device": str(self.recognise.device),
            "dtype": show_dtype(self.recognise.model.dtype),
            "task": task_of_config(config).name,
            "classes": [] if config.is_regression else list(config.id2label.values()),
            "dimensions": list(config.dimensions or ()),
            "modalities": list(config.modalities),
            "transcriber": self.recognise.transcriber is not None,
            "longest_seconds": Limit.from_processor(self.recognise.processor).seconds,
            "limits": asdict(self.limits),
            "queue": queue,
        }

    async def _answer(self, request: Request) -> JSONResponse:
        """Emotions of a recording, which is the file `audio` of a form, or at a URL if the server allows it."""
        if self.in_progress >= self.limits.queue:
            headers = {"Retry-After": str(RETRY_AFTER)}
            raise Refused(503, f"{self.limits.queue} requests are in progress: try again later.", headers)
        self.in_progress += 1
        try:
            with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
                return JSONResponse(await self._recognise(request, Path(folder)))
        except ClientDisconnect:  # nobody reads the answer
            return JSONResponse({"error": "The client has gone."}, 499)
        finally:
            self.in_progress -= 1

    async def _recognise(self, request: Request, folder: Path) -> dict[str, Any]:
        """Return the answer to a request; raise a `Refused` if there is none."""
        limits, clock = self.limits, asyncio.get_running_loop().time
        deadline = clock() + limits.request_seconds
        try:
            async with asyncio.timeout_at(deadline):
                options, files = await read_request(request, folder, limits, self.allow_urls)
                inputs, call = await asyncio.to_thread(plan_call, options, files, self.recognise, limits)
        except TimeoutError as error:
            raise Refused(408, f"The recording did not arrive within {limits.request_seconds:g} s.") from error
        try:
            async with asyncio.timeout_at(deadline):
                answer = await _await_answer(request, self.batcher.submit(inputs, call))
        except TimeoutError as error:
            raise Refused(
                503,
                f"The answer is not ready after {limits.request_seconds:g} s: try again later.",
                {"Retry-After": str(RETRY_AFTER)},
            ) from error
        unused = name_unused(inputs, self.recognise)
        known = {"model": self.name, "version": self.version} | ({"unused": unused} if unused else {})
        return known | _as_answer(answer, folder)


async def _await_answer(request: Request, future: Future) -> Any:
    """Return the answer of the pipeline; drop the recording if the client goes before it runs.

    Raises:
        ClientDisconnect: If the client has gone.
        Refused: If the model failed.
    """

    async def wait_for_end() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    answer, gone = asyncio.wrap_future(future), asyncio.ensure_future(wait_for_end())
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    except ClientDisconnect:
        raise
    except Exception as error:
        logger.error("The model failed.", exc_info=error)
        raise Refused(500, FAILED) from error
    finally:
        future.cancel()
        answer.cancel()
        gone.cancel()


def _as_answer(answer: Any, folder: Path) -> dict[str, Any]:
    """Return what the pipeline answered, in the form of `Answer`."""
    if isinstance(answer, list):
        rows = [row | ({"error": _explain(row["error"], folder)} if "error" in row else {}) for row in answer]
        return {"silent": bool(rows) and all(row.get("silent", False) for row in rows), "windows": rows}
    if "error" in answer:
        raise Refused(
            500 if answer["error"].startswith(TRANSCRIBER_FAILED) else 422, _explain(answer["error"], folder)
        )
    return {"silent": answer["scores"][0].get("silent", False), **answer}


def _explain(sentence: str, folder: Path) -> str:
    """Return an error of the pipeline for a client; what the recogniser says is for the log."""
    if sentence.startswith(TRANSCRIBER_FAILED):
        logger.error(sentence)
        return FAILED
    return show_sentence(sentence, folder)


def _describe_bodies(document: dict[str, Any]) -> None:
    """Add the bodies that the endpoint takes to the OpenAPI document, which the framework does not know: we read them."""
    models = [(model, "validation") for model in BODIES.values()]
    schemas, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    document["components"]["schemas"] |= definitions["$defs"]
    content = {kind: {"schema": schemas[model, "validation"]} for kind, model in BODIES.items()}
    document["paths"]["/recognise"]["post"]["requestBody"] = {"required": True, "content": content}


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The address.
        port: The port; 0 means a free one.

    Raises:
        ValueError: If the address or the port cannot be used.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"The server cannot listen at {host}, port {port}: {reason_of(error)}; choose others with --host and --port."
        ) from error


def configure(server: Server) -> uvicorn.Config:
    """Return the configuration of uvicorn: nothing is logged but warnings, and a stop waits for requests in progress.

    Args:
        server: The server.
    """
    return uvicorn.Config(
        server.app,
        log_config=None,  # see `run_server`
        http="h11",  # the strictest parser
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(server.limits.request_seconds) + GRACE,
    )


def run_server(server: Server, listening: socket.socket) -> None:
    """Serve until the process is interrupted; requests in progress are finished.

    Args:
        server: The server.
        listening: Its socket.
    """
    log = logging.StreamHandler()
    log.setFormatter(ServerLog())
    logging.getLogger().addHandler(log)
    try:
        uvicorn.Server(configure(server)).run(sockets=[listening])
    finally:
        logging.getLogger().removeHandler(log)
