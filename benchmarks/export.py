"""Exported graphs against torch: size, time of the export and of a run, agreement, in float32 and with int8 weights.

Times are of one clip on the same number of threads, in turn. Models have random weights; the agreement is that of random batches.
"""

import shutil
import tempfile
import time
from pathlib import Path

from .measuring import conditions, table, time_in_turn
from .setting import as_setting, describe_clips, run, setting_of
from .systems import build, encoder_configs, make_batch

SYSTEMS, QUICK_SYSTEMS = ("speech", "cross_attention"), ("speech",)
AGREEMENT = {"largest_difference_of_probabilities": "largest difference", "equal_classes": "equal classes %"}


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    setting = setting_of(quick)
    systems = QUICK_SYSTEMS if quick else SYSTEMS
    return [run(measure_system, setting, system=system) for system in systems]


def measure_system(fields: dict, system: str) -> dict:
    """Return the table of one system.

    Args:
        fields: The setting.
        system: One of `systems.SYSTEMS`.
    """
    import torch

    from ..inference.export import open_graph, quantise, write_graph
    from ..inference.export_check import RandomBatches, compare
    from ..inference.export_model import build_exportable
    from ..inference.export_recurrence import replace_recurrences

    setting = as_setting(fields)
    model = build(system, setting.small)
    exportable = build_exportable(model)
    replace_recurrences(exportable)
    texts = encoder_configs(model.config).get("text")
    random = RandomBatches(exportable.input_names, texts.vocab_size if texts else 0, (3, 224, 224))
    batches = random.compared()
    batch = make_batch(model.config, (setting.one,))
    arrays = {name: batch[name].numpy() for name in exportable.input_names}
    with tempfile.TemporaryDirectory() as folder:
        calls, rows = {"torch": torch.no_grad()(lambda: model(**batch))}, {}
        for name in ("float32", "int8"):
            path, since = Path(folder, name, "model.onnx"), time.process_time()
            if name == "int8":
                shutil.copytree(Path(folder, "float32"), path.parent)
                quantise(path)
            else:
                path.parent.mkdir()
                write_graph(exportable, random.traced(), path)
            seconds = time.process_time() - since
            graph = open_graph(path, torch.get_num_threads())
            calls[f"onnx, {name}"] = lambda graph=graph: graph(arrays)
            report = compare(model, graph, batches)
            size = sum(file.stat().st_size for file in path.parent.iterdir())
            rows[f"onnx, {name}"] = {"MB": size / 1e6, "export CPU s": seconds} | {
                title: report[entry] * (100 if entry == "equal_classes" else 1) for entry, title in AGREEMENT.items()
            }
        timings = time_in_turn(calls, setting.repeats)
    rows["torch"] = {"MB": sum(weight.numel() * weight.element_size() for weight in model.parameters()) / 1e6}
    least = timings["torch"].least
    lines = [
        {"what": name, "MB": rows[name]["MB"], "ms": timing.least, "times torch": timing.least / least, **rows[name]}
        for name, timing in timings.items()
    ]
    count = sum(len(next(iter(one.values()))) for one in batches)
    note = f"Least of {setting.repeats} repeats. Agreement on {count} random rows. {conditions()}"
    return table(f"{system}, {describe_clips((setting.one,))}", lines, note)
