"""What is checked of a request while it arrives: the name of the server, and the size of the body."""

from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

MEGABYTE = 2**20  # bytes
FORM = 2**18  # bytes of a form besides its files
DIGITS = 15  # of a length


class Refused(HTTPException):
    """A request that is refused.

    Args:
        status: The HTTP status.
        sentence: Why.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None):
        super().__init__(status, sentence, headers)


def as_json(refused: HTTPException) -> JSONResponse:
    """Return the answer to a request that is refused."""
    return JSONResponse({"error": refused.detail}, refused.status_code, refused.headers)


class Guard:
    """Application around another, which refuses bodies that are too large as they arrive, and foreign names of the server.

    Args:
        app: The application.
        megabytes: The largest size of the files of a request.
        hosts: The names by which the server may be called; None for any.
    """

    def __init__(self, app: Any, megabytes: float, hosts: Collection[str] | None):
        self.app, self.megabytes, self.hosts = app, megabytes, hosts
        self.limit = round(megabytes * MEGABYTE) + FORM

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length, size = headers.get("content-length", "0"), 0
        has_body = length != "0" or "transfer-encoding" in headers
        is_read = not has_body

        async def counted() -> Any:
            nonlocal size, is_read
            message = await receive()
            if message["type"] == "http.request":
                size += len(message.get("body", b""))
                is_read = not message.get("more_body", False)
                if size > self.limit:
                    is_read = False
                    raise self._too_large()
            return message

        async def closing(message: Any) -> None:
            # The rest of a body that is not read must not be taken for the next request.
            if message["type"] == "http.response.start" and not is_read:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        refused = None
        if self.hosts is not None and _host_of(headers.get("host", "")) not in self.hosts:
            refused = Refused(400, "The server is not called by this name: use its address.")
        elif length.isdecimal() and (len(length) > DIGITS or int(length) > self.limit):
            refused = self._too_large()
        await (self.app if refused is None else as_json(refused))(scope, counted, closing)

    def _too_large(self) -> Refused:
        return Refused(413, f"The recording is too large: send at most {self.megabytes:g} MB.")


def _host_of(header: str) -> str:
    """Return the name in a Host header, without its port."""
    name, colon, port = header.strip().lower().rpartition(":")
    return name if colon and port.isdecimal() else header.strip().lower()
