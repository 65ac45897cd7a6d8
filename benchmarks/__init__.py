"""Benchmarks of `emofusion benchmark`: one module per section, with `measure(quick) -> list[dict]`, tables of `measuring.table`.

A section that compares systems names them in `COMPARED`, and its `measure` also takes `systems`, those to measure; none are all.

Compare ratios: they relate measurements of one run. Milliseconds depend on the machine.
"""

# Section -> what it measures. To add a section, add a line here and the file `<section>.py`.
SECTIONS = {
    "resample": "resamplers to 16 kHz: speed, aliases, passband",
    "decode": "decoding audio and video files, whole and spans",
    "corpora": "scanning, preparing and opening a synthetic IEMOCAP of 10,039 turns, and one of ten times the size",
    "speed": "forward of every system against the same encoders in stock transformers",
    "training_step": "a training step of every system against stock encoders with mean pooling: time and peak memory",
    "overhead": "fusion, head and loss of every system over its own encoders",
    "peers": "what a user would write without emofusion: own model with Trainer, pipeline, speechbrain",
    "growth": "cost against clip length, batch size and number of utterances",
    "gpu": "correctness, speed, memory and a short training on a GPU",
    "training_run": "a training run of the demonstration: shares of the model, and of everything else",
    "padding": "share of padding in random batches and in batches of similar length",
    "prefix_cache": "an epoch with and without the cache of frozen layers",
    "scoring": "many recordings: the pipeline, a naive loop, the model alone, and the pipeline of transformers",
    "batch_scoring": "a table of scores of many recordings (`predict --out`) against a naive loop and the model alone",
    "serving": "a server under load of 1, 4 and 16 clients, against a naive one: throughput and latency",
    "export": "exported ONNX graphs against torch: size, time and agreement, in float32 and int8",
    "startup": "time until `import emofusion`, the help of every command, and the answer of `emofusion predict`",
}
