"""Download of files over http and https, with limits on size, time and targets."""

import base64
import http.client
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from ..configuration.plain_text import is_url, reason_of
from .checked_connection import CheckedConnection, Deadline, PrivateAddressError

TIMEOUT = 60.0  # seconds
MAX_BYTES = 2**28  # 256 MiB: more than two hours of 16-bit speech at 16 kHz
MAX_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
BLOCK = 2**16  # bytes that are read at a time
SCHEMES = ("http", "https")


def fetch(source: Any, timeout: float = TIMEOUT, allow_private_urls: bool = False) -> Any:
    """Return a recording or video in a form that the decoders accept; files at a URL are downloaded.

    Args:
        source: A source of `load_audio` or `load_video`, or an http(s) URL in place of a path. `"raw"` is accepted for
            `"array"`, as in transformers.
        timeout: See `download`.
        allow_private_urls: See `download`.

    Raises:
        ValueError: See `download`.
    """
    if _is_url(source):
        return {"path": source, "bytes": download(source, timeout, allow_private_urls)}
    if isinstance(source, Mapping):
        if source.get("array") is None and source.get("raw") is not None:
            return {**source, "array": source["raw"]}
        if source.get("bytes") is None and _is_url(source.get("path")):
            return {**source, "bytes": download(source["path"], timeout, allow_private_urls)}
    return source


def download(
    url: str, timeout: float = TIMEOUT, allow_private_urls: bool = False, max_bytes: int | None = None
) -> bytes:
    """Return the content of a URL. Redirects to http and https are followed.

    Every name is looked up once, and the connection goes to an address that was checked. Proxies are not used, because
    they look names up themselves.

    Args:
        url: A URL that begins with `http://` or `https://`.
        timeout: The limit in seconds for everything: look-ups, redirects, headers and content.
        allow_private_urls: Whether this machine, private networks and other addresses that are not public are allowed.
        max_bytes: The largest size of the file; None means `MAX_BYTES`.

    Raises:
        ValueError: If the URL has another scheme, leads to an address that is not allowed or cannot be reached, the
            server returns an error, or the file exceeds `max_bytes` or the time limit.
    """
    if not is_url(url):
        raise ValueError(f"{url} is not an http or https URL: download the file and give its path.")
    try:
        return _follow(url, Deadline(timeout), allow_private_urls, MAX_BYTES if max_bytes is None else max_bytes)
    except TimeoutError as error:
        raise ValueError(
            f"{url} did not arrive within {timeout:g} s: download the file, or give a longer timeout."
        ) from error
    except PrivateAddressError as error:
        raise ValueError(
            f"{url} leads to {error}, which is not a public address: give the path of the file, or "
            "allow_private_urls=True (--allow-private-urls) if you trust the URL."
        ) from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        reason = reason_of(error)
        if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
            reason = f"the answer of the server is not valid HTTP ({reason})"
        raise ValueError(
            f"{url} cannot be downloaded: {reason}; get the file in another way, and give its path."
        ) from error


def _follow(url: str, deadline: Deadline, allow_private: bool, max_bytes: int) -> bytes:
    """Return the content of a URL or of what it redirects to."""
    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        if parts.scheme.lower() not in SCHEMES or not parts.hostname:
            raise ValueError(f"it leads to {url}, which is not an http or https URL")
        connection = CheckedConnection(
            parts.hostname, parts.port, parts.scheme.lower() == "https", deadline, allow_private
        )
        try:
            connection.request("GET", _target(parts), headers=_headers(parts))
            response = connection.getresponse()
            if response.status not in REDIRECTS:
                return _read(response, max_bytes)
            url = urljoin(url, response.getheader("Location", ""))
        finally:
            connection.close()
    raise ValueError(f"there are more than {MAX_REDIRECTS} redirects")


def _target(parts: SplitResult) -> str:
    """Return path and query of a URL, with characters quoted that a request may not have."""
    safe = "%/:=&?~#+!$,;'@()*[]"
    return quote(parts.path or "/", safe=safe) + (f"?{quote(parts.query, safe=safe)}" if parts.query else "")


def _headers(parts: SplitResult) -> dict[str, str]:
    # Without compression, the size of the content is the number of bytes that arrive.
    headers = {"Accept-Encoding": "identity", "User-Agent": "emofusion", "Connection": "close"}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return headers


def _read(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """Return the content of a response.

    Raises:
        ValueError: If the response is an error, compressed, incomplete or too large.
    """
    if not 200 <= response.status < 300:
        raise ValueError(f"the server returned {response.status} {response.reason}")
    encoding = response.getheader("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise ValueError(f"the server compresses it ({encoding})")
    content, length = bytearray(), response.length or 0
    while max(length, len(content)) <= max_bytes and (block := response.read(BLOCK)):
        content += block
    if max(length, len(content)) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes >> 20} MiB")
    if response.length:
        raise ValueError(f"the server ended it {response.length} bytes too early")
    return bytes(content)


def _is_url(source: Any) -> bool:
    return isinstance(source, str) and re.match(r"[a-zA-Z][\w+.-]*://", source) is not None
