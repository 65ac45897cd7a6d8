"""Arguments of single commands: late fusion, speaker pretraining, cross-validation and cross-corpus tables."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from .argument_checks import check_choice, check_numbers
from .arguments import EmotionTrainingArguments
from .augmentation import check_augmentation

COMBINATIONS = ("mean", "weighted", "mean_probability", "weighted_probability", "logistic", "linear")
SOUP = "soup"
# Options that the members of a late fusion have from it.
OF_FUSION = {"corpus", "corpus_root", "corpus_options", "text_column", "output_dir", "seed", "resume_from_checkpoint"}
OF_FUSION |= {"push_to_hub", "hub_model_id"}
ERRORS = ("eer", "min_dcf")


@dataclass
class LateFusionArguments:
    """The members of a late fusion, and their combination."""

    members: list[str] = field(
        default_factory=list,
        metadata={
            "help": "One or more of: recipes (*.yaml), which are trained first if they are not finished; folders or Hub names "
            "of trained classifiers; folders of cross-validations, which stand for all their runs."
        },
    )
    combination: str = field(
        default="mean",
        metadata={
            "help": "Combination to save: of classes mean, weighted, mean_probability, weighted_probability or logistic, of "
            f"dimensions mean, weighted or linear (all of them are scored); or {SOUP}, one model with the mean of the "
            "members' weights."
        },
    )
    member_options: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Options of emofusion train that override those of all members that are recipes, as a mapping."
        },
    )
    member_seeds: list[int] = field(
        default_factory=list,
        metadata={"help": "Seeds to train each recipe with; each seed is a member. By default one, that of the run."},
    )
    member_checkpoints: int | None = field(
        default=None,
        metadata={
            "help": "Number of the last checkpoints of each recipe that are members; by default the best one is."
        },
    )

    def __post_init__(self):
        self.member_options = dict(self.member_options or {})
        if not self.members:
            raise ValueError("members is empty; name recipes, or the folders of one or more trained classifiers.")
        check_choice("combination", self.combination, (*COMBINATIONS, SOUP))
        check_distinct("member_seeds", self.member_seeds)
        if self.member_checkpoints is not None and self.member_checkpoints < 2:
            raise ValueError(f"member_checkpoints is {self.member_checkpoints}; it must be at least 2.")
        if taken := sorted(OF_FUSION & self.member_options.keys()):
            raise ValueError(f"member_options has {taken[0]}, which the fusion sets for its members; leave it out.")


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
    validation_speakers: float = field(
        default=0.02,
        metadata={
            "help": "Without validation_trials, share of the speakers who are held out for a list of trials that is drawn; "
            "fewer than two are not held out."
        },
    )
    speeds: list[float] = field(
        default_factory=lambda: [1.0],
        metadata={
            "help": "Speeds at which every recording is used in training, beginning with 1. A voice at another speed counts "
            "as another speaker."
        },
    )
    augmentation: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Augmentation of training crops: a mapping with any of reverberation, noise and gain, as in "
            "emofusion train."
        },
    )
    margin_warmup: float = field(
        default=0.0,
        metadata={"help": "Share of the steps over which the margin of the loss grows from 0 to its value."},
    )
    model_config: dict | None = field(
        default_factory=dict, metadata={"help": "Fields of SpeakerResNetConfig, as a mapping."}
    )

    def __post_init__(self):
        check_numbers(self)
        self.model_config = dict(self.model_config or {})
        self.augmentation = dict(self.augmentation or {})
        check_augmentation(self.augmentation)
        if "speed" in self.augmentation:
            raise ValueError("augmentation.speed changes the voice but not the speaker; give speeds instead.")
        self._check_speeds()
        if len(self.crop_seconds) != 2 or not 0 < self.crop_seconds[0] <= self.crop_seconds[1] < math.inf:
            raise ValueError(f"crop_seconds is {self.crop_seconds!r}; give the shortest and the longest, in seconds.")
        for name in ("validation_share", "validation_speakers"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1.")
        if self.margin_warmup > 1:
            raise ValueError(f"margin_warmup is {self.margin_warmup}; it must be from 0 to 1.")

    def _check_speeds(self) -> None:
        speeds = self.speeds
        if speeds[:1] != [1] or len(set(speeds)) < len(speeds) or not all(0.5 <= speed <= 2 for speed in speeds):
            raise ValueError(f"speeds is {speeds!r}; begin with 1, and give other speeds from 0.5 to 2, each once.")


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
        for name in ("sampler", "head_epochs", "head_learning_rate", "early_stopping_patience"):
            if getattr(self, name) != getattr(EmotionTrainingArguments, name):
                raise ValueError(f"{name} is given, but pretrain-speaker does not have it; leave it out.")
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
        check_distinct("seeds", self.seeds)
        check_distinct("folds", self.folds)


@dataclass
class CrossCorpusArguments:
    """The training sets and seeds of a cross-corpus table."""

    KINDS: ClassVar[tuple[str, ...]] = ("each", "others", "all")

    training_sets: list[str] = field(
        default_factory=lambda: ["each"],
        metadata={
            "help": 'Corpora to train on: "each" for one model per corpus of the recipe, "others" for one per corpus that is left '
            'out, "all" for one on all; or several of these. By default each.'
        },
    )
    seeds: list[int] = field(
        default_factory=list,
        metadata={"help": "Seeds to train each model with; by default the seed of the recipe."},
    )

    def __post_init__(self):
        check_distinct("seeds", self.seeds)
        if not self.training_sets:
            raise ValueError(f"training_sets is empty; choose from {', '.join(self.KINDS)}.")
        for kind in self.training_sets:
            check_choice("training_sets", kind, self.KINDS)


def check_distinct(name: str, numbers: list[int]) -> None:
    """Raise a `ValueError` if an option names a number twice."""
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{name} names a number twice: {', '.join(map(str, numbers))}.")
