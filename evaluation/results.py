"""Results of a run: the typed content of `results.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..configuration.dimensions import check_dimensions, check_scale
from ..configuration.modalities import MODALITIES
from ..configuration.plain_text import show_value
from ..corpora.atomic_write import write_json
from .calibration import TemperatureScaling
from .cross_corpus_records import CrossCorpusResults
from .metadata import AdapterMetadata, CorpusMetadata, Environment, Paper, ParameterCounts, SplitCounts
from .records import Record
from .score_records import Intervals, Scores, SubsetScores, check_interval

FORMAT = 1
FILE = "results.json"


@dataclass(kw_only=True)
class ScoreDifference(Record):
    """Difference of a score between a late fusion and one of its members.

    Args:
        value: Score of the fusion minus that of the member.
        interval: 95 % interval over resampled speakers; None with fewer than six speakers.
        p_speakers: P-value over speakers; None with fewer than six speakers.
    """

    value: float
    interval: list[float] | None = None
    p_speakers: float | None = None

    def __post_init__(self):
        check_interval("interval", self.interval)


@dataclass(kw_only=True)
class MemberComparison(Record):
    """Comparison of a late fusion with one of its members on the test split; see `evaluation.comparison`.

    Args:
        wa: Overall accuracy of the fusion minus that of the member; None if no class is learned.
        ua: The same of the mean recall.
        wa_interval: 95 % interval of `wa` over resampled speakers; None with fewer than six speakers.
        ua_interval: The same of `ua`.
        p_utterances: P-value of the difference in WA over utterances.
        p_wa: P-value of the difference in WA over speakers; None with fewer than six speakers.
        p_ua: The same of the difference in UA.
        ccc: Differences in CCC by name of the dimension, and "mean"; empty if no dimension is learned.
        verdict: Whether the differences are significant, in a sentence.
    """

    wa: float | None = None
    ua: float | None = None
    wa_interval: list[float] | None = None
    ua_interval: list[float] | None = None
    p_utterances: float | None = None
    p_wa: float | None = None
    p_ua: float | None = None
    ccc: dict[str, ScoreDifference] = field(default_factory=dict)
    verdict: str = ""

    def __post_init__(self):
        for name in ("wa_interval", "ua_interval"):
            check_interval(name, getattr(self, name))


@dataclass(kw_only=True)
class LateFusionResults(Record):
    """A late fusion, its members and its alternatives; in a cross-validation those of all runs.

    Args:
        combination: The combination that is saved, "soup" for averaged weights.
        members: Folder or Hub id of each member, or its recipe in a cross-validation, by its name.
        unproven: Names of members whose training utterances are unknown.
        weights: Weight of each member by combination and member, over the runs of a cross-validation their mean.
        inverse_strength: Inverse strength of the logistic combination's penalty; None for several runs.
        systems: Scores by system (a member or a combination), split and name of the score.
        best_member: The member with the highest UA on the validation split.
        comparisons: Comparison with each member, by its name.
    """

    combination: str | None = None
    members: dict[str, str] = field(default_factory=dict)
    unproven: list[str] = field(default_factory=list)
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    inverse_strength: float | None = None
    systems: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    best_member: str | None = None
    comparisons: dict[str, MemberComparison] = field(default_factory=dict)


@dataclass(kw_only=True)
class Spread(Record):
    """Mean and sample standard deviation of a score over runs.

    Args:
        mean: Mean.
        std: Standard deviation, None for a single run.
    """

    mean: float | None = None
    std: float | None = None


@dataclass(kw_only=True)
class FoldResults(Record):
    """Results of one run of a cross-validation: one fold with one seed.

    Args:
        name: Name of its folder.
        fold: Number of the fold, from 1.
        seed: Its seed.
        metrics: Scores per split.
        intervals: Intervals of the test scores over speakers, None with too few speakers.
        breakdown: Scores on subsets of the test split.
        temperature: Temperature fitted on its validation split; None if it does not calibrate there.
        late_fusion: Members and combinations of a late fusion.
        data: Size of each split.
        seconds: Duration of the training.
    """

    name: str
    fold: int | None = None
    seed: int | None = None
    metrics: dict[str, Scores] = field(default_factory=dict)
    intervals: Intervals | None = None
    breakdown: dict[str, SubsetScores] = field(default_factory=dict)
    temperature: float | None = None
    late_fusion: LateFusionResults | None = None
    data: dict[str, SplitCounts] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(kw_only=True)
class CrossValidationResults(Record):
    """Results of the runs of a cross-validation.

    Args:
        folds: Numbers of the folds.
        seeds: The seeds.
        over_runs: Spread of each test score over all runs.
        over_seeds: Spread over the seeds of the scores pooled over folds; empty where that is the spread over runs.
        runs: Results of each run.
    """

    folds: list[int] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    over_runs: dict[str, Spread] = field(default_factory=dict)
    over_seeds: dict[str, Spread] = field(default_factory=dict)
    runs: list[FoldResults] = field(default_factory=list)


@dataclass(kw_only=True)
class Results(Record):
    """What the results of all kinds of runs share. A field is None, or empty, where it is unknown or not measured.

    Args:
        format: Version of the format, `FORMAT`.
        task: What was learned, a key of `RESULTS`.
        system: Name of the system: its variant or, of a baseline, its modality.
        model_class: Name of the model's class.
        paper: The publication of the method.
        training: Settings of the training that the card shows.
        recipe: The arguments that differ from their defaults.
        language: BCP-47 codes of the languages of the weights, as the user stated them; empty if not stated.
        license: Licence of the weights as the Hub names it, as the user stated it; None if not stated.
        environment: Versions and hardware.
        seconds: Duration of the training.
    """

    format: int = FORMAT
    task: str = ""
    system: str | None = None
    model_class: str | None = None
    paper: Paper | None = None
    training: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    language: list[str] = field(default_factory=list)
    license: str | None = None
    environment: Environment = field(default_factory=Environment)
    seconds: float | None = None

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read the results of a run.

        Args:
            folder: The folder of a run that is finished.

        Raises:
            FileNotFoundError: If the folder has no `results.json`.
            ValueError: If the file is damaged, of another format, or of another kind of run.
        """
        path = Path(folder, FILE)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: name the folder of a finished run.")
        try:
            results = parse_results(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if not isinstance(results, cls):
            raise ValueError(
                f"{path} has the results of the task {results.task}, not of {cls.task}: name another folder."
            )
        return results

    def write(self, folder: str | Path) -> Path:
        """Write `results.json` into a `folder` atomically, and return its path."""
        write_json(path := Path(folder, FILE), self.to_dict())
        return path

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build the results from the content of `results.json`; see [`Record.from_dict`].

        Raises:
            ValueError: If the format is another, or a required key is missing.
        """
        if isinstance(values, Mapping) and values.get("format") != FORMAT:
            raise ValueError(
                f"The format {show_value(values.get('format'))} is unknown: this version reads format {FORMAT}."
            )
        return super().from_dict(values)


@dataclass(kw_only=True)
class RunResults(Results):
    """Results of training a model of emotion, fusing several, or cross-validating one.

    Args:
        labels: Names of the model's outputs, in their order: the classes, or the dimensions.
        dimensions: Names of the dimensions that are learned; empty if there are none.
        dimension_scale: Lowest and highest value of a dimension; None if none is learned.
        modalities: The modalities that the model takes.
        earlier_turns: Number of previous turns whose words the model reads with an utterance.
        history: Number of previous utterances that the scores of an utterance depend on through speech context.
        corpus: Description of the corpus.
        data: Size of each split.
        parameters: Number of parameters.
        adapter: The adapters, None where there are none.
        base_models: Folder or Hub id of the pretrained models, by their role.
        late_fusion: Members and combinations of a late fusion.
        cross_validation: Single runs of a cross-validation.
        cross_corpus: Table of scores of models by the corpora of their training and of their test.
        temperature: Temperature fitted on the validation split; None if it does not calibrate there.
        temperature_scaling: The effect of the fitted temperature on the validation split.
        metrics: Scores per split.
        intervals: Intervals of the test scores over speakers, None with too few speakers.
        breakdown: Scores on subsets of the test split.
        pictures: Names of the pictures in the folder.
    """

    task: str = "classification"
    labels: list[str]
    dimensions: list[str] = field(default_factory=list)
    dimension_scale: list[float] | None = None
    modalities: list[str]
    earlier_turns: int = 0
    history: int = 0
    corpus: CorpusMetadata = field(default_factory=CorpusMetadata)
    data: dict[str, SplitCounts] = field(default_factory=dict)
    parameters: ParameterCounts | None = None
    adapter: AdapterMetadata | None = None
    base_models: dict[str, str | None] = field(default_factory=dict)
    late_fusion: LateFusionResults | None = None
    cross_validation: CrossValidationResults | None = None
    cross_corpus: CrossCorpusResults | None = None
    temperature: float | None = None
    temperature_scaling: TemperatureScaling | None = None
    metrics: dict[str, Scores] = field(default_factory=dict)
    intervals: Intervals | None = None
    breakdown: dict[str, SubsetScores] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)

    def __post_init__(self):
        if not self.labels:
            raise ValueError("'labels' is missing: name the emotions that the model knows.")
        if twice := [label for label in self.labels if self.labels.count(label) > 1]:
            raise ValueError(f"'labels' has {show_value(twice[0])} twice: give each emotion a name of its own.")
        if not self.modalities or not MODALITIES.keys() >= set(self.modalities):
            raise ValueError(
                f"'modalities' is {show_value(self.modalities)}: name one or more of {', '.join(MODALITIES)}."
            )
        self._check_dimensions()
        for split, scores in self.metrics.items():
            scores.check_classes(len(self.labels), split)
            if unknown := scores.dimensions.keys() - set(self.dimensions):
                raise ValueError(f"metrics: {split!r}: {show_value(min(unknown))} is none of the dimensions.")

    def _check_dimensions(self) -> None:
        if self.task == "classification":
            if self.dimensions:
                raise ValueError("'dimensions' is given, but the task is classification: leave it out.")
            return
        check_dimensions(self.dimensions, "'dimensions'")
        check_scale(self.dimension_scale, "'dimension_scale'")
        if self.task == "dimensions" and self.labels != self.dimensions:
            raise ValueError(
                f"'labels' is {show_value(self.labels)} and 'dimensions' {show_value(self.dimensions)}: name the same."
            )


@dataclass(kw_only=True)
class SpeakerScores(Record):
    """Scores of a speaker network on a split. None: not measured.

    Args:
        accuracy: Accuracy among the training speakers on held-out recordings.
        eer: Equal error rate of the trials.
        min_dcf: Minimum detection cost of the trials.
    """

    accuracy: float | None = None
    eer: float | None = None
    min_dcf: float | None = None


@dataclass(kw_only=True)
class SpeakerData(Record):
    """Data of a speaker network.

    Args:
        speakers: Number of training speakers.
        training: Number of training recordings.
        validation: Number of held-out recordings.
        validation_trials: Number of validation trials.
        test_trials: Number of test trials.
    """

    speakers: int
    training: int
    validation: int
    validation_trials: int | None = None
    test_trials: int | None = None


@dataclass(kw_only=True)
class SpeakerResults(Results):
    """Results of pretraining a speaker network.

    Args:
        metrics: Scores per split.
        p_target: Prior of the detection cost.
        data: Number of speakers, recordings and trials.
        parameters: Number of parameters.
    """

    task: str = "speaker_recognition"
    metrics: dict[str, SpeakerScores] = field(default_factory=dict)
    p_target: float
    data: SpeakerData
    parameters: int | None = None


# task -> the results of its runs
RESULTS = {
    "classification": RunResults,
    "dimensions": RunResults,
    "multi_task": RunResults,
    "speaker_recognition": SpeakerResults,
}


def parse_results(text: str | bytes) -> RunResults | SpeakerResults:
    """Read the results of any task from the text of `results.json`.

    Args:
        text: The text.

    Raises:
        ValueError: If the text is damaged, or its format or task is unknown.
    """
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    if not isinstance(values, Mapping):
        raise ValueError("This is not the result of a run.")
    if "task" not in values and "p_target" in values:  # speaker networks before they had a format
        values = {"format": FORMAT, "task": "speaker_recognition", **values}
    task = values.get("task") or "classification"
    if not isinstance(task, str) or task not in RESULTS:
        raise ValueError(
            f"The task {show_value(task)} is unknown: this version reads results of {', '.join(RESULTS)}."
        )
    return RESULTS[task].from_dict({**values, "task": task})
