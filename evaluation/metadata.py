"""Metadata of a run as records: paper, corpus, data, parameters, adapters, environment."""

from dataclasses import dataclass, field

from ..configuration.dimensions import check_scale
from .records import Record


@dataclass(kw_only=True)
class Paper(Record):
    """The publication that describes a system, and the sources of the parts of the system.

    Args:
        title: Title.
        authors: Names of the authors.
        year: Year of publication.
        url: Address of the paper.
        stated: Parts that the paper's own abstract or page states, separated by commas.
        noted: Parts that only a third party's reading notes of the paper have.
        ours: Other parts.
    """

    title: str | None = None
    authors: str | None = None
    year: int | None = None
    url: str | None = None
    stated: str | None = None
    noted: str | None = None
    ours: str | None = None


@dataclass(kw_only=True)
class CorpusMetadata(Record):
    """Description of a corpus and of how a run uses it.

    Args:
        name: Its name in `corpora.CORPORA`; of several that are joined, their names with `+` between them.
        corpora: The names of several that are joined; empty for one.
        title: Its name for people.
        fold: Number of the fold that it is split by, from 1; None if its splits are fixed, or several folds are pooled.
        hub_id: Its repository on the Hub.
        demonstration: Whether it is synthetic, so that scores on it are no benchmark.
        protocol: How it is split, in a sentence.
        license: Its licence.
        language: BCP-47 codes of the languages that are spoken in it; empty where unknown.
        speaker_independent: Whether no speaker of the training split is in another.
        selection: How the checkpoint was selected, in a sentence.
        label_map: By corpus, the class of every label; None for labels whose utterances are dropped. Empty if the classes
            are the labels of the only corpus.
        dropped: By corpus and label, the number of utterances that the label map drops.
        tested: By name, title and protocol of other corpora whose test splits are predicted.
        dimension_scale: Lowest and highest value of its dimensions; None if it has none.
    """

    name: str | None = None
    corpora: list[str] = field(default_factory=list)
    title: str | None = None
    fold: int | None = None
    hub_id: str | None = None
    demonstration: bool | None = None
    protocol: str | None = None
    license: str | None = None
    language: list[str] = field(default_factory=list)
    speaker_independent: bool | None = None
    selection: str | None = None
    label_map: dict[str, dict[str, str | None]] = field(default_factory=dict)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    tested: dict[str, str] = field(default_factory=dict)
    dimension_scale: list[float] | None = None

    def __post_init__(self):
        if self.dimension_scale is not None:
            check_scale(self.dimension_scale)


@dataclass(kw_only=True)
class SplitCounts(Record):
    """Size of a split.

    Args:
        utterances: Number of utterances.
        seconds: Duration in seconds, None if not every utterance has times.
        speakers: Number of speakers.
        classes: Utterances per class.
        dimensions: Utterances per dimension whose value is known.
        unaligned: Per span level ("phone", "syllable", "word"), utterances without such spans; the model takes their
            frames instead.
        digest: Digest of the ids of the utterances, see `corpora.folds.digest_ids`.
    """

    utterances: int | None = None
    seconds: float | None = None
    speakers: int | None = None
    classes: dict[str, int] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)
    unaligned: dict[str, int] = field(default_factory=dict)
    digest: str | None = None


@dataclass(kw_only=True)
class ParameterCounts(Record):
    """Number of parameters of a model.

    Args:
        total: All of them.
        trainable: Those that were trained.
    """

    total: int | None = None
    trainable: int | None = None


@dataclass(kw_only=True)
class AdapterMetadata(Record):
    """Adapters of a model.

    Args:
        method: "lora".
        rank: Rank of the update.
        alpha: Scale of the update, before it is divided by the rank.
        dropout: Dropout before the adapters.
        use_rslora: Whether the scale is divided by the root of the rank.
        use_dora: Whether magnitude and direction are trained apart.
        layers: Names of the adapted layers.
        base_model: Folder or Hub id of the base model.
    """

    method: str
    rank: int | None = None
    alpha: float | None = None
    dropout: float | None = None
    use_rslora: bool | None = None
    use_dora: bool | None = None
    layers: list[str] = field(default_factory=list)
    base_model: str | None = None


@dataclass(kw_only=True)
class Environment(Record):
    """Versions and hardware of a run; None where the folds of a cross-validation differ.

    Args:
        emofusion: Version of this package.
        python: Version of Python.
        torch: Version of PyTorch.
        transformers: Version of transformers.
        device: Type of the device, as "cuda".
        processes: Number of processes.
    """

    emofusion: str | None = None
    python: str | None = None
    torch: str | None = None
    transformers: str | None = None
    device: str | None = None
    processes: int | None = None
