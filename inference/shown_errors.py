"""Sentences about errors for people who must not learn anything of the machine."""

import logging
import re

# The folders of a path, up to its last name.
FOLDERS = re.compile(r"(?<![\w/])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\"]+)*[/\\](?=[^\s/\\'\"])")


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
