"""Dialogues of manifests: the earlier turns that a model reads, and shares of processes in which none is divided."""

import hashlib
from collections.abc import Mapping

from .recording import Recording


def join_dialogues(recordings: Mapping[str, Recording], count: int) -> dict[str, Recording]:
    """Return recordings with the turns before them, in the same order.

    Turns are in the order of their numbers, and in that of the manifest where a turn of the dialogue has no number or two have
    the same. Turns that cannot be scored are passed over. The key of a recording changes with its earlier turns.

    Args:
        recordings: The recordings by key.
        count: The largest number of earlier turns.
    """
    dialogues = {}
    for key, recording in recordings.items():
        if recording.dialogue is not None and recording.error is None:
            dialogues.setdefault((recording.manifest, recording.dialogue), []).append(key)
    earlier = {}
    for keys in dialogues.values():
        if all(recordings[key].turn is not None for key in keys):
            keys.sort(key=lambda key: recordings[key].turn)
        earlier |= {key: keys[max(0, place - count) : place] for place, key in enumerate(keys)}
    joined = {}
    for key, recording in recordings.items():
        if turns := earlier.get(key):
            key = hashlib.sha256(" ".join([key, *turns]).encode()).hexdigest()[:24]
            recording = recording._replace(earlier=tuple(recordings[turn] for turn in turns))
        joined[key] = recording
    return joined


def share_dialogues(recordings: Mapping[str, Recording], process: int, processes: int) -> dict[str, Recording]:
    """Return the share of a process: every n-th recording, and a dialogue counts as one.

    Args:
        recordings: The recordings by key.
        process: The number of the process, from 0.
        processes: The number of processes.
    """
    units, own = {}, {}
    for key, recording in recordings.items():
        unit = key if recording.dialogue is None else (recording.manifest, recording.dialogue)
        if units.setdefault(unit, len(units)) % processes == process:
            own[key] = recording
    return own
