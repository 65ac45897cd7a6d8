"""Arguments of single commands: late fusion, speaker pretraining and cross-validation."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from .argument_checks import check_choice, check_numbers
from .arguments import EmotionTrainingArguments

COMBINATIONS = ("mean", "weighted", "logistic")
ERRORS = ("eer", "min_dcf")


@dataclass
class LateFusionArguments:
    """The members of a late fusion, and their combination."""

    members: list[str] = field(
        default_factory=list, metadata={"help": "Folders or Hub names of one or more trained classifiers."}
    )
    combination: str = field(
        default="mean",
        metadata={"help": f"Combination to save: {', '.join(COMBINATIONS)}. All of them are scored."},
    )

    def __post_init__(self):
        if not self.members:
            raise ValueError("members is empty; name the folders of one or more trained classifiers.")
        check_choice("combination", self.combination, COMBINATIONS)


@dataclass
class SpeakerArguments:
    """The speaker network, and the recordings that it is trained on."""

    corpus_root: str | None = field(
        default=None, metadata={"help": "Folder of recordings, as <speaker>/<video>/<recording>, like VoxCeleb."}
    )
    validation_trials: str | None = field(
        default=None,
        metadata={"help": "Trial list that selects the checkpoint, with lines `label path path`."},
    )
    test_trials: str | None = field(default=None, metadata={"help": "Trial list that is measured once, at the end."})
    validation_share: float = field(
        default=0.05,
        metadata={
            "help": "Share of each speaker's recordings, at least one, that is held out to measure the accuracy. With 0, "
            "nothing is measured in training and the last weights are kept."
        },
    )
    crop_seconds: list[float] = field(
        default_factory=lambda: [3.0, 4.0],
        metadata={"help": "Shortest and longest random crop in training. Shorter recordings are repeated."},
    )
    max_seconds: float | None = field(
        default=None, metadata={"help": "Cut the recordings of trials to this many seconds."}
    )
    model_config: dict | None = field(
        default_factory=dict, metadata={"help": "Fields of SpeakerResNetConfig, as a mapping."}
    )

    def __post_init__(self):
        check_numbers(self)
        self.model_config = dict(self.model_config or {})
        if len(self.crop_seconds) != 2 or not 0 < self.crop_seconds[0] <= self.crop_seconds[1] < math.inf:
            raise ValueError(f"crop_seconds is {self.crop_seconds!r}; give the shortest and the longest, in seconds.")
        if not 0 <= self.validation_share < 1:
            raise ValueError(f"validation_share is {self.validation_share}; it must be at least 0 and below 1.")


@dataclass
class SpeakerTrainingArguments(EmotionTrainingArguments):
    """Training arguments of a speaker network; by default the checkpoint with the lowest equal error rate is kept."""

    selection_metrics: ClassVar[dict[str, bool]] = {"loss": False, "accuracy": True, **dict.fromkeys(ERRORS, False)}

    metric_for_best_model: str | None = field(
        default="eer",
        metadata={
            "help": "Validation metric that selects the checkpoint: loss, accuracy, eer or min_dcf; accuracy without "
            "validation trials."
        },
    )
    dataloader_persistent_workers: bool | None = field(
        default=False,
        metadata={
            "help": "Whether the processes of the data loader stay from epoch to epoch. A resumed run then draws other crops."
        },
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("class_weights", "label_smoothing_factor"):
            if getattr(self, name):
                raise ValueError(f"{name} is given, but speakers are trained with a margin loss; leave it out.")


@dataclass
class CrossValidationArguments:
    """The folds and seeds of a cross-validation."""

    seeds: list[int] = field(
        default_factory=list,
        metadata={"help": "Seeds to train each fold with; by default the seed of the recipe."},
    )
    folds: list[int] = field(
        default_factory=list, metadata={"help": "Folds to train, counted from 1; by default all."}
    )

    def __post_init__(self):
        for name, numbers in (("seeds", self.seeds), ("folds", self.folds)):
            if len(set(numbers)) < len(numbers):
                raise ValueError(f"{name} names a number twice: {', '.join(map(str, numbers))}.")
