"""Export as an ONNX graph. Two exports serve all tests; the padded form, which is what is traced, is tested for every variant.

The first is of speech and text, for classes and dimensions. The second is a late fusion for dimensions of members with their
own tokenizers, one of them with text context, and its weights are in a file of their own.
"""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from emofusion import EmoFusionProcessor, LateFusionProcessor
from emofusion.cli.main import main
from emofusion.inference import export
from emofusion.inference.export_check import RandomBatches, compare
from emofusion.inference.export_model import build_exportable
from emofusion.modeling.fusion_recurrence import BidirectionalGRU, BidirectionalLSTM
from emofusion.modeling.modeling_rows import PaddedRows
from testing_common import BERT, CASES, IMAGE, TEXT_MEMBER, VOCABULARY, WAV2VEC2_GROUP, make_batch
from testing_dimensions import BOTH, DIMENSIONS
from testing_model_folder import make_adapter, make_model_folder
from testing_pages import ROOT, code_blocks
from testing_pipeline import noise
from torch import nn
from torch.testing import assert_close
from transformers import AutoModelForAudioClassification, AutoProcessor, BertTokenizer, pipeline

# Tracing takes time for each layer. The frame rate is the usual one.
SHALLOW = WAV2VEC2_GROUP | {
    "num_hidden_layers": 1,
    "conv_dim": [8, 8],
    "conv_kernel": [10, 64],
    "conv_stride": [5, 64],
}
ONE_LAYER = BERT | {"num_hidden_layers": 1}
# Runs a script where these libraries cannot be imported.
BLOCKED = (
    "import runpy, sys\n"
    "for name in ('torch', 'transformers', 'emofusion'): sys.modules[name] = None\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def check_padded(model, tolerance=1e-5, context_lengths=None, **lengths):
    exportable = build_exportable(model, context_readers=() if context_lengths is None else (None,))
    given = make_batch(**lengths)
    given |= {} if context_lengths is None else {"context_lengths": torch.tensor(context_lengths)}
    given = {name: given[name] for name in exportable.input_names}
    with torch.no_grad():
        outputs, expected = exportable(given), model(**given)
    for name, values in outputs.items():
        assert_close(values, expected[name], atol=tolerance, rtol=0)
    return outputs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_padded_form_equals_the_model_with_missing_modalities(case):
    check_padded(
        case.model(), audio_lengths=(6000, 0, 300), text_lengths=(4, 9, 0), video_lengths=(0, 5, 2), padding=7
    )


@pytest.mark.parametrize("fields", [DIMENSIONS, BOTH], ids=["dimensions", "both"])
def test_padded_form_has_the_outputs_of_every_task(fields):
    case = next(case for case in CASES if case.name == "cross_attention")
    outputs = check_padded(case.model(**fields), tolerance=3e-5)
    assert ("dimensions" in outputs) == (fields is BOTH)


@pytest.mark.parametrize("name", ["text", "cross_attention", "late_fusion"])
def test_padded_form_leaves_out_tokens_of_earlier_turns(name):
    model = next(case for case in CASES if case.name == name).model()
    lengths = {"text_lengths": (4, 9, 0, 6)}
    outputs = check_padded(model, context_lengths=(0, 5, 0, 3), **lengths)
    assert not torch.allclose(outputs["logits"], check_padded(model, **lengths)["logits"])


def test_building_the_padded_form_leaves_the_model_unchanged():
    case = next(case for case in CASES if case.name == "wavfusion")
    model, batch = case.model(), make_batch()
    before = model(**batch).logits
    build_exportable(model)
    assert torch.equal(model(**batch).logits, before)


def test_random_batches_lack_each_modality_once():
    model = next(case for case in CASES if case.name == "wavfusion").model()
    names = build_exportable(model).input_names
    batches = RandomBatches(names, VOCABULARY, (3, IMAGE, IMAGE)).compared()
    empty = [[name for name in names if name.endswith("mask") and not batch[name].any()] for batch in batches]
    assert empty[-3:] == [["audio_attention_mask"], ["attention_mask"], ["video_attention_mask"]]
    assert any(not batch["attention_mask"].any(axis=1).all() and batch["attention_mask"].any() for batch in batches)
    report = compare(model, lambda batch: {"logits": np.zeros((len(batch["input_ids"]), 3), np.float32)}, batches[:2])
    assert report["rows"] == 5
    assert 0 < report["largest_difference_of_probabilities"] <= 2 / 3


def test_recurrent_operators_end_with_their_row(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra export")
    pytest.importorskip("onnxscript", reason="needs the extra export")
    from emofusion.inference.export import write_graph
    from emofusion.inference.export_recurrence import replace_recurrences

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([BidirectionalLSTM(6, 5), BidirectionalGRU(6, 5)])

        def forward(self, batch):
            mask = batch["attention_mask"].bool()
            states = batch["input_ids"].float()[..., None] * torch.arange(6.0)
            outputs = [layer(states, PaddedRows(mask)) * mask[..., None] for layer in self.layers]
            return {"logits": torch.cat(outputs, dim=-1)}

    torch.manual_seed(0)
    model, replaced = Model().eval(), Model().eval()
    replaced.load_state_dict(model.state_dict())
    replace_recurrences(replaced)
    batch = {
        "input_ids": np.random.default_rng(0).integers(0, 3, (3, 7)),
        "attention_mask": (np.arange(7) < np.array([[7], [1], [4]])).astype(np.int64),
    }
    write_graph(replaced, {name: values[:2] for name, values in batch.items()}, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    expected = model({name: torch.from_numpy(values) for name, values in batch.items()})["logits"]
    assert_close(torch.from_numpy(session.run(None, batch)[0]), expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a model of speech and text for classes and dimensions, and its export."""
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    pytest.importorskip("onnxscript", reason="needs the extra export")
    place = tmp_path_factory.mktemp("export")
    (place / "model").mkdir()
    make_model_folder(place / "model", audio_config=SHALLOW, text_config=ONE_LAYER, **BOTH)
    assert main(["export", str(place / "model"), "--format", "onnx"]) == 0
    return place / "model", place / "model-onnx"


def tokenize(*words):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    return BertTokenizer(vocab={word: place for place, word in enumerate(vocabulary)}, model_max_length=32)


@pytest.fixture(scope="module")
def fusion(tmp_path_factory):
    """The folder of a late fusion of texts for dimensions, and its export, with weights in a file of their own."""
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    pytest.importorskip("onnxscript", reason="needs the extra export")
    place = tmp_path_factory.mktemp("fusion")
    members = [TEXT_MEMBER | {"text_config": ONE_LAYER}] * 2
    fields = DIMENSIONS | {"id2label": dict(enumerate(DIMENSIONS["dimensions"])), "combination": "mean"}
    case = next(case for case in CASES if case.name == "late_fusion")
    case.model(member_configs=members, **fields).save_pretrained(place / "model")
    parts = [
        EmoFusionProcessor(tokenizer=tokenize("hello", "there")),
        EmoFusionProcessor(tokenizer=tokenize("hel", "##lo", "there", "go"), context_turns=2),
    ]
    LateFusionProcessor.from_members(parts).save_pretrained(place / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "LARGEST_FILE", 1000)
        assert main(["export", str(place / "model")]) == 0
    return place / "model", place / "model-onnx"


def entries_of(answer):
    """Label -> value for an answer of the pipeline."""
    entries = answer["scores"] + answer["dimensions"] if isinstance(answer, dict) else answer
    return {entry["label"]: entry["score"] for entry in entries}


def run_script(folder, *arguments):
    """Label -> value that the script prints where torch, transformers and emofusion cannot be imported."""
    command = [sys.executable, "-c", BLOCKED, "predict_onnx.py", ".", *arguments]
    printed = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[0]: float(line.split()[1]) for line in printed.splitlines()}


def test_exported_folder_states_its_agreement_and_its_files(folders):
    report = json.loads((folders[1] / "export.json").read_text())
    agreement = report["agreement"]["float32"]
    assert agreement["largest_difference_of_probabilities"] < 1e-5
    assert agreement["equal_classes"] == 1
    names = {file.name for file in folders[1].iterdir()} - {"export.json"}
    assert (
        set(report["files"])
        == names
        >= {"model.onnx", "config.json", "tokenizer.json", "predict_onnx.py", "README.md"}
    )
    for name, entry in report["files"].items():
        assert hashlib.sha256((folders[1] / name).read_bytes()).hexdigest() == entry["sha256"]
    assert report["inputs"]["input_values"]["axes"] == ["batch", "samples"]
    assert os.getcwd().encode() not in (folders[1] / "model.onnx").read_bytes()
    assert "| float32 | 15 |" in (folders[1] / "README.md").read_text()


def test_script_without_torch_gives_the_probabilities_of_the_pipeline(folders, tmp_path):
    model, exported = folders
    soundfile.write(tmp_path / "sound.wav", noise(9000), 16000, subtype="FLOAT")
    recognise = pipeline("emotion-recognition", model=str(model))
    for text in (["hello there"], []):
        given = run_script(exported, str(tmp_path / "sound.wav"), *text)
        answer = recognise({"audio": str(tmp_path / "sound.wav"), **({"text": text[0]} if text else {})})
        assert {*given} > {"valence", "arousal"}
        assert given == pytest.approx(entries_of(answer), abs=6e-4)


def test_script_refuses_what_gives_no_prediction(folders, tmp_path):
    broken = noise(9000)
    broken[7] = np.nan
    for name, samples in {"empty": broken[:0], "nan": broken}.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    wrong = [[], [""], *([str(tmp_path / f"{name}.wav")] for name in ("missing", "text", "empty", "nan"))]
    code = "import runpy, sys\nscript = runpy.run_path('predict_onnx.py')\n"
    code += f"for given in {wrong!r}:\n    try: print(script['predict']('.', *given))\n    except SystemExit as end: print(end)"
    command = [sys.executable, "-c", code]
    lines = subprocess.run(command, cwd=folders[1], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    assert lines[:2] == ["Give a recording, a text or both."] * 2
    assert ["missing.wav cannot be read" in lines[2], "text.wav cannot be read" in lines[3]] == [True, True]
    assert all(line.endswith("has no samples, or some that are not finite.") for line in lines[4:])
    assert len(lines) == 6


def test_saved_processor_feeds_the_graph_after_a_cast_to_the_stated_types(folders):
    about = json.loads((folders[1] / "export.json").read_text())
    batch = AutoProcessor.from_pretrained(folders[1])(
        audio=[noise(9000), noise(4000)], text=["hello there", "hello"], sampling_rate=16000, return_tensors="np"
    )
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(folders[1] / "model.onnx", providers=["CPUExecutionProvider"])
    cast = {name: batch[name].astype(one["type"]) for name, one in about["inputs"].items()}
    with torch.no_grad():
        expected = AutoModelForAudioClassification.from_pretrained(folders[0])(
            **{name: torch.from_numpy(values) for name, values in cast.items()}
        )["logits"]
    assert_close(torch.from_numpy(session.run(["logits"], cast)[0]), expected, atol=1e-4, rtol=0)


def test_late_fusion_has_inputs_of_each_tokenizer_and_of_context(fusion):
    report = json.loads((fusion[1] / "export.json").read_text())
    assert {*report["inputs"]} == {
        *("input_ids", "attention_mask", "member_1_input_ids", "member_1_attention_mask", "member_1_context_lengths")
    }
    assert report["inputs"]["member_1_context_lengths"] == {
        "type": "int64",
        "axes": ["batch"],
        "shape": [1],
        "missing": 0,
    }
    assert [*report["agreement"]["float32"]] == ["rows", "largest_difference_of_dimensions"]
    assert report["agreement"]["float32"]["largest_difference_of_dimensions"] < 1e-5
    assert "member_1/tokenizer.json" in report["files"]
    given = run_script(fusion[1], "", "hello there")
    answer = pipeline("emotion-recognition", model=str(fusion[0]))({"text": "hello there"})
    assert given == pytest.approx(entries_of(answer), abs=6e-4)
    assert "earlier turns" in (fusion[1] / "README.md").read_text()


def test_large_weights_are_in_a_file_of_their_own_and_stay_there_as_int8(fusion, tmp_path):
    for name in ("model.onnx", "model.onnx.data"):
        shutil.copy(fusion[1] / name, tmp_path)
    run, batch = export.open_graph(tmp_path / "model.onnx"), {"input_ids": [[2, 5, 3]], "attention_mask": [[1, 1, 1]]}
    batch = {prefix + name: np.array(values) for prefix in ("", "member_1_") for name, values in batch.items()}
    batch["member_1_context_lengths"] = np.zeros(1, np.int64)
    before, size = run(batch)["logits"], (tmp_path / "model.onnx.data").stat().st_size
    export.quantise(tmp_path / "model.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert (tmp_path / "model.onnx.data").stat().st_size < size
    after = export.open_graph(tmp_path / "model.onnx")(batch)["logits"]
    assert 0 < np.abs(after - before).max() < 0.3


def test_graph_without_matrix_products_is_not_called_int8(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the extra export")
    value = onnx.helper.make_tensor_value_info("value", onnx.TensorProto.FLOAT, [1])
    scores = onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["value"], ["scores"])], "graph", [value], [scores])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), tmp_path / "model.onnx")
    before = (tmp_path / "model.onnx").read_bytes()
    with pytest.raises(ValueError, match="export it without --int8"):
        export.quantise(tmp_path / "model.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == before


def test_nothing_is_left_where_the_disk_is_full(folders, tmp_path, monkeypatch, capfd):
    def write(exportable, batch, path):
        path.write_bytes(b"half a graph")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(export, "write_graph", write)
    (tmp_path / "mine").mkdir()
    for out in (tmp_path / "new", tmp_path / "mine"):
        assert main(["export", str(folders[0]), "--out", str(out)]) == 1
        assert "No space left on device" in capfd.readouterr().err.splitlines()[-1]
    assert [*tmp_path.rglob("*")] == [tmp_path / "mine"]


def test_code_of_the_page_runs(folders, tmp_path, monkeypatch):
    (tmp_path / "small").symlink_to(folders[1])
    soundfile.write(tmp_path / "recording.wav", noise(9000), 16000)
    monkeypatch.chdir(tmp_path)
    (code,) = code_blocks(ROOT / "docs" / "export.md", "python")
    names = {}
    exec(code, names)
    recognise = pipeline("emotion-recognition", model=str(folders[0]))
    given = torch.from_numpy(names["logits"][0]).softmax(-1).max().item()
    assert recognise("recording.wav")["scores"][0]["score"] == pytest.approx(given, abs=1e-4)


def test_int8_graph_is_smaller_and_close(folders, tmp_path):
    model, processor = export.load_classifier(str(folders[0]))
    shutil.copy(folders[1] / "model.onnx", tmp_path)
    export.quantise(tmp_path / "model.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert b"MatMulInteger" in (tmp_path / "model.onnx").read_bytes()
    names = build_exportable(model).input_names
    report = compare(
        model, export.open_graph(tmp_path / "model.onnx"), RandomBatches.of(model, processor, names).compared()
    )
    assert 1e-6 < report["largest_difference_of_probabilities"] < 0.2


def test_what_cannot_be_exported_is_refused_in_one_sentence(folders, tmp_path, capfd):
    def complaint(*arguments):
        assert main(["export", *map(str, arguments)]) == 1
        return capfd.readouterr().err.splitlines()[-1]

    for taken in (folders[1], folders[1] / "model.onnx"):
        assert "is not an empty folder" in complaint(folders[0], "--out", taken)
    (tmp_path / "nothing").mkdir()
    assert "holds no model" in complaint(tmp_path / "nothing")
    assert main(["export", str(folders[0]), "--format", "onx"]) == 2
    assert "invalid choice: 'onx'" in capfd.readouterr().err
    shutil.copytree(folders[0], tmp_path / "adapter")
    make_adapter(tmp_path / "adapter", folders[0])
    assert "emofusion merge-adapter" in complaint(tmp_path / "adapter")
    case = next(case for case in CASES if case.name == "cross_attention")
    shutil.copytree(folders[0], tmp_path / "turns")
    context = {"context_layers": 1, "context_hidden_size": 8, "context_heads": 2}
    case.model(**context, **BOTH).save_pretrained(tmp_path / "turns")
    assert AutoModelForAudioClassification.from_pretrained(tmp_path / "turns").config.context_layers == 1
    assert "reads earlier utterances of a conversation" in complaint(tmp_path / "turns")
    assert not (tmp_path / "turns-onnx").exists()
