"""`EmotionTrainer`: the Trainer of transformers with learning rates per component and complete Hub folders."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME

from ..evaluation.results import FILE as RESULTS
from ..hub.bundle import write_bundle
from ..hub.card import write_card
from ..processing.processor_checks import modalities_of
from .adapters.lora import unwrap_adapters
from .arguments import EmotionTrainingArguments
from .augmentation import DrawEpochSetter
from .auxiliary import AuxiliaryAccuracy
from .balanced_sampler import find_sampler
from .checkpoints import BestCheckpointFinder, check_weights, find_damage
from .collator import with_history
from .dialogue_batches import group_by_dialogue
from .kept_weights import replaced, weights_kept
from .loss_guard import LossGuard, check_scores
from .metadata import RunMetadataCallback, find_task
from .missing_gradients import lacks_modality, with_all_parameters
from .progress import replace_progress
from .sampler import EpochSetter, draw_seed, end_workers, group_by_length, padding_of
from .split_loss import SplitLossMixin
from .trainer_inputs import (
    check_labels,
    complete_arguments,
    complete_collator,
    find_class_weights,
    find_processor,
    set_label_smoothing,
)
from .trainer_push import PushMixin


class EmotionTrainer(PushMixin, SplitLossMixin, Trainer):
    """Trainer with a learning rate per component, class weights, named losses in the log, and complete Hub folders.

    Every folder that it saves has a model card, with everything that `run_metadata` knows.

    Args:
        model: As in [`transformers.Trainer`].
        args: `EmotionTrainingArguments`; plain `TrainingArguments` get our options at their defaults. Columns of the rows
            are never removed, whatever `remove_unused_columns` says: the collator reads columns that no model has as input.
        data_collator: The collator; by default `EmotionCollator` with the processor and the labels of the model.
        *others: As in [`transformers.Trainer`].
        processing_class: The processor of the model; it is saved with the model. By default that of the collator.
        train_data_collator: The collator of the training split, if that is not `data_collator`.
        **kwargs: As in [`transformers.Trainer`]. `compute_metrics` is by default that of the collator's task.

    Raises:
        TypeError: If `args` are no arguments.
        ValueError: If an argument is missing, or does not fit the others.
    """

    args: EmotionTrainingArguments

    def __init__(
        self,
        model=None,
        args=None,
        data_collator=None,
        *others,
        processing_class=None,
        train_data_collator: Callable | None = None,
        **kwargs,
    ):
        if model is None and kwargs.get("model_init") is None:
            raise ValueError("model is missing; give a model, or model_init.")
        collator = complete_collator(data_collator, processing_class, model)
        processor = find_processor(processing_class, collator)
        # At the start of training Trainer compares the special tokens of tokenizer and model, and a processor without
        # tokenizer has none. Such a processor is kept from Trainer and saved in `save_bundle`.
        known = processor if getattr(processor, "tokenizer", None) is not None else None
        super().__init__(model, complete_arguments(args), collator, *others, processing_class=known, **kwargs)
        self.processor = processor
        self.train_data_collator = train_data_collator or self.data_collator
        self.task = find_task(self)
        self.label_names = self.args.label_names or list(self.task.label_names)
        check_labels(self.model, self.task)
        if "compute_metrics" not in kwargs:
            self.compute_metrics = self.task.compute_metrics
            self.args.select_by(self.task)
        self._guard, self._auxiliary = LossGuard(), AuxiliaryAccuracy()
        # Whether the loss of every step is looked at: a CPU need not be waited for.
        self._looks_at_steps = self.args.logging_nan_inf_filter or self.args.device.type == "cpu"
        self._named_losses = defaultdict(list)
        self._positions = np.zeros(2, dtype=np.int64)  # with and without padding, of the batches since the last log
        self._bar = replace_progress(self)
        self.add_callback(EpochSetter())
        self.add_callback(BestCheckpointFinder())
        for draw in (getattr(self.train_data_collator, name, None) for name in ("augment", "mixup")):
            if hasattr(draw, "set_epoch"):
                self.add_callback(DrawEpochSetter(draw))
        if self.args.class_weights is not None:
            self.model.config.class_weights = find_class_weights(
                self.args.class_weights, self.task, self.train_dataset
            )
        if self.args.label_smoothing_factor:  # Trainer's label smoother ignores class weights and all losses but one
            set_label_smoothing(self.model.config, self.args.label_smoothing_factor, self.task)
            self.label_smoother = None
        self.run_metadata = RunMetadataCallback(self)
        self.add_callback(self.run_metadata)

    def _remove_unused_columns(self, dataset: Dataset, description: str | None = None) -> Dataset:
        return dataset

    def _get_collator_with_removed_columns(self, data_collator: Callable, description: str | None = None) -> Callable:
        return data_collator

    def create_optimizer(self, model=None) -> torch.optim.Optimizer:
        """Return the optimizer, with parameter groups of their own for the components of `learning_rates`.

        Raises:
            ValueError: If a component has no trainable parameters.
        """
        if self.optimizer is not None:
            return self.optimizer
        optimizer = super().create_optimizer(*(() if model is None else (model,)))
        names = {id(parameter): name.split(".") for name, parameter in self.model.named_parameters()}
        for component, rate in self.args.learning_rates.items():
            found = False
            for group in list(optimizer.param_groups):
                inside = [parameter for parameter in group["params"] if component in names[id(parameter)]]
                if not inside or "component" in group:
                    continue
                found = True
                group["params"] = [parameter for parameter in group["params"] if component not in names[id(parameter)]]
                optimizer.add_param_group({**group, "params": inside, "lr": rate, "component": component})
            if not found:
                raise ValueError(f"learning_rates names {component!r}, but the model has nothing to train in it.")
        return optimizer

    def get_train_dataloader(self) -> DataLoader:
        """Return the data loader of the training split, with its collator."""
        with self._collating(self.train_data_collator, self.train_dataset):
            return self._build_train_dataloader()

    def _build_train_dataloader(self) -> DataLoader:
        """Return Trainer's data loader, or one with batches of similar length if the arguments ask for it."""
        given = self.train_dataset, self.processor, self.data_collator, self.args
        if getattr(self.data_collator, "history", None) is not None:
            loader = group_by_dialogue(*given)
        elif self.args.group_by_length or self.args.max_batch_seconds is not None:
            loader = group_by_length(*given)
        else:
            return super().get_train_dataloader()
        even_batches = self.accelerator.even_batches
        self.accelerator.even_batches = False  # the sampler has divided the utterances evenly
        try:
            return self.accelerator.prepare(loader)
        finally:
            self.accelerator.even_batches = even_batches

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> torch.utils.data.Sampler | None:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return find_sampler(self.args, rows, bool(self.task.classes)) or super()._get_train_sampler(train_dataset)

    def get_eval_dataloader(self, eval_dataset=None) -> DataLoader:
        """Return the data loader of a split. In training, the workers of `eval_dataset` stay for the next evaluation."""
        is_own = eval_dataset is None or isinstance(eval_dataset, str) or eval_dataset is self.eval_dataset
        rows = self.eval_dataset[eval_dataset] if isinstance(eval_dataset, str) else eval_dataset
        rows = self.eval_dataset if rows is None else rows
        stay = self.is_in_train and is_own  # Trainer would take another split for `eval_dataset`
        with self._workers_stay(stay), self._collating(self.data_collator, rows):
            loader = super().get_eval_dataloader(eval_dataset)
        draw_seed(loader)
        return loader

    def get_test_dataloader(self, test_dataset) -> DataLoader:
        """Return the data loader of a split to predict, whose workers do not stay."""
        with self._workers_stay(False), self._collating(self.data_collator, test_dataset):
            return super().get_test_dataloader(test_dataset)

    def _collating(self, collator: Callable, rows: Dataset) -> AbstractContextManager:
        """Build data loaders of a split with a collator, which adds earlier utterances if the model reads them."""
        config = unwrap_adapters(self.model).config
        return replaced(self, "data_collator", with_history(collator, rows, config))

    def _workers_stay(self, stay: bool) -> AbstractContextManager:
        name = "dataloader_persistent_workers"
        return replaced(self.args, name, getattr(self.args, name) and stay)

    def train(self, *args, **kwargs):
        """Train as [`transformers.Trainer.train`]; the workers of the data loaders end with the training."""
        try:
            return super().train(*args, **kwargs)
        finally:
            loaders = [self.callback_handler.train_dataloader, *getattr(self, "_eval_dataloaders", {}).values()]
            for loader in loaders:
                end_workers(loader)

    def _run_epoch(self, *args, **kwargs) -> None:
        if not self.control.should_training_stop:  # as early stopping wants it of a run that resumes from its end
            super()._run_epoch(*args, **kwargs)

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        """Return the loss of a step.

        Raises:
            ValueError: If it is not finite. A GPU is not waited for: the error comes at the next log, evaluation or
                checkpoint, before anything is written.
        """
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._guard.add(loss)
        if self._looks_at_steps:
            self._guard.check(self.args, self.state.global_step + 1, self.model, inputs)
        return loss

    def floating_point_ops(self, inputs) -> int:
        """Return 0: Trainer would count all parameters in every step, and take each sample of a waveform for a token."""
        return 0

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        if damage := find_damage(Path(resume_from_checkpoint)):
            raise ValueError(f"The checkpoint {resume_from_checkpoint} cannot be resumed from: {damage}.")
        check_weights(resume_from_checkpoint, self.model)
        super()._load_from_checkpoint(resume_from_checkpoint, model)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Return the loss; its named parts are collected for the log.

        Raises:
            ValueError: If the batch has no labels.
        """
        if not any(name in inputs for name in self.label_names):
            raise ValueError(
                "The rows have no labels, which a loss needs; add a column 'label' with a class in each row or, for "
                "dimensions, a column 'vad'."
            )
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch)
        if model.training:
            for name, value in (outputs.get("losses") or {}).items():
                self._named_losses[name].append(value.detach())
            self._positions += padding_of(inputs)
            if isinstance(model, DistributedDataParallel) and lacks_modality(inputs, modalities_of(self.model.config)):
                loss = with_all_parameters(loss, model)
        elif scores := outputs.get("auxiliary_logits"):
            self._auxiliary.add(scores, inputs["auxiliary_labels"])
        return (loss, outputs) if return_outputs else loss

    def evaluation_loop(self, dataloader, description, *args, metric_key_prefix="eval", **kwargs):
        """Return the outputs on a split; the progress bar is named after it. The weights keep their dtype.

        Raises:
            ValueError: If an output is not finite.
        """
        self._check_losses()
        if self._bar is not None:
            self._bar.split = metric_key_prefix.removeprefix("eval").strip("_") or "validation"
        with weights_kept(self.model):
            output = super().evaluation_loop(
                dataloader, description, *args, metric_key_prefix=metric_key_prefix, **kwargs
            )
        accuracies = self._auxiliary.collect(self.accelerator)
        output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in accuracies.items()})
        # The embedding of a late fusion has NaN for a member without input, which is no fault.
        missing = bool(self.task.dimension_names) and hasattr(unwrap_adapters(self.model).config, "member_configs")
        check_scores(output.predictions, self.args, self.model, self.state.global_step > 0, missing)
        return output

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, and add the mean of each named loss and the share of padding since the last log."""
        self._check_losses()
        if "loss" in logs:
            for name, values in self._named_losses.items():
                logs[f"loss_{name}"] = self.accelerator.reduce(torch.stack(values).mean(), "mean").item()
            self._named_losses.clear()
            real, total = self.accelerator.reduce(torch.from_numpy(self._positions).to(self.args.device)).tolist()
            if total:
                logs["padding"] = 1 - real / total
            self._positions = np.zeros_like(self._positions)
        super().log(logs, start_time)

    def _check_losses(self) -> None:
        self._guard.check(self.args, self.state.global_step, self.model)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save a complete Hub folder: weights, configuration, processor, code and model card.

        The weights of a model with adapters are the adapters; configuration and code are those of their base.
        """
        folder = Path(output_dir or self.args.output_dir)
        if self.args.should_save:
            (folder / RESULTS).unlink(missing_ok=True)  # those of another run, which are not of these weights
        self.save_bundle(folder)
        if self.args.should_save and self.run_metadata.results is not None:
            write_card(folder, self.run_metadata.results)

    def save_bundle(self, folder: Path) -> None:
        """Save weights, configuration, processor and code into a folder, without a card.

        Args:
            folder: The folder, which exists.

        Raises:
            ValueError: If the loss of a step before, or a weight, is not finite.
        """
        self._guard.check_before_saving(self.args, self.state.global_step, self.model)
        if self.args.should_save:  # it is written last and marks a complete checkpoint
            (folder / TRAINER_STATE_NAME).unlink(missing_ok=True)
        # Without `_internal_call` it would push an incomplete folder.
        super().save_model(str(folder), _internal_call=True)
        if self.args.should_save:
            # A pickle does not belong in a Hub folder; `results.json` has the arguments.
            (folder / "training_args.bin").unlink(missing_ok=True)
            if self.processor is not self.processing_class:
                self.processor.save_pretrained(folder)
            model = self.accelerator.unwrap_model(self.model)
            write_bundle(model if unwrap_adapters(model) is model else None, folder, self.processor)
