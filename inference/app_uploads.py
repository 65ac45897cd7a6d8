"""The recordings and videos that visitors of the page gave: where they are, and when they are removed."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

# Where gradio saves recordings. It is read at each upload, so the pages of a process share a folder.
FOLDER = "GRADIO_TEMP_DIR"
CLEANING = 60  # seconds between two searches for files that were kept long enough

# For each open page, the folder and the value of the variable without pages.
_pages: list[tuple[tempfile.TemporaryDirectory, str | None]] = []


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Give the folder of recordings, which the last page of the process removes."""
    _pages.append(
        _pages[0] if _pages else (tempfile.TemporaryDirectory(prefix="emofusion-page-"), os.environ.get(FOLDER))
    )
    os.environ[FOLDER] = _pages[0][0].name
    try:
        yield Path(_pages[0][0].name)
    finally:
        folder, before = _pages.pop()
        if not _pages:
            folder.cleanup()
            os.environ.pop(FOLDER)
            if before is not None:
                os.environ[FOLDER] = before


class Uploads:
    """The recordings and videos that visitors gave; each visitor has at most one of each.

    Args:
        folder: The folder in which gradio saves recordings; files outside it are never removed.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.current: dict[tuple[str, str], str] = {}

    def keep(self, visitor: str, path: str | None, kind: str = "recording") -> None:
        """Keep the recording or the video of a visitor and remove the one before it.

        Args:
            visitor: The session of the visitor.
            path: The file; None if it was taken back.
            kind: "recording" or "video".
        """
        before = self.current.pop((visitor, kind), None)
        if path is not None:
            self.current[visitor, kind] = path
        if before is not None and before not in self.current.values():
            self._remove(before)

    def is_replaced(self, visitor: str, path: str | None, kind: str = "recording") -> bool:
        """Return whether a file was removed because its visitor took it back or gave another.

        Args:
            visitor: The session of the visitor.
            path: The file; None if there was none.
            kind: "recording" or "video".
        """
        # A file that has just arrived may not be the current one yet, but it is there.
        return path is not None and self.current.get((visitor, kind)) != path and not Path(path).is_file()

    def forget(self, visitor: str) -> None:
        """Remove the files of a visitor who left.

        Args:
            visitor: The session of the visitor.
        """
        for kind in [kind for one, kind in self.current if one == visitor]:
            self.keep(visitor, None, kind)

    def forget_all(self) -> None:
        """Remove the files of all visitors."""
        for visitor in {visitor for visitor, _ in self.current}:
            self.forget(visitor)

    def remove_old_files(self, seconds: float) -> Callable[[Any], contextlib.AbstractAsyncContextManager]:
        """Return the lifespan of an application that removes files of a certain age, whole or not.

        Args:
            seconds: The age.
        """

        async def clean() -> None:
            while True:
                await asyncio.sleep(min(CLEANING, seconds))
                for file in self.folder.rglob("*"):
                    with contextlib.suppress(OSError):
                        if file.is_file() and time.time() - file.stat().st_mtime > seconds:
                            self._remove(str(file))

        @contextlib.asynccontextmanager
        async def live(_: Any) -> AsyncIterator[None]:
            task = asyncio.create_task(clean())
            try:
                yield
            finally:
                task.cancel()

        return live

    def _remove(self, path: str) -> None:
        file = Path(path).resolve()
        if file.is_relative_to(self.folder):
            with contextlib.suppress(OSError):
                file.unlink()
                if file.parent != self.folder:
                    file.parent.rmdir()  # gradio makes a folder for each file


def refuse_cut_uploads() -> Any:
    """Return a middleware that makes an upload an invalid one when its visitor leaves: gradio then removes the part."""
    from starlette.middleware import Middleware

    return Middleware(_RefuseCutUploads)


class _RefuseCutUploads:
    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        from starlette.formparsers import MultiPartException  # comes with gradio

        async def receive_upload() -> dict[str, Any]:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise MultiPartException("The visitor has gone.")
            return message

        is_upload = scope["type"] == "http" and scope["path"].endswith("/upload")
        await self.app(scope, receive_upload if is_upload else receive, send)
