"""What is searched over: options of a run, and what is tried for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna import Trial

# What says which utterances are measured, and by what: trials that differ in it cannot be compared.
MEASURING = (
    "corpus",
    "corpus_root",
    "corpus_options",
    "metric_for_best_model",
    "output_dir",
    "search",
    "trials",
    "prune",
)


@dataclass
class SearchArguments:
    """What is searched over, and how long."""

    search: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "What is tried for an option, by the option's name, as JSON: a list of choices, or a range as in "
            '{"learning_rate": {"low": 1e-5, "high": 1e-3, "log": true}, "model_config.hidden_size": [64, 128]}.'
        },
    )
    trials: int = field(default=20, metadata={"help": "How many there shall be, those of an earlier search included."})
    prune: bool = field(
        default=True,
        metadata={"help": "Whether a trial ends that is, when it is measured, below the median of those before it."},
    )

    def __post_init__(self):
        self.search = _flatten(self.search or {})
        for name, domain in self.search.items():
            _check_domain(name, domain)
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; it must be at least 1.")


def suggest(trial: "Trial", space: Mapping) -> dict:
    """Settings for a trial.

    Args:
        trial: of optuna.
        space: per option, a list of choices or `low`, `high` and perhaps `log` or `step`; whole numbers where both are.
    """
    settings = {}
    for name, domain in space.items():
        if isinstance(domain, list):
            settings[name] = trial.suggest_categorical(name, domain)
        elif isinstance(domain["low"], int) and isinstance(domain["high"], int):
            settings[name] = trial.suggest_int(name, **domain)
        else:
            settings[name] = trial.suggest_float(name, **domain)
    return settings


def _flatten(space: Mapping, prefix: str = "") -> dict:
    """Options of members under their dotted names, as `--search.model_config.hidden_size "[64, 128]"` gives them."""
    flat = {}
    for name, domain in space.items():
        if isinstance(domain, Mapping) and "low" not in domain and "high" not in domain:
            flat |= _flatten(domain, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = domain
    return flat


def _check_domain(name: str, domain) -> None:
    if name.split(".")[0] in MEASURING:
        raise ValueError(f"search names {name!r}; trials that differ in it could not be compared.")
    if isinstance(domain, list):
        if not domain or not all(isinstance(choice, (bool, int, float, str)) for choice in domain):
            raise ValueError(
                f"search gives {name!r} the choices {domain!r}; they must be numbers, words, true or false."
            )
        return
    rule = "it must be a list of choices, or low and high, with log or step if wanted."
    if not isinstance(domain, Mapping) or not {"low", "high"} <= set(domain) <= {"low", "high", "log", "step"}:
        raise ValueError(f"search gives {name!r} {domain!r}; {rule}")
    low, high = domain["low"], domain["high"]
    if not all(isinstance(end, (int, float)) for end in (low, high)) or not low < high:
        raise ValueError(f"search gives {name!r} the range {low!r} to {high!r}; low must be a number below high.")
    if domain.get("log") and ("step" in domain or low <= 0):
        raise ValueError(f"search wants logarithms of {name!r}; then low must be positive, and there is no step.")
