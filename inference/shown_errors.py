"""Sentences about errors for people who must not learn anything of the machine."""

import re

# The folders of a path, up to its last name.
FOLDERS = re.compile(r"(?<![\w/])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\"]+)*[/\\](?=[^\s/\\'\"])")


def hide_folders(message: str) -> str:
    """Return a message with paths cut to their last names, so that a visitor learns nothing of the disk.

    Args:
        message: The message of an error.
    """
    return FOLDERS.sub("", message)
