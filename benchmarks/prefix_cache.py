"""An epoch that reads the output of frozen layers from the prefix cache, compared with one that computes it.

An epoch is decoding, collation, the model and AdamW. Models are those of the recipes with random weights. The bound of the
gain is the number of floating-point operations of a training step over those without the first stage.
"""

import tempfile
from pathlib import Path

from .floors import count_operations
from .measuring import compare, table
from .recordings import make_processor, write_rows
from .subprocess_run import run_in_subprocess
from .systems import LABELS, LENGTHS, build_recipe

# Title -> recipe, and whether to freeze the encoders, whatever the recipe freezes.
SYSTEMS = {
    "wavfusion, 9 of 12 layers frozen": ("wavfusion", False),
    "wavfusion without video, 9 of 12 layers frozen": ("wavfusion_audio_text", False),
    "cross_attention, encoders frozen": ("cross_attention", True),
    "multi_level, encoders frozen": ("multi_level", True),
    "speech, convolutions frozen": ("speech", False),
}
QUICK = {
    "wavfusion, encoders frozen": ("wavfusion", True),
    "cross_attention, encoders frozen": ("cross_attention", True),
}


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    corpus, clips, batch, repeats = ("spoken", 4, 2, 1) if quick else ("iemocap", 16, 4, 3)
    rows = []
    for title, (name, frozen) in (QUICK if quick else SYSTEMS).items():
        row, _ = run_in_subprocess(
            measure_epochs, recipe=f"{corpus}/{name}.yaml", frozen=frozen, clips=clips, size=batch, repeats=repeats
        )
        rows.append({"what": title} | row)
    seconds = sum(LENGTHS[clip % len(LENGTHS)] for clip in range(clips))
    note = (
        "Gain: median of an epoch without the cache over one with it. At most: the gain if only operations took time. "
        "Filling: decoding all files and computing all frozen layers, once. Even: epochs after which filling has paid "
        "off. MB/h: megabytes on disk per hour of speech, in float32."
    )
    return [table(f"An epoch of {clips} clips, {seconds:.0f} s of speech, {batch} at a time, float32", rows, note)]


def measure_epochs(recipe: str, frozen: bool, clips: int, size: int, repeats: int) -> dict:
    """Return the row of a system."""
    import time

    import torch

    from ..training.arguments import EmotionTrainingArguments
    from ..training.collator import EmotionCollator
    from ..training.prefix.cache import find_base, use_prefix_cache

    torch.manual_seed(0)
    model = build_recipe(recipe).train()
    if frozen:
        freeze_encoders(model)
    with tempfile.TemporaryDirectory() as folder:
        rows = write_rows(Path(folder), clips, "video" in model.config.modalities)
        plain = EmotionCollator(make_processor(model, rows["text"]), LABELS)
        args = EmotionTrainingArguments(
            folder, per_device_eval_batch_size=size, disable_tqdm=True, use_cpu=True, cache_dir=f"{folder}/cache"
        )
        begin = time.perf_counter()
        (cached,) = use_prefix_cache([plain], model, [rows], args)
        filling = time.perf_counter() - begin
        optimizer = torch.optim.AdamW((weight for weight in model.parameters() if weight.requires_grad), lr=1e-6)

        def epoch(collator: EmotionCollator) -> None:
            for start in range(0, clips, size):
                optimizer.zero_grad()
                model(**collator([rows[row] for row in range(start, min(start + size, clips))])).loss.backward()
                optimizer.step()

        batch = plain([rows[row] for row in range(min(size, clips))])
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        first = count_operations(lambda: find_base(model).encode(**inputs))
        whole = count_operations(lambda: model(**batch).loss.backward())
        computed, read = compare({"plain": lambda: epoch(plain), "cached": lambda: epoch(cached)}, repeats)
        stored = sum(store.nbytes for store in cached.cache.stores.values())
    saved = (computed["median ms"] - read["median ms"]) / 1e3
    speech = sum(LENGTHS[clip % len(LENGTHS)] for clip in range(clips))
    return {
        "without ms": computed["median ms"],
        "least": computed["least"],
        "with ms": read["median ms"],
        "least with": read["least"],
        "gain": computed["median ms"] / read["median ms"],
        "at most": whole / (whole - first),
        "filling ms": 1e3 * filling,
        "even": filling / saved if saved > 0 else None,
        "MB/h": stored / 1e6 * 3600 / speech,
    }


def freeze_encoders(model) -> None:
    """Freeze the encoders of a model."""
    for modality in model.config.layered_encoders:
        getattr(model, f"freeze_{modality}_encoder")()
