"""The setting of a measurement of models: their size, the clips, the repeats and the device."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .subprocess_run import run_in_subprocess
from .systems import LENGTHS


@dataclass(frozen=True)
class Setting:
    """A setting.

    Args:
        small: Whether the models are those of the spoken corpus, and everything runs in this process.
        lengths: Seconds of the clips in a batch of mixed lengths.
        one: Seconds of a clip that is alone in its batch.
        repeats: Number of rounds.
        device: `"cpu"` or `"cuda"`.
    """

    small: bool = False
    lengths: tuple[float, ...] = LENGTHS
    one: float = 5.0
    repeats: int = 5
    device: str = "cpu"

    @property
    def batches(self) -> dict[str, tuple[float, ...]]:
        """Seconds of the clips by title of the batch."""
        mean = round(sum(self.lengths) / len(self.lengths), 1)
        return {"mixed lengths": self.lengths, "equal lengths": (mean,) * len(self.lengths), "one clip": (self.one,)}


FULL = Setting()
QUICK = Setting(small=True, lengths=(0.5, 0.8), one=0.6, repeats=1)
GPU = Setting(lengths=LENGTHS * 8, repeats=10, device="cuda")


def setting_of(quick: bool) -> Setting:
    """Return the setting of a section on the CPU."""
    return QUICK if quick else FULL


def as_setting(fields: Mapping[str, Any]) -> Setting:
    """Return a setting that was passed to another process."""
    return Setting(**{**fields, "lengths": tuple(fields["lengths"])})


def run(function: Callable, setting: Setting, **arguments: Any) -> Any:
    """Return the result of a function, called in a new process if its time and memory count.

    Args:
        function: A function at the top level of a module; its argument `fields` is the setting.
        setting: The setting.
        arguments: Other arguments, which must be JSON.
    """
    if setting.small or setting.device != "cpu":
        return function(fields=asdict(setting), **arguments)
    return run_in_subprocess(function, fields=asdict(setting), **arguments)[0]


def describe_clips(lengths: tuple[float, ...]) -> str:
    """Return the clips of a batch in words: their number, and their lengths in seconds."""
    different = sorted(set(lengths))
    listed = " / ".join(f"{length:g}" for length in different)
    return f"{len(lengths)} clip{'s' * (len(lengths) > 1)} of {listed} s"
