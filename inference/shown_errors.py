"""Sentences about errors for people who must not learn anything of the machine."""

import logging
import re
from pathlib import Path

from ..configuration.plain_text import one_line

# The folders of a path, up to its last name.
FOLDERS = re.compile(r"(?<![\w/])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\"]+)*[/\\](?=[^\s/\\'\"])")
LONGEST = 300  # characters of a sentence
# The prefix of the folder of recordings of a server, and a file of a request in it.
SERVED = "emofusion-serve-"
OF_REQUEST = re.compile(rf"[^\s'\"]*[/\\]{SERVED}[^\s/\\]+[/\\][^\s/\\'\"]+[/\\]")


class ServerLog(logging.Formatter):
    """Format of the log of a server: files of requests have no folders, which are gone when somebody reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record.

        Args:
            record: The record.
        """
        return OF_REQUEST.sub("", super().format(record))


def hide_folders(message: str) -> str:
    """Return a message with paths cut to their last names, so that a visitor learns nothing of the disk.

    Args:
        message: The message of an error.
    """
    return FOLDERS.sub("", message)


def show_sentence(error: object, folder: Path | None = None) -> str:
    """Return an error as one short sentence without the names of folders of this machine.

    Args:
        error: The error, or its sentence.
        folder: The folder of the files of a request, whose names stay as they are.
    """
    message = str(error) if folder is None else str(error).replace(f"{folder}/", "")
    return hide_folders(one_line(message, LONGEST))
