"""A trained model, asked without one of its modalities."""

import tempfile
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForAudioClassification, AutoProcessor

from .arguments import EmotionTrainingArguments
from .collator import EmotionCollator
from .report import score
from .trainer import EmotionTrainer


def score_without(modality: str, folder: str | Path, rows: Dataset, batch_size: int = 32) -> dict:
    """What the metric says of a trained model's answers on rows from which a modality is withheld.

    Args:
        modality: one that the model looks at, not its only one.
        folder: of the model.
        rows: of a corpus with the model's labels, in its schema.
        batch_size: rows at a time.

    Raises:
        ValueError: if the model does not look at the modality, or at nothing else.
    """
    model = AutoModelForAudioClassification.from_pretrained(folder)
    if modality not in model.config.modalities or len(model.config.modalities) == 1:
        looks_at = " and ".join(model.config.modalities)
        raise ValueError(f"{modality} cannot be withheld from {folder}, which looks at {looks_at}.")
    labels = list(model.config.id2label.values())
    withheld = rows.map(lambda row: {modality: None}, features=rows.features, desc=f"Withholding {modality}")
    with tempfile.TemporaryDirectory() as workshop:
        arguments = EmotionTrainingArguments(workshop, per_device_eval_batch_size=batch_size, disable_tqdm=True)
        trainer = EmotionTrainer(
            model=model,
            args=arguments,
            data_collator=EmotionCollator(AutoProcessor.from_pretrained(folder), labels),
            eval_dataset=withheld,
        )
        return score(trainer.predict(withheld), labels)
