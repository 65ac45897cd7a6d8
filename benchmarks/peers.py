"""What a user would write without emofusion, on the same files and with encoders of the same size.

A model of two stock encoders and a linear head, trained with the plain Trainer and applied in a plain loop, against
cross-modal attention with `EmotionTrainer` and the pipeline; the stock pipeline `audio-classification` against the pipeline
with the speech-only model; and the wrapper of speechbrain, if it is installed.
"""

import functools
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..configuration.modalities import SAMPLING_RATE
from .measuring import conditions, peak_memory, ratios, table, time_in_turn, with_progress
from .recordings import make_processor, write_rows
from .setting import Setting, as_setting, describe_clips, run, setting_of
from .systems import build

BATCH = 4
STEPS = 2
CLIPS = STEPS * BATCH
REPEATS = 3  # at most
OWN, CROSS_ATTENTION = "own model", "cross_attention"
STOCK_PIPELINE, SPEECH, SPEECHBRAIN = "audio-classification pipeline", "speech", "speechbrain wrapper"


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    setting = setting_of(quick)
    work = {"training": (OWN, CROSS_ATTENTION), "scoring": (OWN, CROSS_ATTENTION), "speech": (STOCK_PIPELINE, SPEECH)}
    titles = {
        "training": "A training step with Trainer, from files",
        "scoring": "Scores of a batch, from files",
        "speech": "Scores of a batch with a speech model",
    }
    batch, tables = (setting.lengths * BATCH)[:BATCH], []
    for kind, names in with_progress(work.items(), "Peers"):
        rows = run(measure_times, setting, kind=kind, names=names)
        for row in rows:
            row["peak MB"] = run(measure_peak, setting, kind=kind, name=row["what"])
        tables.append(table(f"{titles[kind]}: {describe_clips(batch)}, float32", rows))
    tables[-1]["rows"].append(measure_speechbrain(setting))
    tables[-1]["note"] = (
        f"{OWN}: two stock encoders, concatenated means, a linear head, plain Trainer or a plain loop. Ratio: time over that "
        f"of ours, the last of a pair. MB: peak memory of a process of its own. {conditions()}"
    )
    return tables


def measure_times(kind: str, names: list[str], fields: dict) -> list[dict]:
    """Return the rows of peers that do the same work, ours last; times are for one batch.

    Args:
        kind: `"training"`, `"scoring"` or `"speech"`.
        names: The peers.
        fields: The setting.
    """
    setting = as_setting(fields)
    with prepared(setting) as work:
        calls = {name: getattr(work, kind)(name) for name in names}
        timings = time_in_turn(calls, min(setting.repeats, REPEATS))
    *_, ours = timings.values()
    return [{"what": name, "ms": timing.least / STEPS, **ratios(timing, ours)} for name, timing in timings.items()]


def measure_peak(kind: str, name: str, fields: dict) -> float:
    """Return the peak memory in MB of a process in which one peer works.

    Args:
        kind: See `measure_times`.
        name: The peer.
        fields: The setting.
    """
    with prepared(as_setting(fields)) as work:
        getattr(work, kind)(name)()
        return peak_memory()


@contextmanager
def prepared(setting: Setting) -> Iterator["Work"]:
    """Write the recordings into a folder that lasts as long as the block."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        yield Work(setting, Path(folder), write_rows(Path(folder), CLIPS, lengths=setting.lengths))


@dataclass
class Work:
    """The work of each peer: methods that return a function which works through all rows.

    Args:
        setting: The setting.
        folder: A folder for files.
        rows: Rows of a corpus.
    """

    setting: Setting
    folder: Path
    rows: object

    def training(self, name: str) -> Callable:
        """Return a function that trains for `STEPS` steps."""
        from transformers import Trainer, TrainingArguments

        from ..training.arguments import EmotionTrainingArguments
        from ..training.collator import EmotionCollator
        from ..training.trainer import EmotionTrainer

        model, processor = self.parts(CROSS_ATTENTION)
        options = {
            "output_dir": str(self.folder / name),
            "per_device_train_batch_size": BATCH,
            "max_steps": STEPS,
            "learning_rate": 1e-6,
            "save_strategy": "no",
            "eval_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
        }
        if name == OWN:
            args = TrainingArguments(**options, remove_unused_columns=False)
            collate = functools.partial(collate_rows, processor.feature_extractor, processor.tokenizer)
            return Trainer(own_model(model), args, collate, self.rows).train
        args = EmotionTrainingArguments(**options, load_best_model_at_end=False, metric_for_best_model=None)
        return EmotionTrainer(
            model, args, EmotionCollator(processor, list(model.config.id2label.values())), self.rows
        ).train

    def scoring(self, name: str) -> Callable:
        """Return a function that scores recordings with their transcripts."""
        import torch

        model, processor = self.parts(CROSS_ATTENTION)
        if name != OWN:
            return self.pipeline(model, processor, ("audio", "text"))
        own = own_model(model).eval()

        @torch.no_grad()
        def loop() -> None:
            for start in range(0, CLIPS, BATCH):
                rows = [self.rows[row] for row in range(start, start + BATCH)]
                own(**collate_rows(processor.feature_extractor, processor.tokenizer, rows))

        return loop

    def speech(self, name: str) -> Callable:
        """Return a function that scores recordings without transcripts."""
        model, processor = self.parts(SPEECH)
        if name == SPEECH:
            return self.pipeline(model, processor, ("audio",))
        if name == SPEECHBRAIN:
            return self.speechbrain(model.config, processor.feature_extractor)
        from transformers import AudioClassificationPipeline, Wav2Vec2ForSequenceClassification

        stock = Wav2Vec2ForSequenceClassification(model.config.audio_config)
        recognise = AudioClassificationPipeline(stock, feature_extractor=processor.feature_extractor)
        # Without an ffmpeg program it reads no files.
        return lambda: recognise(
            [{"raw": read(row), "sampling_rate": SAMPLING_RATE} for row in self.rows], batch_size=BATCH
        )

    def speechbrain(self, config, feature_extractor) -> Callable:
        """Return a function that scores all rows with speechbrain's wrapper of the speech encoder and a linear layer."""
        import torch
        from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
        from transformers import AutoModel

        folder = str(self.folder / "speechbrain")
        AutoModel.from_config(config.audio_config).save_pretrained(folder)
        feature_extractor.save_pretrained(folder)
        encoder = Wav2Vec2(folder, folder).eval()
        head = torch.nn.Linear(config.audio_config.hidden_size, config.num_labels)

        @torch.no_grad()
        def loop() -> None:
            for start in range(0, CLIPS, BATCH):
                waveforms = [torch.from_numpy(read(self.rows[row])) for row in range(start, start + BATCH)]
                shares = torch.tensor([len(waveform) for waveform in waveforms]) / max(map(len, waveforms))
                head(encoder(torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True), shares).mean(dim=1))

        return loop

    def pipeline(self, model, processor, columns: tuple[str, ...]) -> Callable:
        """Return a function that scores all rows with our pipeline."""
        from ..processing.pipeline_emotion_recognition import EmotionRecognitionPipeline

        recognise = EmotionRecognitionPipeline(model.eval(), processor)
        inputs = [{"audio": row["audio"]["path"], "text": row["text"]} for row in self.rows]
        return lambda: recognise([{name: row[name] for name in columns} for row in inputs], batch_size=BATCH)

    def parts(self, system: str) -> tuple:
        """Return the model of a system and its processor."""
        model = build(system, self.setting.small)
        return model, make_processor(model, self.rows["text"])


def own_model(model):
    """Return stock encoders of the same size with mean pooling and a linear head."""
    from .stock import StockEncoders

    return StockEncoders(model, head=True)


def read(row: Mapping):
    """Return the waveform of a row."""
    import soundfile

    return soundfile.read(row["audio"]["path"], dtype="float32")[0]


def collate_rows(feature_extractor, tokenizer, rows: list[Mapping]) -> dict:
    """Return a batch for stock encoders."""
    import torch

    audio = feature_extractor(
        [read(row) for row in rows],
        sampling_rate=SAMPLING_RATE,
        padding=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    text = tokenizer([row["text"] for row in rows], padding=True, truncation=True, return_tensors="pt")
    return {
        "input_values": audio["input_values"],
        "audio_attention_mask": audio["attention_mask"],
        "input_ids": text["input_ids"],
        "attention_mask": text["attention_mask"],
        "labels": torch.tensor([row["label"] for row in rows]),
    }


def measure_speechbrain(setting: Setting) -> dict:
    """Return the row of speechbrain's wrapper of the speech encoder, with mean pooling and a linear layer."""
    if importlib.util.find_spec("speechbrain") is None:
        return {"what": f"{SPEECHBRAIN}: not installed"}
    row, _ = run(measure_times, setting, kind="speech", names=[SPEECHBRAIN, SPEECH])
    return row | {"peak MB": run(measure_peak, setting, kind="speech", name=SPEECHBRAIN)}
