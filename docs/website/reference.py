"""Pages of the reference: the public names of each room, and the help of each command."""

import contextlib
import importlib
import inspect
import io
import os
from typing import Any

from emofusion.cli.commands import COMMANDS
from emofusion.cli.main import main

from .public_names import PACKAGE, find_bases, find_comment, find_home, find_members, find_public_names

# Title of the page of a room; another room has its name as title.
TITLES = {
    "processing": "Pipeline and processors",
    "inference": "Inference",
    "modeling": "Models",
    "configuration": "Configurations",
    "corpora": "Corpora",
    "training": "Training",
    "metrics": "Metrics",
    "evaluation": "Evaluation",
    "hub": "Hub",
}
HELP_WIDTH = "84"


def write_reference() -> dict[str, str]:
    """Return the text of each page of the reference, by its path."""
    public = find_public_names()
    rooms: dict[str, dict[str, Any]] = {room: {} for room in TITLES}
    for path, value in public.items():
        rooms.setdefault(find_home(path, value).split(".")[1], {})[path] = value
    classes = {value for value in public.values() if inspect.isclass(value)}
    pages = {f"reference/{room}.rst": format_room(room, names, classes) for room, names in rooms.items() if names}
    return pages | {"reference/commands.md": format_commands()}


def format_room(room: str, names: dict[str, Any], classes: set[type]) -> str:
    """Return the page of a room: a table of its names, then an entry for each.

    Args:
        room: Name of the room.
        names: Its public objects by name.
        classes: All public classes.
    """
    title = TITLES.get(room, room.capitalize())
    about = inspect.getdoc(importlib.import_module(f"{PACKAGE}.{room}")) or ""
    described = {path: value for path, value in names.items() if inspect.isclass(value) or inspect.isroutine(value)}
    table = [".. autosummary::", "   :nosignatures:", "", *(f"   ~{path}" for path in described)]
    entries = [format_entry(path, value, classes) for path, value in names.items()]
    return "\n".join([title, "=" * len(title), "", about, "", *table, "", *entries])


def format_entry(path: str, value: Any, classes: set[type]) -> str:
    """Return the directive that describes a public object."""
    if inspect.isclass(value):
        members = find_members(value, classes)
        options = [f"   :members: {', '.join(members)}"] if members else []
        options += ["   :show-inheritance:"] if any(find_bases(value, classes)) else []
        return "\n".join([f".. autoclass:: {path}", *options, ""])
    if inspect.isroutine(value):
        return f".. autofunction:: {path}\n"
    return "\n".join([f".. py:data:: {path}", "", *(f"   {line}" for line in find_comment(path, value)), ""])


def format_commands() -> str:
    """Return the page with the help of each command."""
    sections = ["# Commands", "", "```text", read_help(), "```"]
    for command in COMMANDS:
        sections += ["", f"## emofusion {command}", "", "```text", read_help(command), "```"]
    return "\n".join([*sections, ""])


def read_help(*command: str) -> str:
    """Return what `emofusion <command> --help` prints.

    Raises:
        RuntimeError: If it fails.
    """
    printed, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = HELP_WIDTH
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            if main([*command, "--help"]):
                raise RuntimeError(f"emofusion {' '.join(command)} --help fails.")
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return printed.getvalue().rstrip()
