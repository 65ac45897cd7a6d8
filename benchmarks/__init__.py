"""Benchmarks of `emofusion benchmark`: one module per section, with `measure(quick) -> list[dict]`, tables of `measuring.table`.

Compare ratios: they relate measurements of one run. Milliseconds depend on the machine.
"""

# Section -> what it measures. To add a section, add a line here and the file `<section>.py`.
SECTIONS = {
    "resample": "resamplers to 16 kHz: speed, aliases, passband",
    "decode": "decoding audio and video files, whole and spans",
    "corpora": "scanning, preparing and opening a synthetic IEMOCAP of 10,039 turns, and one of ten times the size",
    "model": "a training step of every system: encoders, fusion, and share of the processor's peak",
    "training_run": "a training run of the demonstration: shares of the model, and of everything else",
    "padding": "share of padding in random batches and in batches of similar length",
    "prefix_cache": "an epoch with and without the cache of frozen layers",
    "startup": "time until `import emofusion`, and the help of every command",
}
