"""Miniature speech recognisers with random weights, saved as on the Hub."""

import json
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    GenerationConfig,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz"]
ENCODER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 8, 8],
    "conv_stride": [5, 8, 8],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": 0.5,
    "pad_token_id": 0,
}


def save_ctc(folder: Path, model_type: str = "wav2vec2", norm: str = "layer") -> str:
    """Save a CTC model with a hop of 320 samples and a receptive field of 395; return its folder."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        model_type, **ENCODER, feat_extract_norm=norm, do_stable_layer_norm=norm == "layer", vocab_size=len(LETTERS)
    )
    AutoModelForCTC.from_config(config).eval().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=norm == "layer").save_pretrained(folder)
    (folder / "letters.json").write_text(json.dumps({letter: number for number, letter in enumerate(LETTERS)}))
    Wav2Vec2CTCTokenizer(str(folder / "letters.json")).save_pretrained(folder)
    return str(folder)


WINDOW = 2  # seconds, of the miniature Whisper


def save_whisper(folder: Path, languages: tuple[str, ...] = ("en", "de")) -> str:
    """Save a Whisper with a window of two seconds; without languages, an English-only one. Return its folder."""
    torch.manual_seed(0)
    letters = {letter: number for number, letter in enumerate(["a", "b", "c", "d", "e", "f", "g", "h", "\u0120"])}
    codes = [f"<|{language}|>" for language in languages]
    times = [f"<|{step * 0.02:.2f}|>" for step in range(WINDOW * 50 + 1)]
    tokens = ["<|startoftranscript|>", *codes, "<|translate|>", "<|transcribe|>", "<|startoflm|>"]
    special = ["<|endoftext|>", *tokens, "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", *times]
    number = {token: len(letters) + place for place, token in enumerate(special)}
    tokenizer = WhisperTokenizer(vocab=letters, merges=[], pad_token="<|endoftext|>")
    tokenizer.add_tokens(special, special_tokens=True)
    assert tokenizer.convert_tokens_to_ids(special) == list(number.values())
    config = WhisperConfig(
        vocab_size=len(letters) + len(special),
        num_mel_bins=80,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_source_positions=WINDOW * 50,
        max_target_positions=24,
        init_std=0.5,
        pad_token_id=number["<|endoftext|>"],
        bos_token_id=number["<|endoftext|>"],
        eos_token_id=number["<|endoftext|>"],
        decoder_start_token_id=number["<|startoftranscript|>"],
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config = GenerationConfig(
        pad_token_id=number["<|endoftext|>"],
        bos_token_id=number["<|endoftext|>"],
        eos_token_id=number["<|endoftext|>"],
        decoder_start_token_id=number["<|startoftranscript|>"],
        prev_sot_token_id=number["<|startofprev|>"],
        no_timestamps_token_id=number["<|notimestamps|>"],
        max_initial_timestamp_index=50,
        return_timestamps=False,
        max_length=24,
        suppress_tokens=[number[token] for token in special[1:] if token not in times],
    )
    if languages:
        model.generation_config.is_multilingual = True
        model.generation_config.lang_to_id = {code: number[code] for code in codes}
        model.generation_config.task_to_id = {task: number[f"<|{task}|>"] for task in ("translate", "transcribe")}
    else:
        model.generation_config.is_multilingual = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=WINDOW).save_pretrained(folder)
    return str(folder)
