"""Arguments of a training run: the model, the data, the training."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy, IntervalStrategy, SaveStrategy

from ..configuration import VARIANTS
from ..configuration.modalities import MODALITIES, name_system
from ..corpora.joining.selection import Selection
from ..evaluation.task import TASKS, Task, task_class
from ..processing.text_context import check_context
from .adapters.lora_settings import check_lora
from .argument_checks import (
    check_choice,
    check_class_weights,
    check_compilation,
    check_data_loader,
    check_numbers,
    check_optimizer_arguments,
    check_rates,
    check_scheduler,
    check_statements,
    check_task,
    check_trackers,
)
from .augmentation import check_augmentation
from .auxiliary import check_auxiliary
from .corpus_arguments import CorpusArguments
from .mixup import check_mixup

DTYPES = ("float32", "bfloat16")
SAMPLERS = ("random", "balanced", "balanced_corpora")
# The metric of the task, as the metric that selects the checkpoint.
AUTO = "auto"
# The variant that is no model of ours.
TEXT_CLASSIFIER = "text_classifier"


@dataclass
class ModelArguments:
    """The model, and the checkpoints that it starts from."""

    variant: str = field(
        default="cross_attention",
        metadata={
            "help": f"Variant of the model: {', '.join(VARIANTS)}; or {TEXT_CLASSIFIER}, any "
            "AutoModelForSequenceClassification of transformers."
        },
    )
    model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Trained model of the variant to start from, with its processor. Its head is replaced if the labels "
            "differ. model_config then overrides its configuration, and the options of data those of its processor."
        },
    )
    audio_model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Pretrained speech encoder. Without it, model_config.audio_config is initialised at random."
        },
    )
    text_model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Pretrained text encoder with its tokenizer. Without it, model_config.text_config is initialised at "
            "random, and a tokenizer is trained on the transcripts of the training split."
        },
    )
    vision_model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Pretrained encoder of video frames. Without it, model_config.vision_config is initialised at random."
        },
    )
    model_config: dict | None = field(
        default_factory=dict, metadata={"help": "Fields of the configuration of the variant, as a mapping."}
    )
    lora: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "LoRA adapters in the encoders, which are then frozen: a mapping with any of rank, alpha, dropout, "
            'audio, text, vision, use_rslora and use_dora, such as {"rank": 8, "text": ["query", "value"]}.'
        },
    )
    quantization: str | None = field(
        default=None, metadata={"help": '"8bit" or "4bit": quantise the encoders with adapters. Needs a GPU.'}
    )

    def __post_init__(self):
        self.model_config = dict(self.model_config or {})
        self.lora = dict(self.lora or {})
        check_lora(self.lora, self.quantization)
        check_choice("variant", self.variant, (*VARIANTS, TEXT_CLASSIFIER))
        for modality in MODALITIES.values():
            encoder = self.model_config.get(modality.config_field)
            if not isinstance(encoder, (Mapping, type(None))):
                raise ValueError(f"model_config.{modality.config_field} is {encoder!r}; it must be a mapping.")
            argument = modality.encoder_argument
            if self.model_name_or_path is not None and getattr(self, argument) is not None:
                raise ValueError(f"The recipe gives both model_name_or_path and {argument}; choose one.")

    @property
    def system(self) -> str:
        """The name of the system: the variant or, of a model of one modality, the word for the modality."""
        return name_system(self.variant, self.model_config.get("modality"))


@dataclass
class DataArguments(CorpusArguments):
    """The corpora, what is learned from them, and how their utterances are read."""

    task: str = field(
        default="classification",
        metadata={
            "help": "What is learned: classification (the emotion), dimensions (valence, arousal and dominance) or "
            "multi_task (both)."
        },
    )
    dimensions: list[str] | None = field(
        default_factory=list,
        metadata={"help": "Dimensions to learn, in this order; by default those that the corpus has."},
    )
    context_turns: int | None = field(default=None, metadata={"help": "Earlier turns that the text encoder reads."})
    context_tokens: int | None = field(
        default=None, metadata={"help": "Most tokens of these turns; by default what fits the encoder."}
    )
    max_seconds: float | None = field(default=None, metadata={"help": "Cut recordings to this many seconds."})
    max_train_samples: int | None = field(
        default=None,
        metadata={
            "help": "Train on a random sample of this many utterances, stratified by class if classes are learned."
        },
    )
    frames_per_second: float | None = field(
        default=None, metadata={"help": "Video frames per second; by default that of the processor."}
    )
    soft_labels: bool = field(
        default=False,
        metadata={"help": "Train on the distribution of the raters' votes, for corpora that have it."},
    )
    augmentation: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Augmentation of training recordings: a mapping with any of speed, reverberation, noise and gain, such "
            'as {"noise": {"snr_db": [5, 20], "folder": null, "p": 0.5}}.'
        },
    )
    mixup: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Mixup of training utterances: a mapping with waveform (for models of speech alone) or embedding, and the "
            'alpha of its Beta distribution, such as {"embedding": 0.2}.'
        },
    )
    auxiliary: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Columns of the corpus that the model learns beside its task, and the weights of their losses, such as "
            '{"gender": 0.2}.'
        },
    )

    def __post_init__(self):
        super().__post_init__()
        self.augmentation = dict(self.augmentation or {})
        self.mixup, self.auxiliary = dict(self.mixup or {}), dict(self.auxiliary or {})
        self.dimensions = list(self.dimensions or [])
        check_task(self.task, self.dimensions, self.soft_labels)
        check_augmentation(self.augmentation)
        check_auxiliary(self.auxiliary)
        check_mixup(self.mixup)
        check_numbers(self)
        check_context(self.context_turns or 0, None if self.context_turns is None else self.context_tokens)

    @property
    def selection(self) -> Selection:
        """The corpora of the run; their labels need classes if classes are learned."""
        classes, dimensions = self.task != "dimensions", self.task != "classification"
        wanted = {"needs_labels": classes, "keep_unlabelled": dimensions, "context_turns": self.context_turns or 0}
        return replace(super().selection, **wanted)


@dataclass
class EmotionTrainingArguments(TrainingArguments):
    """`TrainingArguments` with our options; by default the checkpoint with the best validation UA or CCC is kept."""

    # Metrics of the validation split that may select the checkpoint, and whether they are better when greater.
    selection_metrics: ClassVar[dict[str, bool]] = {
        AUTO: True,
        **{metric: better for name in TASKS for metric, better in task_class(name).metrics.items()},
    }

    learning_rates: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Learning rates of single components, by module name, such as "
            '{"audio_encoder": 1e-5, "text_encoder": 2e-5}. The others use learning_rate.'
        },
    )
    head_epochs: float = field(
        default=0.0,
        metadata={"help": "Epochs with frozen encoders before the others. A resumed run skips them."},
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the head_epochs; by default learning_rate."}
    )
    sampler: str = field(
        default="random",
        metadata={
            "help": 'Order of the training utterances: "random"; "balanced", as many of each class, with utterances of rare '
            'classes several times in an epoch; or "balanced_corpora", as many of each corpus, and inside it of each class.'
        },
    )
    early_stopping_patience: int | None = field(
        default=None,
        metadata={"help": "End the training after this many validations without a better metric_for_best_model."},
    )
    class_weights: str | list[int | float] | None = field(
        default=None,
        metadata={
            "help": 'Weights of the classes in the loss: "balanced" (inverse frequency in the training split), or a list '
            "with one number per class."
        },
    )
    cache_prefix: bool = field(
        default=False,
        metadata={
            "help": "Compute the output of frozen layers once per utterance, and read it from disk in later epochs and in "
            "runs with the same frozen layers."
        },
    )
    cache_dir: str | None = field(
        default=None, metadata={"help": "Folder of that cache; by default in the cache of datasets."}
    )
    cache_dtype: str = field(
        default="float32", metadata={"help": '"float32", or "bfloat16" for half the disk space at lower precision.'}
    )
    group_by_length: bool = field(
        default=False, metadata={"help": "Batch utterances of similar length, for less padding."}
    )
    max_batch_seconds: float | None = field(
        default=None,
        metadata={
            "help": "Most seconds of audio in a training batch of one process, with padding. Batches then vary in size and "
            "have utterances of similar length; per_device_train_batch_size is ignored."
        },
    )
    bf16: bool | str = field(
        default=False,
        metadata={"help": 'Compute in bfloat16 with float32 weights; "auto" does so on GPUs that support it.'},
    )
    language: list[str] | None = field(
        default_factory=list,
        metadata={
            "help": "Languages of the model, as BCP 47 codes such as en, for its card; by default those of the corpus."
        },
    )
    license: str | None = field(
        default=None,
        metadata={"help": "Licence of the weights, as an identifier of the Hub such as cc-by-4.0, for the card."},
    )
    eval_strategy: IntervalStrategy | str = field(
        default="epoch", metadata={"help": 'When to evaluate on the validation split: "no", "steps" or "epoch".'}
    )
    save_strategy: SaveStrategy | str = field(
        default="epoch", metadata={"help": "When to save a checkpoint; must agree with eval_strategy."}
    )
    save_total_limit: int | None = field(
        default=1,
        metadata={
            "help": "Most checkpoints to keep, the best among them; with 1, the last one too until the training ends."
        },
    )
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Load the best checkpoint at the end."})
    metric_for_best_model: str | None = field(
        default=AUTO,
        metadata={
            "help": "Validation metric that selects the checkpoint: loss; of classes wa, ua, wf1 or macro_f1; of dimensions "
            "ccc, pearson or rmse; auto is ccc if only dimensions are learned, else ua."
        },
    )
    hub_strategy: HubStrategy | str = field(
        default="end", metadata={"help": 'When to push to the Hub; only "end", after the test split is measured.'}
    )
    hub_private_repo: bool | None = field(default=True, metadata={"help": "Whether a new Hub repository is private."})
    ddp_find_unused_parameters: bool | None = field(
        default=False,
        metadata={"help": "Whether DDP searches for unused parameters; not needed, every step uses all of them."},
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "No effect: the collator reads columns that no model has as input."}
    )
    logging_steps: float = field(default=10, metadata={"help": "Steps between two lines of the log."})
    logging_nan_inf_filter: bool = field(
        default=False,
        metadata={"help": "Look at the loss of every step, for which a GPU is waited for, instead of at every log."},
    )
    dataloader_persistent_workers: bool | None = field(
        default=None,
        metadata={"help": "Whether the processes of the data loader stay from epoch to epoch; by default they do."},
    )

    def __post_init__(self):
        check_numbers(self)
        check_class_weights(_as_list(self.class_weights))
        check_optimizer_arguments(self.optim_args)
        check_compilation(self)
        if self.dataloader_persistent_workers is None:
            self.dataloader_persistent_workers = self.dataloader_num_workers > 0
        check_choice("bf16", self.bf16, (True, False, "auto"))
        if self.bf16 == "auto":
            self.bf16 = not self.use_cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported(False)
        super().__post_init__()
        self._check()
        if self.report_to and self.run_name is None:
            self.run_name = Path(self.output_dir).name  # without a name, trackio starts a second run at the evaluation
        self.dataloader_pin_memory &= self.device.type != "cpu"  # torch warns if memory is pinned without a GPU
        # A copy from pinned memory need not be waited for.
        self.accelerator_config.non_blocking |= self.dataloader_pin_memory
        if metric := self.metric_for_best_model:
            self.greater_is_better = self.selection_metrics[metric.removeprefix("eval_")]
        if isinstance(self.class_weights, list):
            self.class_weights = json.dumps(self.class_weights)
        check_rates(self.learning_rates or {})
        self.learning_rates = {name: rate for name, rate in (self.learning_rates or {}).items() if rate is not None}
        self.language = [self.language] if isinstance(self.language, str) else list(self.language or [])
        check_statements(self.language, self.license)

    def select_by(self, task: Task | type[Task]) -> None:
        """Replace "auto" as the metric that selects the checkpoint by that of a task.

        Args:
            task: The task, or its class.

        Raises:
            ValueError: If the metric is of another task.
        """
        if self.metric_for_best_model == AUTO:
            self.metric_for_best_model = task.selection_metric
        metric = self.metric_for_best_model
        if metric is not None and metric.removeprefix("eval_") not in task.metrics:
            raise ValueError(
                f"metric_for_best_model is {metric!r}; the task {task.name} has {', '.join(task.metrics)}."
            )

    def _check(self) -> None:
        check_trackers(self.report_to)
        if self.push_to_hub and self.hub_strategy != "end":
            raise ValueError(
                f"hub_strategy is {self.hub_strategy.value!r}; use 'end', because a model is pushed with its test scores."
            )
        # They need a column of lengths, shuffle differently on each process, and reorder the evaluation.
        if self.train_sampling_strategy in ("group_by_length", "batch_rebalance"):
            raise ValueError(
                f"train_sampling_strategy is {self.train_sampling_strategy!r}; use group_by_length or max_batch_seconds."
            )
        if (metric := self.metric_for_best_model) and metric.removeprefix("eval_") not in self.selection_metrics:
            raise ValueError(
                f"metric_for_best_model is {metric!r}; the validation split has "
                f"{', '.join(name for name in self.selection_metrics if name != AUTO)}."
            )
        for name in ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs", "liger_kernel_config"):
            if not isinstance(value := getattr(self, name, None), (Mapping, type(None))):
                raise ValueError(f"{name} is {value!r}; it must be a mapping.")
        check_scheduler(self)
        check_data_loader(self)
        check_choice("cache_dtype", self.cache_dtype, DTYPES)
        check_choice("sampler", self.sampler, SAMPLERS)
        if self.sampler != "random" and (self.group_by_length or self.max_batch_seconds is not None):
            raise ValueError(
                f"sampler is {self.sampler!r}, and group_by_length or max_batch_seconds is given too; choose one of them."
            )
        if self.sampler != "random" and self.class_weights == "balanced":
            raise ValueError(
                f"sampler is {self.sampler!r} and class_weights is 'balanced', which would favour rare classes twice; choose one "
                "of them, or give a list of weights."
            )
        if self.head_learning_rate is not None and not self.head_epochs:
            raise ValueError("head_learning_rate is given without head_epochs; give both.")
        if self.early_stopping_patience is not None and self.eval_strategy == "no":
            raise ValueError("early_stopping_patience is given, but eval_strategy is 'no'; leave one of them out.")
        if self.early_stopping_patience is not None and self.metric_for_best_model is None:
            raise ValueError("early_stopping_patience is given without metric_for_best_model; give both.")


def _as_list(weights: Any) -> Any:
    """Return class weights as a list, if they are a list or the text of one."""
    if isinstance(weights, str) and weights != "balanced":
        try:
            return json.loads(weights)
        except (ValueError, RecursionError):
            return weights
    return weights
