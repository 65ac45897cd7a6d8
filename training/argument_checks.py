"""Checks of the arguments of a run: values that would fail late, or train nothing, are refused at the start (ours)."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from numbers import Real
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from transformers import TrainingArguments, get_scheduler
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from ..configuration.dimensions import check_dimensions
from ..configuration.plain_text import reason_of
from ..configuration.value_checks import check_languages, check_value
from ..evaluation.task import TASKS

# Numbers must be finite and at least 0, but for these.
POSITIVE = {
    *("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "num_train_epochs"),
    *("max_train_samples", "max_batch_seconds", "frames_per_second", "logging_steps", "eval_steps", "save_steps"),
    *("save_total_limit", "eval_accumulation_steps", "dataloader_prefetch_factor", "torch_empty_cache_steps"),
    "early_stopping_patience",
    *("ddp_timeout", "ddp_bucket_cap_mb", "neftune_noise_alpha", "adam_epsilon"),
}
LEAST = {"max_seconds": 0.1, "max_steps": -1, "local_rank": -1}
MOST = {"seed": 2**32 - 1, "data_seed": 2**32 - 1, "frames_per_second": 1000, "max_seconds": 86400}
MOST |= {"num_train_epochs": 10**6, "max_steps": 10**12, "dataloader_num_workers": 1024}
BELOW_ONE = ("adam_beta1", "adam_beta2", "label_smoothing_factor")
# Trackers whose libraries the extra `tracking` installs.
TRACKERS = ("tensorboard", "trackio")
LICENSE = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


def check_numbers(arguments: Any) -> None:
    """Check every field of a dataclass that is a number or a switch: its type, that it is finite, and its bounds.

    Raises:
        ValueError: If one is wrong; the message names it.
    """
    hints = get_type_hints(type(arguments))
    for item in fields(arguments):
        value, hint = getattr(arguments, item.name), hints[item.name]
        kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
        if kinds <= {int, float, bool, type(None)}:
            check_value(item.name, value, hint)
            if not isinstance(value, bool | None):
                _check_bounds(item.name, value)


def _check_bounds(name: str, value: float) -> None:
    least, most = LEAST.get(name, 0), MOST.get(name, math.inf)
    if name in POSITIVE and value <= 0:
        raise ValueError(f"{name} is {value:g}; it must be positive.")
    if name == "max_steps" and value <= 0 and value != -1:
        raise ValueError(f"max_steps is {value}; it must be positive, or -1 to train for num_train_epochs.")
    if value < least:
        bound = "must not be negative" if least == 0 else f"must be at least {least:g}"
        raise ValueError(f"{name} is {value:g}; it {bound}.")
    if value > most:
        raise ValueError(f"{name} is {value:g}; it must be at most {most:g}.")
    if name in BELOW_ONE and value >= 1:
        raise ValueError(f"{name} is {value:g}; it must be at least 0 and below 1.")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise a ValueError if a value is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(str, choices))}.")


def check_task(task: str, dimensions: Sequence[str], soft_labels: bool) -> None:
    """Raise a ValueError if there is no such task, or an option does not fit it.

    Args:
        task: The name of the task.
        dimensions: Names of the dimensions that are given.
        soft_labels: Whether the labels are the raters' votes.
    """
    check_choice("task", task, TASKS)
    if dimensions:
        check_dimensions(dimensions)
    if dimensions and task == "classification":
        raise ValueError("dimensions is given, but the task is classification; set task to dimensions or multi_task.")
    if soft_labels and task == "dimensions":
        raise ValueError("soft_labels is given, but the task dimensions has no classes; leave it out.")


def check_data_loader(arguments: TrainingArguments) -> None:
    """Raise a ValueError if an option of the data loader's processes is given, but there are none."""
    if arguments.dataloader_num_workers:
        return
    for name in ("dataloader_persistent_workers", "dataloader_multiprocessing_context"):
        if getattr(arguments, name, None):  # the second is new in transformers
            raise ValueError(f"{name} is given, but dataloader_num_workers is 0; set it to 1 or more.")


def check_compilation(arguments: TrainingArguments) -> None:
    """Raise a ValueError if the model is to be compiled.

    Batches differ in length, and the models compute by the lengths of their rows: every batch would be compiled anew.
    """
    for name in ("torch_compile", "torch_compile_backend", "torch_compile_mode"):
        if getattr(arguments, name):
            raise ValueError(
                f"{name} is given, but every batch has other lengths, for which the model would be compiled anew; leave it "
                "out."
            )


def check_rates(rates: Any) -> None:
    """Raise a ValueError if a learning rate of a component is not a finite number of at least 0."""
    if not isinstance(rates, Mapping):
        raise ValueError(f"learning_rates is {rates!r}; it must be a mapping of components to rates.")
    for component, rate in rates.items():
        if rate is None:  # the default
            continue
        check_value(f"learning_rates.{component}", rate, float)
        if rate < 0:
            raise ValueError(f"learning_rates.{component} is {rate:g}; it must not be negative.")


def check_class_weights(weights: Any) -> None:
    """Raise a ValueError if class weights are neither "balanced" nor positive numbers."""
    if weights is None or weights == "balanced":
        return
    numbers = isinstance(weights, list) and weights
    if not numbers or any(
        isinstance(weight, bool) or not isinstance(weight, Real) or not 0 < weight < math.inf for weight in weights
    ):
        raise ValueError(f'class_weights is {weights!r}; it must be "balanced" or a list of positive numbers.')


def check_scheduler(arguments: TrainingArguments) -> None:
    """Check the schedule of the learning rate by building it; a run builds it only after loading everything.

    Raises:
        ValueError: If it refuses its arguments.
    """
    given = arguments.lr_scheduler_kwargs
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"lr_scheduler_kwargs is {given!r}; it must be a mapping.")
    name = arguments.lr_scheduler_type.value
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    try:
        get_scheduler(name, optimizer, 1, 10, scheduler_specific_kwargs=dict(given or {}))
    except Exception as error:  # each schedule fails in its own way
        raise ValueError(
            f"lr_scheduler_kwargs is {dict(given or {})}, which lr_scheduler_type {name!r} refuses: {reason_of(error)}."
        ) from error


def check_optimizer_arguments(text: str | None) -> None:
    """Raise a ValueError if `optim_args` is not a list of `name=value`."""
    if text and any(part.count("=") != 1 for part in text.split(",")):
        raise ValueError(f"optim_args is {text!r}; write it as name=value,name=value.")


def check_trackers(names: Iterable[str]) -> None:
    """Raise, before anything is loaded, if a tracker is unknown, or its library is not installed."""
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise ValueError(f"report_to is {name!r}; choose from {', '.join(INTEGRATION_TO_CALLBACK)}, none and all.")
        if name in TRACKERS and find_spec(name) is None:
            raise ImportError(f"report_to names {name}, which is not installed: pip install 'emofusion[tracking]'.")


def check_statements(language: Iterable[str], license: str | None) -> None:
    """Raise a ValueError if language or licence of the weights are not identifiers of the Hub."""
    check_languages(language)
    if license is not None and not (isinstance(license, str) and LICENSE.fullmatch(license)):
        raise ValueError(f"license is {license!r}; give an identifier of the Hub, such as cc-by-4.0 or other.")
