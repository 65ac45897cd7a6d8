"""The search space: options of a run, and the values to try for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...configuration.value_checks import is_number

if TYPE_CHECKING:
    from optuna import Trial

# Options that decide which utterances are measured and how. Trials that differ in them have no comparable scores.
MEASURING = (
    "task",
    "dimensions",
    "corpus",
    "corpus_root",
    "corpus_options",
    "label_map",
    "test_corpora",
    "dimension_scale",
    "metric_for_best_model",
    "output_dir",
    "search",
    "trials",
    "prune",
)
# Options of the loss, and prefixes of such options. Trials that differ in them have no comparable `loss`.
OF_LOSS = (
    *("auxiliary", "class_weights", "label_smoothing_factor"),
    *("model_config.loss_weights", "model_config.dimension_loss", "model_config.class_weights"),
    *("model_config.label_smoothing", "model_config.focal_gamma"),
    *("model_config.discrepancy_weight", "model_config.margin"),
)


@dataclass
class SearchArguments:
    """The search space, and the number of trials."""

    search: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Values to try, by the name of the option: a list of choices, or a range, such as "
            '{"learning_rate": {"low": 1e-5, "high": 1e-3, "log": true}, "model_config.hidden_size": [64, 128]}.'
        },
    )
    trials: int = field(default=20, metadata={"help": "Number of trials, with those of an interrupted search."})
    prune: bool = field(
        default=True,
        metadata={"help": "Stop a trial whose score is below the median of earlier trials at the same step."},
    )

    def __post_init__(self):
        self.search = _flatten(self.search or {})
        for name, domain in self.search.items():
            _check_domain(name, domain)
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; it must be at least 1.")


def check_metric(space: Mapping, metric: str) -> None:
    """Raise a ValueError if trials are compared by their loss, and a search space changes what that is.

    Args:
        space: Domains by the name of the option.
        metric: The metric that trials are compared by.
    """
    for name in space if metric == "loss" else ():
        if any(name == option or name.startswith(f"{option}.") for option in OF_LOSS):
            raise ValueError(
                f"search names {name!r}, and metric_for_best_model is loss, which it changes: trials that differ in it have no "
                "comparable loss; choose another metric."
            )


def suggest(trial: "Trial", space: Mapping) -> dict:
    """Return the settings of a trial.

    Args:
        trial: A trial of Optuna.
        space: Domains by the name of the option: a list of choices, or a mapping with `low`, `high` and optionally `log`
            or `step`. If both ends are whole numbers, so are the values.
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
    """Return a search space with dotted names (`model_config.hidden_size`) instead of nested mappings."""
    flat = {}
    for name, domain in space.items():
        if isinstance(domain, Mapping) and "low" not in domain and "high" not in domain:
            flat |= _flatten(domain, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = domain
    return flat


def _check_domain(name: str, domain) -> None:
    if name.split(".")[0] in MEASURING:
        raise ValueError(f"search names {name!r}; trials that differ in it have no comparable scores.")
    if isinstance(domain, list):
        if not domain or not all(isinstance(choice, (bool, int, float, str)) for choice in domain):
            raise ValueError(
                f"search gives {name!r} the choices {domain!r}; they must be numbers, text, true or false."
            )
        return
    rule = "it must be a list of choices, or low and high, optionally with log or step."
    if not isinstance(domain, Mapping) or not {"low", "high"} <= set(domain) <= {"low", "high", "log", "step"}:
        raise ValueError(f"search gives {name!r} {domain!r}; {rule}")
    low, high = domain["low"], domain["high"]
    if not all(map(is_number, (low, high))) or not low < high:
        raise ValueError(f"search gives {name!r} the range {low!r} to {high!r}; low must be a number below high.")
    if not isinstance(domain.get("log", False), bool):
        raise ValueError(f"search has log {domain['log']!r} for {name!r}; it must be true or false.")
    if not is_number(domain.get("step", 1)) or domain.get("step", 1) <= 0:
        raise ValueError(f"search has the step {domain['step']!r} for {name!r}; it must be a positive number.")
    if domain.get("log") and ("step" in domain or low <= 0):
        raise ValueError(f"search has log for {name!r}; low must be positive then, and step cannot be given.")
