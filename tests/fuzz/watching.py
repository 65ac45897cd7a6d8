"""Keep a case inside its folder: nothing outside is written or called, and no pickle is opened unseen."""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event of Python -> places of the paths among its arguments, and of their folder descriptors.
EVENTS = {
    **dict.fromkeys(("os.remove", "os.rmdir"), ((0, 1),)),
    **dict.fromkeys(("os.mkdir", "os.chmod"), ((0, 2),)),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.truncate": ((0, None),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
}


class Watch:
    """An audit hook of this process, which stays until the process ends.

    Args:
        folders: The folders in which everything may be written.

    Attributes:
        found: What was tried in spite of that.
    """

    def __init__(self, folders: Iterable[Path]):
        self.folders = [os.path.realpath(folder) for folder in folders]
        self.found: list[str] = []
        sys.dont_write_bytecode = True  # what is imported for the first time is elsewhere
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple) -> None:
        if event == "pickle.find_class":
            self.found.append("a pickle was opened")
        elif event == "open":
            path, mode, flags = arguments
            if flags & WRITING or (mode and set("wax+") & set(mode)):
                self._check(path, None, follow=True)
        elif event == "socket.connect":
            self._check_address(arguments[1])
        elif event == "socket.getaddrinfo" and arguments[0] not in ("localhost", "127.0.0.1", "::1"):
            raise OSError(f"The fuzzer looks up no names, as {str(arguments[0])[:40]}")
        elif event in EVENTS:
            for path, descriptor in EVENTS[event]:
                self._check(arguments[path], None if descriptor is None else arguments[descriptor])

    def _check_address(self, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "127."  # the path of a local socket
        if not host.startswith("127.") and host != "::1":
            self.found.append(f"it called {host}")
            raise OSError("The fuzzer has no network")

    def _check(self, path: Any, descriptor: int | None, follow: bool = False) -> None:
        if isinstance(path, int) or path is None:
            return
        path = os.fsdecode(path)
        if "\0" in path:
            return
        if descriptor not in (None, -1) and not os.path.isabs(path):
            path = os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), path)
        parent, name = os.path.split(os.path.abspath(path))
        real = os.path.realpath(path) if follow else os.path.join(os.path.realpath(parent), name)
        if follow and real in (os.devnull, "/dev/tty"):
            return
        if not any(real == folder or real.startswith(folder + os.sep) for folder in self.folders):
            self.found.append(f"it wrote to {real}, outside its folder")
            raise PermissionError(1, "The fuzzer allows no writing outside the folder of a case", path)


def make_device(path: Path, kind: str = "zero") -> None:
    """Make a private device like /dev/zero or /dev/full, which a fault may replace without harm.

    Without the right to make devices it is a link; then a fault has no right to replace the device either.
    """
    numbers = {"null": (1, 3), "zero": (1, 5), "full": (1, 7)}
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*numbers[kind]))
    except PermissionError:
        path.symlink_to(f"/dev/{kind}")
