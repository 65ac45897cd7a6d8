"""Export of a trained classifier as a folder with an ONNX graph, which runs without torch."""

import hashlib
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForAudioClassification, AutoProcessor, PreTrainedModel, ProcessorMixin

from ..configuration.folder_checks import check_folder, find_file
from ..configuration.modalities import MODALITIES, SAMPLING_RATE, SPAN_INPUTS
from ..corpora.atomic_write import make_folder, staged, write_json
from ..modeling.modeling_checkpoint import one_sentence
from ..processing.processor_checks import check_processor_fits
from ..processing.utterance_reader import Limit
from .export_card import write_page
from .export_check import Arrays, RandomBatches, axes_of, compare, split_name
from .export_model import build_exportable
from .export_recurrence import replace_recurrences
from .model_names import ADAPTER_CONFIG

FORMAT = 1
GRAPH, REPORT, SCRIPT, PAGE = "model.onnx", "export.json", "predict_onnx.py", "README.md"
OPSET = 20
# The largest difference of probabilities, or of dimensions as a share of half their scale, that a graph in float32 may have.
TOLERANCE = 1e-4
# Operators whose weights become int8, and those that they become. Convolutions and recurrent layers stay in float32.
QUANTISED = ["MatMul", "Gemm", "Gather"]
INTEGER = {"MatMulInteger", "DequantizeLinear"}
# A file of protobuf has at most 2 GiB: above this size, which leaves room for the graph, weights are in a file of their own.
LARGEST_FILE = 1_800_000_000  # bytes


def export_model(source: str | Path, out: str | Path, int8: bool = False, revision: str = "main") -> dict[str, Any]:
    """Write a folder with the ONNX graph of a classifier, its configuration, its processor, and a script that uses them.

    The graph is compared with the model on random batches of other sizes and lengths than it was traced with.

    Args:
        source: Folder or Hub id of a classifier.
        out: A new folder.
        int8: Whether to quantise the weights of matrix products and embeddings to int8 (dynamic quantisation).
        revision: Branch, tag or commit of the Hub repository.

    Returns:
        The content of `export.json`.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
        OSError: If a file cannot be read or written.
        ValueError: If the model cannot be exported, its graph differs from it, or `out` is not empty.
    """
    # torch needs them: their absence is reported here, before a model is loaded.
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401

    out = Path(out)
    is_new = not out.exists()
    if not is_new and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not an empty folder; give a new one.")
    model, processor = load_classifier(str(source), revision)
    make_folder(out)
    try:
        return _export(str(source), model, processor, out, int8)
    finally:
        if is_new and not any(out.iterdir()):
            out.rmdir()


def _export(source: str, model: PreTrainedModel, processor: ProcessorMixin, out: Path, int8: bool) -> dict[str, Any]:
    """Write the exported folder, which exists; see `export_model`. After an error it has no file."""
    import onnxruntime

    exportable = build_exportable(model, _own_inputs(processor), _context_readers(processor))
    replace_recurrences(exportable)
    random = RandomBatches.of(model, processor, exportable.input_names)
    batches = random.compared()
    with staged(out) as staging:
        traced = random.traced()
        opset = write_graph(exportable, traced, staging / GRAPH)
        reports = {"float32": compare(model, open_graph(staging / GRAPH), batches)}
        largest = max(value for name, value in reports["float32"].items() if name.startswith("largest"))
        if not largest <= TOLERANCE:
            raise ValueError(
                f"The graph of {source} differs from the model by {largest:.2g} on random batches, more than {TOLERANCE:g}; it "
                "was not written. Please report the model."
            )
        if int8:
            quantise(staging / GRAPH)
            reports["int8"] = compare(model, open_graph(staging / GRAPH), batches)
        model.config.save_pretrained(staging)
        processor.save_pretrained(staging)
        shutil.copy(Path(__file__).with_name("export_script.py"), staging / SCRIPT)
        report = {
            "format": FORMAT,
            "opset": opset,
            "precision": "int8" if int8 else "float32",
            "versions": {
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "onnxruntime": onnxruntime.__version__,
            },
            **describe(model, processor, traced),
            "agreement": reports,
        }
        write_page(staging / PAGE, report)
        files = sorted(file for file in staging.rglob("*") if file.is_file())
        report["files"] = {file.relative_to(staging).as_posix(): _fingerprint(file) for file in files}
        write_json(staging / REPORT, report)
    return report


def load_classifier(source: str, revision: str = "main") -> tuple[PreTrainedModel, ProcessorMixin]:
    """Return a classifier of emofusion in float32, and its processor.

    Args:
        source: Folder or Hub id.
        revision: Branch, tag or commit of the Hub repository.

    Raises:
        OSError: If a file is missing.
        ValueError: If it holds adapters or quantised weights, or is damaged.
    """
    check_folder(source)
    if find_file(source, ADAPTER_CONFIG, revision=revision):
        raise ValueError(
            f"{source} holds adapters: merge them first (emofusion merge-adapter {source} MERGED), and export the merged model."
        )
    with one_sentence(source):
        model = AutoModelForAudioClassification.from_pretrained(source, dtype=torch.float32, revision=revision)
        processor = AutoProcessor.from_pretrained(source, revision=revision)
        if not model.config.model_type.startswith("emofusion_"):
            raise ValueError(f"{source} is a {type(model).__name__}, not a classifier of emofusion.")
        if getattr(model.config, "quantization_config", None):
            raise ValueError(f"{source} has quantised weights: export the model that was quantised.")
        check_processor_fits(model.config, processor)
    configs = getattr(model.config, "member_configs", None) or [model.config]
    if any(getattr(config, "context_layers", 0) for config in configs):
        raise ValueError(
            f"{source} reads earlier utterances of a conversation with their recordings (context_layers), which a graph for "
            "single utterances has no input for: export a model that was trained without, or with context_turns instead."
        )
    return model.eval(), processor


def write_graph(exportable: torch.nn.Module, batch: Arrays, path: Path) -> int:
    """Write the graph of a module, with dynamic numbers of rows and positions; return its opset.

    Args:
        exportable: The module; see `build_exportable`.
        batch: The inputs to trace it with.
        path: The file. A graph of more than `LARGEST_FILE` has its weights in a second file, whose name ends with `.data`.
    """
    from onnxscript import optimizer

    inputs = {name: torch.from_numpy(values) for name, values in batch.items()}
    with torch.no_grad():
        outputs = list(exportable(inputs))
    with _quiet():
        program = torch.onnx.export(
            exportable,
            kwargs={"batch": inputs},
            dynamo=True,
            dynamic_shapes={"batch": {name: axes_of(name) for name in inputs}},
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            verbose=False,
            optimize=False,
        )
        # In place of all that torch would do: its search for patterns takes a fourth of the export, and the runtime has its own.
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    for part in (
        program.model.graph,
        *program.model.graph.all_nodes(),
    ):  # lines of code, with the paths of this machine
        part.metadata_props.clear()
    # Not left to torch: its graph and quantised ones are divided by the same rule.
    weights = sum(weight.const_value.nbytes for weight in program.model.graph.initializers.values())
    program.save(path, external_data=weights > LARGEST_FILE)
    return OPSET


def quantise(path: Path) -> None:
    """Quantise the weights of a graph to int8, and its activations when it runs (dynamic quantisation of onnxruntime).

    Args:
        path: The file, which is replaced, with the file of its weights if it has one.

    Raises:
        ValueError: If the graph has no weights that can be quantised.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    files = [path, path.with_name(f"{path.name}.data")]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, _quiet():
        small = Path(folder, path.name)  # a graph names the file of its weights
        quantize_dynamic(
            path,
            small,
            op_types_to_quantize=QUANTISED,
            weight_type=QuantType.QUInt8,  # signed weights saturate on processors without VNNI
            per_channel=True,
            use_external_data_format=files[1].exists(),
        )
        graph = onnx.load(small, load_external_data=False).graph
        if not any(node.op_type in INTEGER for node in graph.node):
            raise ValueError(
                "The model has no matrix products or embeddings that int8 applies to: export it without --int8."
            )
        for file in files:
            file.unlink(missing_ok=True)
        for file in Path(folder).iterdir():
            file.rename(path.with_name(file.name))


def describe(model: PreTrainedModel, processor: ProcessorMixin, traced: Arrays) -> dict[str, Any]:
    """Return what a program needs to use the graph: labels, inputs, outputs, and how to prepare the inputs.

    Args:
        model: The classifier.
        processor: Its processor.
        traced: A batch with all inputs.
    """
    config, inputs = model.config, {}
    for name, values in traced.items():
        shape = [1, 1, *values.shape[2:]][: values.ndim]
        missing = -1 if split_name(name)[1] in SPAN_INPUTS.values() else 0
        axes = [axes_of(name).get(place, size) for place, size in enumerate(values.shape)]
        inputs[name] = {"type": str(values.dtype), "axes": axes, "shape": shape, "missing": missing}
    parts = {None: processor} | dict(getattr(processor, "members", {}))
    has_both = bool(config.dimensions) and not config.is_regression
    return {
        "model_type": config.model_type,
        "labels": [] if config.is_regression else [config.id2label[number] for number in sorted(config.id2label)],
        "dimensions": list(config.dimensions or []),
        "dimension_scale": list(config.dimension_scale) if config.dimensions else None,
        "sampling_rate": SAMPLING_RATE,
        "inputs": inputs,
        "outputs": ["logits", "dimensions"] if has_both else ["logits"],
        "preparation": [
            _preparation(number, part, name, config)
            for number, part in parts.items()
            for name, modality in MODALITIES.items()
            if f"{'' if number is None else f'member_{number}_'}{modality.main_input}" in inputs
        ],
    }


def _preparation(number: int | None, part: ProcessorMixin, modality: str, config: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"member": number, "modality": modality}
    if modality == "audio":
        settings |= {
            "normalise": bool(part.feature_extractor.do_normalize),
            "max_seconds": Limit.from_processor(part).seconds,
        }
    if modality == "text":
        settings |= {"max_tokens": min(part.tokenizer.model_max_length, 1_000_000)}
    if modality == "video":
        settings |= {"frames_per_second": part.frames_per_second}
    return settings


def _own_inputs(processor: ProcessorMixin) -> dict[int, tuple[str, ...]]:
    """Return the modalities that a late fusion prepares for one member alone, by its number."""
    parts = {modality.processor_part: name for name, modality in MODALITIES.items()}
    members: Mapping[int, ProcessorMixin] = getattr(processor, "members", {})
    return {number: tuple(parts[part] for part in own.get_attributes()) for number, own in members.items()}


def _context_readers(processor: ProcessorMixin) -> set[int | None]:
    """Return the processors that put earlier turns before the text: None for the processor, and numbers of members."""
    members: Mapping[int, ProcessorMixin] = getattr(processor, "members", {})
    return {number for number, part in ({None: processor} | dict(members)).items() if part.context_turns}


def open_graph(path: Path, threads: int = 0) -> Callable[[Arrays], Arrays]:
    """Return a function that runs the graph in a file, from inputs to outputs by name.

    Args:
        path: The file.
        threads: The number of threads; 0 leaves it to onnxruntime.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(names, session.run(names, batch), strict=True))


def _fingerprint(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


@contextmanager
def _quiet():
    """Silence the libraries, which report each step and each optional library that they do not find."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
