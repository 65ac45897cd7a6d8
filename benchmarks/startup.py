"""Time from the start of Python until `import emofusion`, the help of each command, and the answer of `emofusion predict`."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .measuring import table
from .subprocess_run import run_in_subprocess

REPEATS = 5
PACKAGE = __package__.partition(".")[0]
SECONDS = 3  # of the recording
TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
# What a user's own script for a model would import first: the floor of `predict` as transformers is.
FLOORS = {
    "import torch": ["-c", "import torch"],
    "import PreTrainedModel": ["-c", "from transformers import PreTrainedModel"],
}


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    commands = {"python": ["-c", ""], f"import {PACKAGE}": ["-c", f"import {PACKAGE}"]}
    commands |= {f"{PACKAGE} --help": ["-m", PACKAGE, "--help"]}
    if not quick:
        overview = subprocess.run([sys.executable, "-P", "-m", PACKAGE, "--help"], stdout=subprocess.PIPE, text=True)
        names = list_commands(overview.stdout)
        commands |= {f"{PACKAGE} {name} --help": ["-m", PACKAGE, name, "--help"] for name in names}
    repeats = 0 if quick else REPEATS
    started = table(
        "Start of a process",
        time_commands(commands, repeats),
        "Wall time, after one run that fills the caches of the file system.",
    )
    with tempfile.TemporaryDirectory() as folder:
        sizes = ["tiny"] if quick else ["tiny", "base"]
        run_in_subprocess(write_models, folder=folder, sizes=sizes)
        recording = str(Path(folder, "recording.wav"))
        commands = {
            f"{PACKAGE} predict, {size} model": ["-m", PACKAGE, "predict", str(Path(folder, size)), recording]
            for size in sizes
        }
        rows = time_commands(commands if quick else FLOORS | commands, repeats)
    note = (
        "Processor: user and system time of the whole process, the least of all rounds. Base: wav2vec 2.0 base and BERT base with "
        f"cross-attention, random weights in float32; {SECONDS} s of noise."
    )
    return [started, table("One recording, from the start of the process to the answer", rows, note)]


def list_commands(overview: str) -> list[str]:
    """Return the names of the commands in the text of `emofusion --help`; the description of a command may go on below it."""
    return re.findall(r"^  (\S+)", overview, re.MULTILINE)


def write_models(folder: str, sizes: list[str]) -> None:
    """Write a recording, and a model of each size as `<size>/`."""
    import numpy as np
    import soundfile
    import torch
    from transformers import BertConfig, BertTokenizer, Wav2Vec2Config, Wav2Vec2FeatureExtractor

    from .. import CrossAttentionFusionConfig, CrossAttentionFusionForSequenceClassification, EmoFusionProcessor
    from ..configuration.modalities import SAMPLING_RATE

    torch.manual_seed(0)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello"]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(vocabulary)})
    for size in sizes:
        fields = TINY if size == "tiny" else {}
        encoders = {"audio_config": Wav2Vec2Config(**fields), "text_config": BertConfig(**fields)}
        config = CrossAttentionFusionConfig(**encoders, num_labels=4)
        CrossAttentionFusionForSequenceClassification(config).save_pretrained(Path(folder, size))
        EmoFusionProcessor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(Path(folder, size))
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * SAMPLING_RATE)
    soundfile.write(Path(folder, "recording.wav"), noise, SAMPLING_RATE)


def time_commands(commands: dict[str, list[str]], repeats: int) -> list[dict]:
    """Time Python processes in turn, so that other load on the machine affects all of them alike.

    Args:
        commands: Arguments of Python by the name of the row.
        repeats: Number of rounds after the first, which is not timed; 0 times the first one.
    """
    # The first round compiles what is not compiled, as an installation does.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, arguments in commands.items():
            begin, before = time.perf_counter(), _processor_time()
            # Without -P, Python would first look for libraries in the working folder.
            subprocess.run([sys.executable, "-P", *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
            times[name].append((time.perf_counter() - begin, _processor_time() - before))
    return [_row(name, timed[1:] or timed) for name, timed in times.items()]


def _row(name: str, timed: list[tuple[float, float]]) -> dict:
    walls, processor = zip(*timed, strict=True)
    span = {"median s": statistics.median(walls), "least": min(walls), "most": max(walls)}
    return {"what": name, **span, "processor s": min(processor)}


def _processor_time() -> float:
    """Return the processor seconds of all finished child processes; 0 where the system does not count them."""
    try:
        from resource import RUSAGE_CHILDREN, getrusage
    except ImportError:
        return 0.0
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
