"""Reading of a request: its options, and its recording as a file in a temporary folder."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import python_multipart  # noqa: F401 (starlette misses it only when a form arrives)
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from ..configuration.plain_text import format_seconds, show_name
from ..processing.download import download
from ..processing.input_errors import EXPECTED
from ..processing.media import audio_seconds
from ..processing.utterance_reader import MARGIN, Limit
from ..processing.video import video_seconds
from ..processing.window_options import AUTO, WindowOptions
from .serving_guard import MEGABYTE, Refused
from .serving_models import FormRequest, Options, UrlRequest, explain_invalid
from .shown_errors import show_sentence

MEASURE = {"audio": audio_seconds, "video": video_seconds}  # files of a form, and the functions that measure them
FIELD = 2**16  # bytes of a field of a form, or of a JSON text
REPEATS = 10  # times that windows may overlap the longest recording (ours)


@dataclass(frozen=True)
class Limits:
    """Limits of a request.

    Args:
        megabytes: Size of its files.
        seconds: Length of a recording.
        request_seconds: Time from the first byte to the answer.
        queue: Requests that arrive, wait or run at a time.
    """

    megabytes: float = 100.0
    seconds: float = 600.0
    request_seconds: float = 120.0
    queue: int = 32


async def read_request(
    request: Request, folder: Path, limits: Limits, allow_urls: bool
) -> tuple[Options, dict[str, Path]]:
    """Return the options of a request and its files.

    Args:
        request: The request.
        folder: An empty folder for its files.
        limits: The limits.
        allow_urls: Whether the recording may be at a URL.

    Raises:
        Refused: If the request is wrong.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(request, folder)
    if kind != "application/json":
        raise Refused(415, "Send a form (multipart/form-data) with the recording as the file audio.")
    if not allow_urls:
        raise Refused(403, "This server takes no URLs: send a form with the recording as the file audio.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FIELD:
            raise Refused(413, f"The JSON text is larger than {FIELD >> 10} KB.")
    options = _check(lambda: UrlRequest.model_validate_json(bytes(body)))
    path = folder / "audio"
    try:
        content = await asyncio.to_thread(
            download, options.url, limits.request_seconds, False, round(limits.megabytes * MEGABYTE)
        )
    except ValueError as error:
        raise Refused(
            422,
            "The recording cannot be downloaded: its URL must be one of http or https, lead to a public address, and "
            f"give at most {limits.megabytes:g} MB.",
        ) from error
    await asyncio.to_thread(path.write_bytes, content)
    return options, {"audio": path}


async def _read_form(request: Request, folder: Path) -> tuple[Options, dict[str, Path]]:
    """Return the options and files of a form."""
    fields, files = {}, {}
    try:
        async with request.form(max_files=len(MEASURE), max_fields=16, max_part_size=FIELD) as form:
            for name, value in form.multi_items():
                if name in fields or name in files:
                    raise Refused(422, f"{show_name(name, 60)} is given twice.")
                if isinstance(value, UploadFile):
                    files[name] = await _save(name, value, folder)
                elif name in MEASURE:
                    raise Refused(422, f"{name} must be a file, sent with a file name.")
                else:
                    fields[name] = value
    except HTTPException as error:
        if isinstance(error, Refused):
            raise
        raise Refused(
            400, f"The form cannot be read: it takes the files audio and video, and fields of up to {FIELD >> 10} KB."
        ) from error
    return _check(lambda: Options.model_validate(fields)), files


async def _save(name: str, upload: UploadFile, folder: Path) -> Path:
    if name not in MEASURE:
        raise Refused(422, f"There is no file {show_name(name, 60)}: the files are {' and '.join(MEASURE)}.")
    path = folder / name

    def copy() -> None:
        with open(path, "xb") as file:
            shutil.copyfileobj(upload.file, file)

    await asyncio.to_thread(copy)
    if not path.stat().st_size:
        raise Refused(422, f"The file {name} is empty.")
    return path


def _check(build: Any) -> Any:
    """Return a model of pydantic, or refuse the request."""
    try:
        return build()
    except ValidationError as error:
        raise Refused(422, explain_invalid(error)) from error


def plan_call(
    options: Options, files: Mapping[str, Path], recognise: Any, limits: Limits
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the utterance and the options with which the pipeline is called.

    A recording that the model does not take whole is cut into the longest windows that it takes.

    Args:
        options: The options of the request.
        files: Its files.
        recognise: The pipeline.
        limits: The limits.

    Raises:
        Refused: If the recording cannot be read or is too long, or an option is wrong.
    """
    modalities = recognise.model.config.modalities
    if not files and not options.text:
        raise Refused(422, "There is no recording: send it as the file audio of a form.")
    lengths = {name: _measure(name, path, limits) for name, path in files.items()}
    hears = recognise.transcriber is not None
    seconds = max((length for name, length in lengths.items() if hears or name in modalities), default=0.0)
    inputs = {name: str(path) for name, path in files.items()} | options.model_dump(
        include={"text", "context", "speaker"}, exclude_none=True
    )
    call = _windows(options, seconds, Limit.from_processor(recognise.processor).seconds, limits)
    if options.word_times:
        if not hears:
            raise Refused(422, "word_times needs a transcriber, and this server has none.")
        call["transcriber_kwargs"] = {"return_timestamps": "word"}
    return inputs, call if "window_seconds" in call or "vad" in call else call | {"return_text": True}


def name_unused(inputs: Mapping[str, Any], recognise: Any) -> list[str]:
    """Return the names of inputs of an utterance that change no score, in the order of their names.

    Args:
        inputs: The utterance.
        recognise: The pipeline.
    """
    config = recognise.model.config
    used = {*config.modalities}
    if recognise.transcriber is not None and "text" in used and "text" not in inputs:
        used.add("audio")
    if recognise.processor.earlier_turns + config.history:
        used |= {"context", "speaker"}
    return sorted(name for name, value in inputs.items() if value and name not in used)


def _windows(options: Options, seconds: float, longest: float, limits: Limits) -> dict[str, Any]:
    """Return the options of the pipeline that cut a recording; none if it is answered whole."""
    given = options.model_dump(include={"window_seconds", "hop_seconds", "vad"}, exclude_defaults=True)
    if not given and seconds > longest + MARGIN:
        if options.text is not None:
            raise Refused(
                422,
                f"The recording lasts {format_seconds(seconds)}, and this model takes {longest:g} s at a time: leave the "
                "text out, because it cannot be divided, or send a shorter recording.",
            )
        return {"window_seconds": AUTO}
    try:
        windows = WindowOptions.from_options(given)
    except (TypeError, ValueError) as error:
        raise Refused(422, show_sentence(error)) from error
    window = windows.window_seconds or 0.0
    if window > longest:
        raise Refused(422, f"window_seconds is {window:g}, and this model takes {longest:g} s at a time.")
    if windows.hop_seconds is not None and seconds * window / windows.hop_seconds > REPEATS * limits.seconds:
        raise Refused(
            422, "The windows of this recording overlap too much for this server: choose a longer hop_seconds."
        )
    return given


def _measure(name: str, path: Path, limits: Limits) -> float:
    """Return the length of a file in seconds."""
    try:
        seconds = MEASURE[name](path)
    except EXPECTED as error:
        raise Refused(422, show_sentence(error, path.parent)) from error
    if seconds is None:
        raise Refused(422, f"The file {name} does not say how long it is: save it as WAV, FLAC or MP4.")
    if seconds > limits.seconds:
        raise Refused(
            422,
            f"The file {name} lasts {format_seconds(seconds)}: send at most {format_seconds(limits.seconds)}.",
        )
    return seconds


# The bodies that the endpoint takes, by content type.
BODIES = {"multipart/form-data": FormRequest, "application/json": UrlRequest}
