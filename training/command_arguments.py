"""Arguments that a single command has: late fusion, speaker pre-training, cross-validation."""

from dataclasses import dataclass, field
from typing import ClassVar

from .arguments import EmotionTrainingArguments

COMBINATIONS = ("mean", "weighted", "logistic")
ERRORS = ("eer", "min_dcf")


@dataclass
class LateFusionArguments:
    """Which members, and how they are combined."""

    members: list[str] = field(
        default_factory=list, metadata={"help": "Folders, or names on the Hub, of one or more trained classifiers."}
    )
    combination: str = field(
        default="mean", metadata={"help": f"What is saved: one of {', '.join(COMBINATIONS)}. All are measured."}
    )

    def __post_init__(self):
        if not self.members:
            raise ValueError("members is empty; name the folders of one or more trained classifiers.")
        if self.combination not in COMBINATIONS:
            raise ValueError(f"combination is {self.combination!r}; choose one of {', '.join(COMBINATIONS)}.")


@dataclass
class SpeakerArguments:
    """Which speaker network is trained, and on whom."""

    corpus_root: str | None = field(
        default=None, metadata={"help": "Tree of recordings, <speaker>/<video>/<recording>, as VoxCeleb has it."}
    )
    validation_trials: str | None = field(
        default=None, metadata={"help": "Trial list, lines `label path path`, that the checkpoint is chosen by."}
    )
    test_trials: str | None = field(default=None, metadata={"help": "Trial list that is measured once, at the end."})
    validation_share: float = field(
        default=0.05,
        metadata={
            "help": "Share of a speaker's recordings, one at least, that tell the accuracy and are not learned. "
            "0 holds none out: nothing is measured on the way, and the last weights are kept."
        },
    )
    crop_seconds: list[float] = field(
        default_factory=lambda: [3.0, 4.0],
        metadata={"help": "Shortest and longest stretch of a recording in training. Shorter recordings are repeated."},
    )
    max_seconds: float | None = field(
        default=None, metadata={"help": "Cut the recordings of trials to this many seconds."}
    )
    model_config: dict | None = field(
        default_factory=dict, metadata={"help": "Fields of SpeakerResNetConfig, as JSON."}
    )

    def __post_init__(self):
        self.model_config = dict(self.model_config or {})
        if len(self.crop_seconds) != 2 or not 0 < self.crop_seconds[0] <= self.crop_seconds[1]:
            raise ValueError(f"crop_seconds is {self.crop_seconds}; give the shortest and the longest, in seconds.")
        if not 0 <= self.validation_share < 1:
            raise ValueError(f"validation_share is {self.validation_share}; it must be at least 0 and below 1.")


@dataclass
class SpeakerTrainingArguments(EmotionTrainingArguments):
    """The arguments of a run whose checkpoint is chosen by the equal error rate."""

    figures: ClassVar[tuple[str, ...]] = ("loss", "accuracy", *ERRORS)

    metric_for_best_model: str | None = field(
        default="eer", metadata={"help": "Validation figure that is best; the accuracy where there are no trials."}
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("class_weights", "label_smoothing_factor"):
            if getattr(self, name):
                raise ValueError(
                    f"{name} is given, but speakers are learned with a margin loss of its own; leave it out."
                )
        self.greater_is_better = self.metric_for_best_model == "accuracy"


@dataclass
class CrossValidationArguments:
    """Which folds, and how often each."""

    seeds: list[int] = field(
        default_factory=list,
        metadata={"help": "Every fold is trained once with each; by default the recipe's `seed`."},
    )
    folds: list[int] = field(
        default_factory=list, metadata={"help": "Only these folds, by their number from 1; by default all."}
    )

    def __post_init__(self):
        for name, numbers in (("seeds", self.seeds), ("folds", self.folds)):
            if len(set(numbers)) < len(numbers):
                raise ValueError(f"{name} names a number twice: {', '.join(map(str, numbers))}.")
