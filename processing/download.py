"""Download of files over http and https, with limits on size and time."""

import re
import time
from collections.abc import Mapping
from typing import Any

from huggingface_hub.utils import httpx

TIMEOUT = 60.0  # seconds
MAX_BYTES = 2**28  # 256 MiB: more than two hours of 16-bit speech at 16 kHz


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
        return {"path": source, "bytes": download(source, timeout)}
    if isinstance(source, Mapping):
        if source.get("array") is None and source.get("raw") is not None:
            return {**source, "array": source["raw"]}
        if source.get("bytes") is None and _is_url(source.get("path")):
            return {**source, "bytes": download(source["path"], timeout)}
    return source


def download(url: str, timeout: float) -> bytes:
    """Return the content of a URL. Redirects to http and https are followed.

    Args:
        url: A URL that begins with `http://` or `https://`.
        timeout: The limit for the whole download in seconds.

    Raises:
        ValueError: If the URL has another scheme or cannot be reached, the server returns an error, or the file
            exceeds `MAX_BYTES` or the time limit.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError(f"{url} is not an http or https URL: download the file and give its path.")
    content, stop = bytearray(), time.monotonic() + timeout
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=timeout) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise ValueError(
                        f"{url} is larger than {MAX_BYTES >> 20} MiB: download the file and give its path."
                    )
                if time.monotonic() > stop:
                    raise httpx.ReadTimeout("the download exceeds the timeout")
    except httpx.TimeoutException as error:
        raise ValueError(
            f"{url} did not arrive within {timeout:g} s: download the file, or give a longer timeout."
        ) from error
    except httpx.HTTPStatusError as error:
        reason = f"{error.response.status_code} {error.response.reason_phrase}"
        raise ValueError(f"{url} cannot be downloaded: the server returned {reason}.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ValueError(f"{url} cannot be downloaded: {error}") from error
    return bytes(content)


def _is_url(source: Any) -> bool:
    return isinstance(source, str) and re.match(r"[a-zA-Z][\w+.-]*://", source) is not None
