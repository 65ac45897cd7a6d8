"""Two processes under gloo, started once, compared with one process."""

import json
import os
import signal
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from emofusion.configuration.modalities import host_lengths
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.modeling.distributed import gather_rows
from emofusion.modeling.loss_discrepancy import discrepancy_loss
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.checkpoints import find_checkpoint
from emofusion.training.collator import EmotionCollator
from emofusion.training.interruption import train_interruptibly
from emofusion.training.missing_gradients import lacks_modality, with_all_parameters
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from emofusion.training.trainer import EmotionTrainer
from testing_common import CASES, INPUTS, make_batch
from testing_fresh import call_fresh
from testing_matrix import sparse_batch
from testing_processes import fsdp_plugin
from testing_server import free_port
from testing_training import AUDIO, TEXT
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel
from transformers import set_seed

PROCESSES = 2
STEPS = 6  # an epoch has four
STOP = 5
# Every variant and every way of fusion; gradients of the other cases in one process are in modeling/test_matrix_training.py.
PARALLEL = (
    "speech",
    "text",
    "cross_attention",
    "cross_attention-layer-sums",
    "speaker_resnet",
    "multi_level",
    "multi_level-concat",
    "wavfusion",
    "wavfusion-video",
    "wavfusion-concat",
    "late_fusion",
    "late_fusion-weighted",
)
SHARDED = ("speech-whisper", "cross_attention", "multi_level", "wavfusion", "wavfusion-wavlm", "late_fusion-weighted")
ROWS = 13  # which two processes cannot share evenly in batches of two
DROPOUTS = ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout", "layerdrop")
# Rows for discrepancy learning, and how many the first process gets: about half, and nearly all.
LABELS = torch.tensor([0, 1, 0, 2, 1, 1, 0])
EMBEDDINGS = torch.randn(len(LABELS), 3, 5, generator=torch.Generator().manual_seed(0))
SPLITS = (3, 6)
MARGIN = 0.2
WAVFUSION = {
    "audio_config": AUDIO | {"num_hidden_layers": 2} | dict.fromkeys(DROPOUTS, 0.0),
    "text_config": TEXT | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "auxiliary_modalities": ["text"],
    "num_fusion_layers": 1,
    "freeze_feature_encoder": False,
    "freeze_audio_layers": 0,
    "freeze_text_layers": 0,
    "text_hidden_size": 8,
    "num_attention_heads": 2,
    **dict.fromkeys(("hidden_dropout", "attention_dropout", "classifier_dropout"), 0.0),
    "auxiliary_labels": {"gender": ["female", "male"]},
}
WAYS = {
    "random": {},
    "grouped": {"group_by_length": True, "class_weights": "[5, 1, 0.5, 0.1]", "gradient_accumulation_steps": 2},
}


def build_trainer(root: str, folder: str, together: int, **arguments) -> EmotionTrainer:
    corpus = load_corpus("spoken", root, utterances=BLOCK)
    labels = corpus["train"].features["label"].names
    args = EmotionTrainingArguments(
        output_dir=folder,
        max_steps=STEPS,
        per_device_train_batch_size=together // int(os.environ.get("WORLD_SIZE", 1)),
        per_device_eval_batch_size=2,
        learning_rate=1e-2,
        logging_steps=1,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
        disable_tqdm=True,
        use_cpu=True,
        **arguments,
    )
    set_seed(0)
    model = build_model(ModelArguments(variant="wavfusion", model_config=WAVFUSION), labels)
    data_args = DataArguments(max_seconds=1.0)
    processor = build_processor(ModelArguments(), data_args, model, corpus["train"]["text"])
    return EmotionTrainer(
        model=model,
        args=args,
        data_collator=EmotionCollator(processor, labels, auxiliary=model.config.auxiliary_labels),
        train_dataset=corpus["train"].select(range(32)),
        eval_dataset=corpus["test"].select(range(ROWS)),
        processing_class=processor,
    )


def train_and_predict(*settings, **arguments) -> dict:
    """Return the curves of a short training, and predictions on rows that cannot be divided evenly."""
    trainer, lengths = build_trainer(*settings, **arguments), []
    trainer.model.register_forward_pre_hook(
        lambda module, args, inputs: lengths.append(inputs["lengths"] == host_lengths(inputs)), with_kwargs=True
    )
    trainer.train()
    prediction = trainer.predict(trainer.eval_dataset)
    names = ("loss", "loss_cross_entropy", "loss_discrepancy", "loss_auxiliary_gender", "grad_norm")
    return {
        "curves": [[entry[name] for name in names] for entry in trainer.state.log_history if "loss" in entry],
        "padding": [entry["padding"] for entry in trainer.state.log_history if "padding" in entry],
        "lengths": all(lengths),
        "labels": prediction.label_ids.tolist(),
        "logits": prediction.predictions.tolist(),
        "ua": prediction.metrics["test_ua"],
        "weights": weights_of(trainer),
    }


def stop_and_resume(rank: int, root: str, folder: str) -> dict:
    """Return the weights of a training that is stopped by a signal to one process in its second epoch, and resumed."""
    trainer = build_trainer(root, folder, 8)
    make_step, status = trainer.training_step, None

    def training_step(*args, **kwargs):
        if rank == 1 and trainer.state.global_step == STOP - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return make_step(*args, **kwargs)

    trainer.training_step = training_step
    try:
        train_interruptibly(trainer)
    except SystemExit as error:
        status = error.code
    stopped_at = trainer.state.global_step
    if trainer.args.device.index is not None:  # older versions call it cpu:0, which torch cannot load an optimiser to
        return {"status": status, "stopped_at": stopped_at, "weights": None}
    trainer = build_trainer(root, folder, 8, resume_from_checkpoint="true")
    train_interruptibly(trainer, find_checkpoint(trainer.args))
    return {"status": status, "stopped_at": stopped_at, "weights": weights_of(trainer)}


def weights_of(trainer: EmotionTrainer) -> dict:
    return {name: weight.tolist() for name, weight in trainer.model.state_dict().items()}


def gradients_without_search(case) -> list[bool]:
    """Return whether each parameter has a gradient, for batches with all modalities and with one missing in some rows."""
    model, complete = case.model().train(), []
    parallel = DistributedDataParallel(model)
    for batch in (make_batch(), sparse_batch(case)):  # the second would raise where the first left parameters unused
        parallel(**batch).loss.backward()
        complete.append(all(p.grad is not None for p in model.parameters() if p.requires_grad))
        model.zero_grad()
    return complete


def step_without_a_modality(case, rank: int) -> bool:
    """Make two steps in which one process has no text."""
    model = case.model().train()
    parallel = DistributedDataParallel(model)
    batch = {name: value for name, value in make_batch().items() if rank == 0 or name not in INPUTS["text"]}
    for _ in range(2):
        loss = parallel(**batch).loss
        if lacks_modality(batch, model.config.modalities):
            loss = with_all_parameters(loss, model)
        loss.backward()
    return all(p.grad is not None for p in model.parameters() if p.requires_grad)


def shard(case) -> list[float]:
    """Return number of shards, share of the parameters, and differences of logits and gradients to the unsharded model."""
    whole, model, plugin = case.model(dropout=False).train(), case.model(dropout=False).train(), fsdp_plugin()
    accelerator = SimpleNamespace(  # accelerate itself shards on accelerators only
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=init_device_mesh("cpu", (PROCESSES,), mesh_dim_names=("dp_shard",)),
        parallelism_config=SimpleNamespace(fsdp_dim_names=("dp_shard",)),
        mixed_precision="no",
        is_main_process=dist.get_rank() == 0,
        device=torch.device("cpu"),
    )
    model = fsdp2_prepare_model(accelerator, model)
    batch = make_batch()
    expected, output = whole(**batch), model(**batch)
    expected.loss.backward()
    output.loss.backward()
    gradients = dict(model.named_parameters())
    return [
        sum(isinstance(module, FSDPModule) for module in model.modules()),
        sum(parameter.to_local().numel() for parameter in model.parameters()) / whole.num_parameters(),
        (output.logits - expected.logits).abs().max().item(),
        max(
            (gradients[name].grad.full_tensor() - parameter.grad).abs().max().item()
            for name, parameter in whole.named_parameters()
            if parameter.grad is not None
        ),
    ]


def shared_layer() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(5, 4)


def discrepancy(rank: int) -> list:
    """Return the loss of discrepancy learning, the averaged gradient and the labels, for each way to share the rows."""
    found = []
    for split in SPLITS:
        rows = slice(None, split) if rank == 0 else slice(split, None)
        layer = DistributedDataParallel(shared_layer())
        embeddings, labels = gather_rows(layer(EMBEDDINGS[rows])), gather_rows(LABELS[rows])
        loss = discrepancy_loss(embeddings, labels, MARGIN)
        loss.backward()
        found.append((loss.item(), layer.module.weight.grad.tolist(), labels.tolist()))
    return found


def process(rank: int, port: int, root: str, folder: str) -> None:
    """Run all measurements in one of the processes."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(PROCESSES)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    found = {way: train_and_predict(root, folder, 8, **arguments) for way, arguments in WAYS.items()}
    found["resumed"] = stop_and_resume(rank, root, folder)
    found["gradients"] = {case.name: gradients_without_search(case) for case in CASES if case.name in PARALLEL}
    found["missing"] = {
        case.name: step_without_a_modality(case, rank)
        for case in CASES
        if case.name in ("cross_attention", "multi_level", "wavfusion", "late_fusion-weighted")
    }
    found["discrepancy"] = discrepancy(rank)
    found["shards"] = {case.name: shard(case) for case in CASES if case.name in SHARDED}
    with open(f"{folder}/{rank}.json", "w") as file:
        json.dump(found, file)
    dist.barrier()
    dist.destroy_process_group()


def launch(*arguments) -> None:
    """Start the processes from one that has imported everything."""
    mp.start_processes(process, arguments, nprocs=PROCESSES, start_method="fork")


@pytest.fixture(scope="module")
def found(corpus, corpus_root, tmp_path_factory):
    """The measurements of each of two processes."""
    folder = tmp_path_factory.mktemp("processes")
    call_fresh(launch, free_port(), str(corpus_root), str(folder))
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(PROCESSES)]


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_learn_and_predict_like_one(way, found, corpus, corpus_root, tmp_path):
    alone = train_and_predict(str(corpus_root), str(tmp_path), 8, **WAYS[way])
    assert len(alone["curves"]) == STEPS
    assert alone["labels"] == corpus["test"]["label"][:ROWS]
    for rank in range(PROCESSES):
        together = found[rank][way]
        for step, (mine, expected) in enumerate(zip(together["curves"], alone["curves"], strict=True)):
            assert mine == pytest.approx(expected, abs=1e-4), step
        assert together["lengths"]
        assert together["labels"] == alone["labels"]
        torch.testing.assert_close(torch.tensor(together["logits"]), torch.tensor(alone["logits"]), atol=1e-4, rtol=0)
        assert together["ua"] == pytest.approx(alone["ua"])
        assert all(0 <= padding < 1 for padding in together["padding"])
    assert found[0][way]["curves"] == found[1][way]["curves"]


def test_all_processes_stop_together_and_resume_to_the_same_end(found):
    for results in found:
        assert (results["resumed"]["status"], results["resumed"]["stopped_at"]) == (0, STOP)
        assert results["resumed"]["weights"] in (None, results["random"]["weights"])


@pytest.mark.parametrize("case", PARALLEL)
def test_every_parameter_gets_a_gradient_in_every_step(case, found):
    assert found[0]["gradients"][case] == found[1]["gradients"][case] == [True, True]


def test_a_batch_without_a_modality_does_not_block_other_processes(found):
    for results in found:
        assert results["missing"]
        assert all(results["missing"].values())


def test_discrepancy_of_two_processes_equals_that_of_one(found):
    layer = shared_layer()
    expected = discrepancy_loss(layer(EMBEDDINGS), LABELS, MARGIN)
    expected.backward()
    for results in found:
        assert len(results["discrepancy"]) == len(SPLITS)
        for loss, gradient, labels in results["discrepancy"]:
            assert labels == LABELS.tolist()
            assert loss == pytest.approx(expected.item(), abs=1e-6)
            torch.testing.assert_close(torch.tensor(gradient), layer.weight.grad)


@pytest.mark.parametrize("case", SHARDED)
def test_a_sharded_model_computes_the_same(case, found):
    for results in found:
        pieces, share, logits, gradient = results["shards"][case]
        assert pieces >= 3  # the layers, and what is around them
        assert 0.3 < share < 0.7
        assert logits < 1e-6
        assert gradient < 1e-5
