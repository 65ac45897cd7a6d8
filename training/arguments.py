"""Arguments of a training run: the model, the data, the training."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from transformers import TrainingArguments

from ..configuration import VARIANTS
from .adapters.lora import check_lora
from .augmentation import check_augmentation

# Columns of a corpus that hold transcripts.
TEXT_COLUMNS = ("text", "asr_text")
# Trackers whose libraries the extra `tracking` installs.
TRACKERS = ("tensorboard", "trackio")


@dataclass
class ModelArguments:
    """Which model is trained."""

    variant: str = field(default="cross_attention", metadata={"help": f"One of {', '.join(VARIANTS)}."})
    model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "A trained model of the variant to start from, with its processor; its head is replaced unless the "
            "labels are the same. `model_config` then holds only what changes."
        },
    )
    audio_model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "Pre-trained speech encoder. Without one, `model_config.audio_config` is built at random."},
    )
    text_model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Pre-trained text encoder and its tokenizer. Without one, `model_config.text_config` is built at "
            "random and a tokenizer is trained on the training transcripts."
        },
    )
    vision_model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "Pre-trained encoder of video frames. Without one, `model_config.vision_config` is built."},
    )
    model_config: dict | None = field(
        default_factory=dict, metadata={"help": "Fields of the variant's configuration, as JSON."}
    )
    lora: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Adapters in the encoders, which are frozen, as JSON: any of rank, alpha, dropout, audio, text, vision, "
            'use_rslora and use_dora, as in {"rank": 8, "text": ["query", "value"]}; see training/adapters/lora.py.'
        },
    )
    quantization: str | None = field(
        default=None, metadata={"help": '"8bit" or "4bit": how the encoders that adapters are in are loaded on a GPU.'}
    )

    def __post_init__(self):
        self.model_config = dict(self.model_config or {})
        self.lora = dict(self.lora or {})
        check_lora(self.lora, self.quantization)
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; choose one of {', '.join(VARIANTS)}.")
        for kind in ("audio", "text", "vision"):
            if self.model_name_or_path is not None and getattr(self, f"{kind}_model_name_or_path") is not None:
                raise ValueError(
                    f"The recipe gives both model_name_or_path and {kind}_model_name_or_path; choose one."
                )


@dataclass
class DataArguments:
    """What it is trained on."""

    corpus: str = field(default="spoken", metadata={"help": "Name of the corpus."})
    corpus_root: str | None = field(default=None, metadata={"help": "Folder of the corpus."})
    corpus_options: dict | None = field(default_factory=dict, metadata={"help": "Options of the corpus, as JSON."})
    text_column: str = field(
        default="text",
        metadata={
            "help": 'Transcript that the model reads: "text", as people wrote it, or "asr_text", as a recogniser did.'
        },
    )
    max_seconds: float | None = field(default=None, metadata={"help": "Cut recordings to this many seconds."})
    max_train_samples: int | None = field(
        default=None,
        metadata={"help": "Train on so many utterances, drawn with the seed in the proportions of the classes."},
    )
    frames_per_second: float | None = field(
        default=None, metadata={"help": "Pictures of a second of video; the processor's own default if not given."}
    )
    soft_labels: bool = field(
        default=False,
        metadata={"help": "Train on how the raters' votes are shared among the classes, where the corpus tells it."},
    )
    augmentation: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "What is done to recordings while training, as JSON: any of speed, reverberation, noise and gain, as in "
            '{"noise": {"snr_db": [5, 20], "folder": null, "p": 0.5}}; see training/augmentation.py.'
        },
    )

    def __post_init__(self):
        self.corpus_options = dict(self.corpus_options or {})
        if self.text_column not in TEXT_COLUMNS:
            raise ValueError(f"text_column is {self.text_column!r}; choose one of {', '.join(TEXT_COLUMNS)}.")
        self.augmentation = dict(self.augmentation or {})
        check_augmentation(self.augmentation)
        for name, argument in (("name", "corpus"), ("root", "corpus_root")):
            if name in self.corpus_options:
                raise ValueError(f"corpus_options has {name!r}, which is an argument of its own: use {argument}.")


@dataclass
class EmotionTrainingArguments(TrainingArguments):
    """`TrainingArguments` whose defaults select the checkpoint on validation UA, and what they lack."""

    # What is measured on the validation part, and so all that a checkpoint can be chosen by.
    figures: ClassVar[tuple[str, ...]] = ("loss", "wa", "ua", "wf1", "macro_f1")

    learning_rates: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Learning rate of a component, by the name of its module, as JSON: "
            '{"audio_encoder": 1e-5, "text_encoder": 2e-5}. The others learn at `learning_rate`.'
        },
    )
    head_epochs: float = field(
        default=0.0,
        metadata={
            "help": "Epochs before all others in which the encoders are frozen. A run that is resumed is past them: "
            "checkpoints are written only later."
        },
    )
    class_weights: str | list[int | float] | None = field(
        default=None,
        metadata={"help": '"balanced" (inverse frequency in the training split) or a list, one weight a class.'},
    )
    cache_prefix: bool = field(
        default=False,
        metadata={
            "help": "Whether what is frozen is computed once for each utterance and read from disk in every epoch, and in "
            "every run that has the same frozen."
        },
    )
    cache_dir: str | None = field(
        default=None, metadata={"help": "Folder of that; if not given, one in the cache of datasets."}
    )
    cache_dtype: str = field(
        default="float32", metadata={"help": '"float32", or "bfloat16" for half the space and rounded numbers.'}
    )
    group_by_length: bool = field(
        default=False, metadata={"help": "Whether the utterances of a batch are of similar length: less padding."}
    )
    max_batch_seconds: float | None = field(
        default=None,
        metadata={
            "help": "Seconds of sound in a batch of one process, padding counted; how many utterances that are follows "
            "from their length, and per_device_train_batch_size says nothing. They are of similar length."
        },
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to measure on the validation part."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save; must agree with eval_strategy."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints to keep besides the best."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint."})
    metric_for_best_model: str | None = field(default="ua", metadata={"help": "Validation figure that is best."})
    hub_strategy: str = field(default="end", metadata={"help": "What is pushed is measured, so at the end only."})
    hub_private_repo: bool | None = field(default=True, metadata={"help": "Whether only you see a new repository."})
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "Every parameter has a part in every step, so there are none to find."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "The collator reads the rows by name."})
    logging_steps: float = field(default=10, metadata={"help": "Steps between two lines of the log."})

    def __post_init__(self):
        super().__post_init__()
        check_trackers(self.report_to)
        if self.report_to and self.run_name is None:
            self.run_name = Path(self.output_dir).name  # or trackio makes two runs of one
        self.dataloader_pin_memory &= self.device.type != "cpu"  # where there is nothing to pin it for, torch warns
        if self.push_to_hub and self.hub_strategy != "end":
            raise ValueError(
                f"hub_strategy is {self.hub_strategy.value!r}: a model is pushed when measured, at the end."
            )
        if not 0 <= self.label_smoothing_factor < 1:
            raise ValueError(
                f"label_smoothing_factor is {self.label_smoothing_factor}; it must be at least 0 and below 1."
            )
        if self.train_sampling_strategy in ("group_by_length", "batch_rebalance"):
            raise ValueError(  # they read a column of lengths, shuffle differently on each process, and reorder evaluation
                f"train_sampling_strategy is {self.train_sampling_strategy!r}; use group_by_length or max_batch_seconds."
            )
        if self.max_batch_seconds is not None and self.max_batch_seconds <= 0:
            raise ValueError(f"max_batch_seconds is {self.max_batch_seconds:g}; it must be positive.")
        if (metric := self.metric_for_best_model) and metric.removeprefix("eval_") not in self.figures:
            raise ValueError(
                f"metric_for_best_model is {metric!r}; checkpoints are chosen on the validation part, by one of "
                f"{', '.join(self.figures)}."
            )
        if self.cache_dtype not in ("float32", "bfloat16"):
            raise ValueError(f"cache_dtype is {self.cache_dtype!r}; choose float32 or bfloat16.")
        if self.head_epochs < 0:
            raise ValueError(f"head_epochs is {self.head_epochs}; it must not be negative.")
        if isinstance(self.class_weights, list):
            self.class_weights = json.dumps(self.class_weights)
        self.learning_rates = dict(self.learning_rates or {})
        for component, rate in self.learning_rates.items():
            if not isinstance(rate, (int, float)):
                raise ValueError(f"learning_rates gives {component!r} the rate {rate!r}, which is not a number.")


def check_trackers(names: Iterable[str]) -> None:
    """Check, before anything is loaded, that the libraries of trackers are installed.

    Args:
        names: Names of trackers, from `report_to`.

    Raises:
        ImportError: If a library is not installed.
    """
    for name in names:
        if name in TRACKERS and find_spec(name) is None:
            raise ImportError(f"report_to names {name}, which is not installed: pip install 'emofusion[tracking]'.")
