"""A tiny recipe, and a recorder of written files, for the tests of runs."""

import os
from pathlib import Path

from emofusion.corpora.demo.spoken import BLOCK
from peft import PeftModel
from transformers import PreTrainedModel

AUDIO = {
    "model_type": "wav2vec2",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "conv_dim": [4, 4],
    "conv_kernel": [20, 16],
    "conv_stride": [20, 16],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "apply_spec_augment": False,
}
TEXT = {
    "model_type": "bert",
    "vocab_size": 100,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 32,
}
FUSION = {
    "audio_config": AUDIO,
    "text_config": TEXT,
    "freeze_feature_encoder": False,
    "hidden_size": 8,
    "num_attention_heads": 2,
}

# Arguments of a trainer that takes a few steps of four rows, without validation and checkpoints.
SMALL_STEPS = {
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "eval_strategy": "no",
    "save_strategy": "no",
    "load_best_model_at_end": False,
    "disable_tqdm": True,
    "use_cpu": True,
}


def tiny_recipe(corpus_root, output_dir, **others) -> dict:
    """Return a recipe of two epochs with two steps each on the smallest corpus."""
    return {
        "variant": "cross_attention",
        "model_config": FUSION,
        "corpus": "spoken",
        "corpus_root": str(corpus_root),
        "corpus_options": {"utterances": BLOCK},
        "max_seconds": 0.3,
        "output_dir": str(output_dir),
        "num_train_epochs": 2,
        "per_device_train_batch_size": 36,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "disable_tqdm": True,
        "use_cpu": True,
        **others,
    }


def record_writes(monkeypatch, folder) -> list[str]:
    """Return a list that will hold the names of the files written into a folder (weights, and all atomic ones), in order."""
    written, replace = [], os.replace

    def record_replace(source, target):
        replace(source, target)
        if Path(target).parent == Path(folder):
            written.append(Path(target).name)

    def record_weights(kind, weights):
        save_pretrained = kind.save_pretrained

        def save(model, save_directory, **kwargs):
            save_pretrained(model, save_directory, **kwargs)
            if Path(save_directory) == Path(folder):
                written.append(weights)

        monkeypatch.setattr(kind, "save_pretrained", save)

    monkeypatch.setattr(os, "replace", record_replace)
    record_weights(PreTrainedModel, "model.safetensors")
    record_weights(PeftModel, "adapter_model.safetensors")
    return written
