"""Files from the web, by http and https and nothing else, within bounds of size and time."""

import re
import time
from collections.abc import Mapping
from typing import Any

from huggingface_hub.utils import httpx

MAX_BYTES = 2**28  # 256 MiB: more than two hours of 16-bit speech at 16 kHz


def fetch(source: Any, timeout: float) -> Any:
    """A recording or film as the decoders take it: what is on the web comes with its bytes, all else stays.

    Args:
        source: As `load_audio` and `load_video` take it, and where they take a path also an address. `"raw"` does for
            `"array"`, as elsewhere in transformers.
        timeout: See `download`.

    Raises:
        ValueError: See `download`.
    """
    if _is_address(source):
        return {"path": source, "bytes": download(source, timeout)}
    if isinstance(source, Mapping):
        if source.get("array") is None and source.get("raw") is not None:
            return {**source, "array": source["raw"]}
        if source.get("bytes") is None and _is_address(source.get("path")):
            return {**source, "bytes": download(source["path"], timeout)}
    return source


def download(address: str, timeout: float) -> bytes:
    """What lies at an address. Redirections are followed, as long as they lead to http or https.

    Args:
        address: It begins with `http://` or `https://`.
        timeout: How long the whole download may take, in seconds.

    Raises:
        ValueError: It is another kind of address, cannot be reached, answers with an error, or is larger than
            `MAX_BYTES`; or it takes too long.
    """
    if not address.lower().startswith(("http://", "https://")):
        raise ValueError(f"{address} is no http or https address: download the file and give its path.")
    content, stop = bytearray(), time.monotonic() + timeout
    try:
        with httpx.stream("GET", address, follow_redirects=True, timeout=timeout) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise ValueError(
                        f"{address} is larger than {MAX_BYTES >> 20} MiB: download the file and give its path."
                    )
                if time.monotonic() > stop:
                    raise httpx.ReadTimeout("it takes too long")
    except httpx.TimeoutException as error:
        raise ValueError(
            f"{address} did not arrive within {timeout:g} s: download the file, or give a longer timeout."
        ) from error
    except httpx.HTTPStatusError as error:
        reason = f"{error.response.status_code} {error.response.reason_phrase}"
        raise ValueError(f"{address} cannot be downloaded: the server answers {reason}.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ValueError(f"{address} cannot be downloaded: {error}") from error
    return bytes(content)


def _is_address(source: Any) -> bool:
    return isinstance(source, str) and re.match(r"[a-zA-Z][\w+.-]*://", source) is not None
