"""What `scripts/benchmark.py` measures: one module a section, with `measure(quick) -> list[dict]`, tables of `measuring.table`.

Speed is given as ratios of what was measured in one run, side by side; milliseconds of another machine say little.
"""

# section -> what it measures. Adding a section is adding its line here, and `<section>.py`.
SECTIONS = {
    "resample": "resamplers to 16 kHz: speed, aliases, passband",
    "decode": "reading audio and video files, whole and by the span",
    "corpora": "scanning, preparing and opening an IEMOCAP of 10,039 turns, and one ten times as large",
    "model": "a training step of every system: encoders against fusion, and against the processor's peak",
    "padding": "how much of a batch is padding, and what batches of equal length spare",
    "prefix_cache": "an epoch with and without what is frozen being computed again",
}
