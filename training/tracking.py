"""Trackers of runs: TensorBoard, trackio and what else Trainer knows by `report_to`; none unless it is named."""

from collections.abc import Iterable
from importlib.util import find_spec

EXTRA = ("tensorboard", "trackio")  # libraries of the extra `tracking`, by the names of their trackers


def check_trackers(names: Iterable[str]) -> None:
    """Find out before anything is loaded whether trackers can be used.

    Args:
        names: from `report_to`.

    Raises:
        ImportError: if the library of one is not installed.
    """
    for name in names:
        if name in EXTRA and find_spec(name) is None:
            raise ImportError(f"report_to names {name}, which is not installed: pip install 'emofusion[tracking]'.")
