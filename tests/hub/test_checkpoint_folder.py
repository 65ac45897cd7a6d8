"""Checkpoints of all variants, loaded by one process that cannot import emofusion."""

import ast
import re
from pathlib import Path

import av
import emofusion
import pytest
import soundfile
import torch
from emofusion.configuration import VARIANTS
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task import task_of_config
from emofusion.hub import write_bundle, write_card
from emofusion.processing import EmoFusionProcessor
from safetensors.torch import load_file, save_file
from testing_common import CASES, IMAGE
from testing_dimensions import BOTH, DIMENSIONS
from transformers import BertTokenizer, ViTImageProcessorPil, Wav2Vec2FeatureExtractor

# Files that the folders of all variants have, and those that only some variants have.
SHARED = {
    "configuration_checks.py",
    "configuration_emofusion.py",
    "dimensions.py",
    "distributed.py",
    "encoder_fields.py",
    "folder_checks.py",
    "encoder_audio.py",
    "encoder_building.py",
    "encoder_convolutions.py",
    "encoder_layers.py",
    "encoder_packing.py",
    "encoder_positions.py",
    "encoder_spec_augment.py",
    "encoder_stages.py",
    "encoder_text.py",
    "encoder_vision.py",
    "encoder_wav2vec2.py",
    "encoder_whisper.py",
    "fusion_dialogue.py",
    "fusion_missing_modality.py",
    "fusion_mixup.py",
    "fusion_pooling.py",
    "head_classification.py",
    "head_auxiliary.py",
    "head_dimensions.py",
    "loss_classification.py",
    "loss_concordance.py",
    "modalities.py",
    "modeling_adapters.py",
    "modeling_checkpoint.py",
    "modeling_dtype.py",
    "modeling_emofusion.py",
    "modeling_lengths.py",
    "modeling_loading.py",
    "modeling_losses.py",
    "modeling_modules.py",
    "modeling_outputs.py",
    "modeling_pretrained.py",
    "modeling_linear.py",
    "modeling_row_attention.py",
    "modeling_rows.py",
    "plain_text.py",
    "value_checks.py",
}
PROCESSING = {file.name for file in Path(emofusion.__file__).parent.glob("processing/[!_]*.py")}
SHARED |= PROCESSING - {"processing_late_fusion.py"}
MORE = {
    "unimodal": {"fusion_branches.py", "fusion_recurrence.py"},
    "cross_attention": {"fusion_attention.py", "fusion_branches.py", "fusion_recurrence.py"},
    "multi_level": {"fusion_attention.py", "fusion_coattention.py", "fusion_segments.py"},
    "speaker_resnet": {"encoder_resnet.py", "encoder_spectrogram.py"},
    "late_fusion": {"fusion_late_members.py", "head_score_combination.py", "head_value_combination.py"},
    "wavfusion": {
        "fusion_attention.py",
        "fusion_gated_attention.py",
        "fusion_recurrence.py",
        "fusion_recurrent_attention.py",
        "fusion_visual_center.py",
        "loss_discrepancy.py",
    },
}
# Any variant may be a member of a late fusion, so its folder has the code of all.
MORE["late_fusion"] |= {f"{room}_{variant}.py" for room in ("configuration", "modeling") for variant in VARIANTS}
MORE["late_fusion"] = set.union(*MORE.values())

# One checkpoint per variant, each modality alone, and all three: the code depends on nothing else.
FIRST = {case.variant: case for case in reversed(CASES)}
MORE_CASES = ("text", "video", "wavfusion")
CHECKPOINTS = {case.name: case for case in CASES if case is FIRST[case.variant] or case.name in MORE_CASES}

# What some of them learn besides or instead of classes.
LEARNED = {"text": BOTH, "video": DIMENSIONS}

LABELS = {index: f"emotion_{index}" for index in range(12)}  # as text, "10" sorts before "2"

LOAD = """
import os
import re
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForSequenceClassification,
    AutoProcessor,
)

remote = {"trust_remote_code": True}
for folder in sys.argv[1:]:
    os.chdir(folder)  # as the card says
    config = AutoConfig.from_pretrained(".", **remote)
    processor = AutoProcessor.from_pretrained(".", **remote)
    given = {name: value.numpy() for name, value in load_file("../given.safetensors").items()} | {"text": "hello there"}
    batch = processor(**{name: given[name] for name in config.modalities}, sampling_rate=16000)
    results = {}
    with torch.no_grad():
        for auto in (AutoModelForAudioClassification, AutoModelForSequenceClassification):
            results[auto.__name__] = auto.from_pretrained(".", **remote)(**batch).logits
        results["AutoModel"] = AutoModel.from_pretrained(".", **remote)(**batch).embedding
    save_file(results, f"../{folder}.safetensors")
    for example in re.findall("```python(.*?)```", open("README.md").read(), re.DOTALL):
        exec(example.replace('"recording.', '"../recording.'))
    os.chdir("..")
    print("next")
"""

WITHOUT_REMOTE_CODE = """
import os
import re
import emofusion

os.chdir("cross_attention")
page = open("README.md").read().replace('"recording.', '"../recording.')
for example in re.findall("```python(.*?)```", page, re.DOTALL):
    exec(example.replace(", trust_remote_code=True", ""))
assert type(recognise).__module__ == "emofusion.processing.pipeline_emotion_recognition", type(recognise)
assert type(model).__module__ == "emofusion.modeling.modeling_cross_attention", type(model)
assert type(processor).__module__ == "emofusion.processing.processing_emofusion", type(processor)
"""


def save_checkpoint(folder, case):
    """Write a complete folder; return its model and its processor."""
    learned = LEARNED.get(case.name, {})
    classes = {} if "problem_type" in learned else {"num_labels": len(LABELS), "id2label": LABELS}
    model = case.model(**learned, **classes)
    config, task = model.config, task_of_config(model.config)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "there"]
    processor = EmoFusionProcessor(
        Wav2Vec2FeatureExtractor() if "audio" in config.modalities else None,
        BertTokenizer(vocab={token: index for index, token in enumerate(vocabulary)})
        if "text" in config.modalities
        else None,
        ViTImageProcessorPil(size={"height": IMAGE, "width": IMAGE}) if "video" in config.modalities else None,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    write_bundle(model, folder, processor)
    modalities = list(config.modalities)
    write_card(folder, RunResults(labels=list(task.labels), modalities=modalities, **task.result_fields()))
    return model, processor


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """The folder of all checkpoints, and their models and processors by name."""
    root = tmp_path_factory.mktemp("checkpoints")
    return root, {name: save_checkpoint(root / name, case) for name, case in CHECKPOINTS.items()}


@pytest.fixture(scope="module")
def elsewhere(checkpoints, run_python):
    """Outputs of all folders, and of their cards' examples, by name, from one process without emofusion."""
    root, _ = checkpoints
    waveform, video = 0.1 * torch.randn(4000), torch.randint(0, 256, (3, 20, 24, 3), dtype=torch.uint8)
    save_file({"audio": waveform, "video": video}, root / "given.safetensors")
    soundfile.write(root / "recording.wav", waveform.numpy(), 16000, subtype="FLOAT")
    with av.open(str(root / "recording.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=2)
        stream.height, stream.width, stream.pix_fmt = video.shape[1], video.shape[2], "yuv420p"
        for frame in video.numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
    printed = run_python(LOAD, *CHECKPOINTS, cwd=root).split("next\n")
    lines = [list(map(ast.literal_eval, text.splitlines())) for text in printed[: len(CHECKPOINTS)]]
    return {
        name: (load_file(root / f"{name}.safetensors"), *rows) for name, rows in zip(CHECKPOINTS, lines, strict=True)
    }


def test_every_variant_has_a_checkpoint():
    assert {case.variant for case in CHECKPOINTS.values()} == set(VARIANTS)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_folder_alone_gives_the_same_outputs(checkpoints, elsewhere, name):
    root, saved = checkpoints
    model, processor = saved[name]
    given = {modality: value.numpy() for modality, value in load_file(root / "given.safetensors").items()}
    given["text"] = "hello there"
    batch = processor(**{modality: given[modality] for modality in model.config.modalities}, sampling_rate=16000)
    with torch.no_grad():
        logits, embedding = model(**batch).logits, model.base_model(**batch).embedding
    tensors, *_ = elsewhere[name]
    torch.testing.assert_close(tensors["AutoModelForAudioClassification"], logits, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(tensors["AutoModelForSequenceClassification"], logits, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(tensors["AutoModel"], embedding, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_examples_of_the_card_print_every_score(checkpoints, elsewhere, name):
    root, saved = checkpoints
    model, processor = saved[name]
    utterance = {
        "audio": root / "recording.wav",
        "text": "I will be there in a minute.",
        "video": root / "recording.mp4",
    }
    batch = processor(**{modality: utterance[modality] for modality in model.config.modalities})
    with torch.no_grad():
        output = model(**batch)
    _, answer, *printed = elsewhere[name]
    names, expected = model.config.dimensions, []
    if not model.config.is_regression:
        expected.append(dict(zip(LABELS.values(), output.logits.softmax(-1)[0].tolist(), strict=True)))
    if names:
        values = output.logits if model.config.is_regression else output.dimensions
        expected.append(dict(zip(names, values[0].tolist(), strict=True)))
    assert printed == [pytest.approx(scores, abs=1e-6) for scores in expected]
    answers = [answer["scores"], answer["dimensions"]] if isinstance(answer, dict) else [answer]
    for entries, scores in zip(answers, expected, strict=True):
        assert {entry["label"]: entry["score"] for entry in entries} == pytest.approx(scores, abs=1e-6)


def test_with_emofusion_the_example_needs_no_remote_code(checkpoints, elsewhere, run_python):
    root, _ = checkpoints
    printed = run_python(WITHOUT_REMOTE_CODE, cwd=root, without_emofusion=False)
    *_, expected = elsewhere["cross_attention"]
    ranked, again = map(ast.literal_eval, printed.splitlines())
    assert again == pytest.approx(expected, abs=1e-6)
    assert {entry["label"]: entry["score"] for entry in ranked} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_folder_holds_the_code_of_its_variant_only(checkpoints, name):
    root, _ = checkpoints
    variant = CHECKPOINTS[name].variant
    own = {f"configuration_{variant}.py", f"modeling_{variant}.py"}
    assert {file.name for file in (root / name).glob("*.py")} == SHARED | MORE[variant] | own
    for file in (root / name).glob("*.py"):
        assert not re.search(r"^\s*(from|import)\s+(emofusion|\.\.)", file.read_text(), flags=re.MULTILINE)
