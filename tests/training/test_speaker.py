import json
import re
import shutil

import numpy as np
import pytest
import soundfile
import torch
from emofusion import SpeakerResNetForSpeakerRecognition
from emofusion.evaluation.results import SpeakerData, SpeakerResults
from emofusion.metrics.speaker_verification import equal_error_rate, min_dcf
from emofusion.processing import EmoFusionProcessor
from emofusion.training.arguments import ModelArguments
from emofusion.training.model_building import build_model
from emofusion.training.recipe import SPEAKER, parse_recipe
from emofusion.training.speaker.pretrain import (
    MarginSchedule,
    build_speaker_model,
    pretrain_speaker,
    score_trials,
)
from emofusion.training.speaker.recordings import read_trials
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from testing_training import record_writes
from transformers import TrainerState, Wav2Vec2FeatureExtractor

NETWORK = {"num_mel_bins": 16, "hidden_sizes": [4, 8], "depths": [1, 1], "embedding_size": 8}
SPEAKERS = 6


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Speakers who hum, each at another pitch, and trial lists of the last four."""
    root, random = tmp_path_factory.mktemp("voices"), np.random.default_rng(0)
    for speaker in range(SPEAKERS):
        for number in range(4):
            folder = root / f"id{speaker}" / f"video{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            time = np.arange(4800 + 800 * number) / 16000
            hum = np.sin(2 * np.pi * 150 * (1 + speaker) * time) + 0.1 * random.normal(size=len(time))
            soundfile.write(folder / f"{number}.wav", 0.1 * hum, 16000)
    for name, (one, two) in {"validation": (2, 3), "test": (4, 5)}.items():
        lines = [f"1 id{who}/video0/0.wav id{who}/video1/{number}.wav" for who in (one, two) for number in (1, 3)]
        lines += [f"0 id{one}/video0/{number}.wav id{two}/video1/1.wav" for number in (0, 2)]
        (root / f"{name}.txt").write_text("\n".join(lines))
    return root


def recipe(tree, folder, **others):
    recipe = {
        "corpus_root": tree,
        "validation_trials": tree / "validation.txt",
        "test_trials": tree / "test.txt",
        "model_config": json.dumps(NETWORK),
        "output_dir": folder,
        "num_train_epochs": 2,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 3,
        "disable_tqdm": "true",
        "use_cpu": "true",
        **others,
    }
    options = [part for name, value in recipe.items() if value is not None for part in (f"--{name}", str(value))]
    return parse_recipe([*options, "--crop_seconds", "0.2", "0.3"], SPEAKER)


def measured(results, split):
    """Return the names of the scores of a split that are not None."""
    scores = results.metrics[split].to_dict()
    return {name for name, value in scores.items() if value is not None}


@pytest.fixture(scope="module")
def finished(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "network"
    return folder, pretrain_speaker(recipe(tree, folder))


def test_the_folder_holds_a_network_and_its_results(finished, tree):
    folder, results = finished
    assert SpeakerResults.read(folder) == results
    assert results.data == SpeakerData(
        speakers=2,  # those whom no trial list names
        training=6,
        validation=2,
        validation_trials=6,
        test_trials=6,
    )
    assert measured(results, "validation") == {"accuracy", "eer", "min_dcf"}
    assert measured(results, "test") == {"eer", "min_dcf"}
    assert results.p_target == 0.01
    auto_map = json.loads((folder / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModelForAudioXVector"] == "modeling_speaker_resnet.SpeakerResNetForSpeakerRecognition"
    assert "AutoModelForAudioClassification" not in auto_map
    names = {file.name for file in folder.iterdir()}
    assert {
        "modeling_speaker_resnet.py",
        "encoder_spectrogram.py",
        "processor_config.json",
        "training_log.json",
    } <= names
    assert not [name for name in names if name.startswith(".") or name.endswith(".bin")]


def test_the_results_are_written_last(tree, tmp_path, monkeypatch):
    written = record_writes(monkeypatch, tmp_path / "network")
    pretrain_speaker(recipe(tree, tmp_path / "network", num_train_epochs=1))
    assert written[0] == "model.safetensors"
    assert written[-3:] == ["training_log.json", "README.md", "results.json"]
    assert len(written) == len(set(written))


def test_every_checkpoint_has_a_card(tree, tmp_path):
    pretrain_speaker(recipe(tree, tmp_path / "network", num_train_epochs=1))
    (checkpoint,) = (tmp_path / "network").glob("checkpoint-*")
    page = ModelCard.load(checkpoint / "README.md")
    assert "Trained on 6 recordings of 2 speakers" in page.text


def test_the_card_has_the_scores_and_its_example_runs(finished, tree, monkeypatch, capsys):
    folder, results = finished
    page = ModelCard.load(folder / "README.md")
    assert page.data.to_dict()["library_name"] == "transformers"
    test = results.metrics["test"]
    assert f"| test |  | {100 * test.eer:.1f} % | {test.min_dcf:.3f} |" in page.text
    assert "Trained on 6 recordings of 2 speakers" in page.text
    assert str(folder.parent) not in page.content
    example = re.search("```python(.*?)```", page.text, re.DOTALL).group(1).replace(", trust_remote_code=True", "")
    example = re.sub(r'"(\w+\.wav)"', r'"../\1"', example)
    monkeypatch.chdir(folder)
    for name, path in (("first.wav", "id4/video0/0.wav"), ("second.wav", "id4/video1/1.wav")):
        shutil.copy(tree / path, folder.parent / name)
    exec(example, {})
    cosine = float(capsys.readouterr().out.split()[-1])
    model = SpeakerResNetForSpeakerRecognition.from_pretrained(folder)
    trials = read_trials(tree / "test.txt", tree)[:1]
    scores = score_trials(model, EmoFusionProcessor.from_pretrained(folder), tree, trials)
    assert cosine == pytest.approx(scores[0], abs=1e-5)


def test_the_saved_network_has_the_measured_scores(finished, tree):
    folder, results = finished
    model = SpeakerResNetForSpeakerRecognition.from_pretrained(folder).train()
    processor = EmoFusionProcessor.from_pretrained(folder)
    for split in ("validation", "test"):
        trials = read_trials(tree / f"{split}.txt", tree)
        scores = score_trials(model, processor, tree, trials, batch_size=3)
        labels = [int(trial.same) for trial in trials]
        assert results.metrics[split].eer == pytest.approx(equal_error_rate(labels, scores))
        assert results.metrics[split].min_dcf == pytest.approx(min_dcf(labels, scores, 0.01))
    assert model.training  # as before


def test_scores_are_cosines_of_whole_recordings(tree):
    torch.manual_seed(0)
    model = build_speaker_model(NETWORK, 3).eval()
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(return_attention_mask=True), None)
    trials = read_trials(tree / "test.txt", tree)
    for limit in (None, 0.25):
        scores = score_trials(model, processor, tree, trials, batch_size=2, max_seconds=limit)
        for trial, score in zip(trials, scores, strict=True):
            waves = [soundfile.read(tree / path, dtype="float32")[0] for path in (trial.first, trial.second)]
            waves = [wave if limit is None else wave[:4000] for wave in waves]
            with torch.no_grad():
                one, two = (model(**processor(wave, sampling_rate=16000)).embedding[0] for wave in waves)
            assert score == pytest.approx(torch.cosine_similarity(one, two, dim=0).item(), abs=1e-5)


def test_the_checkpoint_with_the_lowest_error_is_kept(finished):
    folder, results = finished
    log = json.loads((folder / "training_log.json").read_text())
    errors = [entry["eval_eer"] for entry in log if "eval_eer" in entry]
    assert len(errors) == 2  # one an epoch
    assert results.metrics["validation"].eer == min(errors)


def test_without_trials_the_checkpoint_is_selected_by_accuracy(tree, tmp_path):
    results = pretrain_speaker(
        recipe(tree, tmp_path / "bare", validation_trials=None, test_trials=None, max_steps=2, num_train_epochs=None)
    )
    assert results.data.speakers == SPEAKERS
    assert set(results.metrics) == {"validation"}
    assert measured(results, "validation") == {"accuracy"}


def test_speakers_are_held_out_for_trials_and_training_has_more_voices(tree, tmp_path):
    results = pretrain_speaker(
        recipe(
            tree,
            tmp_path / "voices",
            validation_trials=None,
            test_trials=None,
            validation_speakers=0.34,
            speeds="[1, 1.1]",
            augmentation='{"noise": {"snr_db": [5, 20]}}',
            margin_warmup=0.5,
            max_steps=2,
            num_train_epochs=None,
            optim="sgd",
            optim_args="momentum=0.9",
        )
    )
    assert (results.data.speakers, results.data.training, results.data.validation_trials) == (4, 12, 16)
    assert measured(results, "validation") == {"accuracy", "eer", "min_dcf"}
    config = SpeakerResNetForSpeakerRecognition.from_pretrained(tmp_path / "voices").config
    assert config.num_speakers == 8
    assert not config.apply_spec_augment


def test_the_margin_grows_with_the_steps():
    model = build_speaker_model(NETWORK, 3)
    schedule, shares = MarginSchedule(model, 0.5), []
    for step in range(5):
        schedule.on_step_begin(None, TrainerState(global_step=step, max_steps=8), None)
        shares.append(model.margin_share)
    assert shares == [0, 0.25, 0.5, 0.75, 1]
    batch = {"input_values": torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))}
    losses = []
    for model.margin_share in (0.0, 1.0):
        losses.append(model.eval()(**batch, labels=torch.tensor([0, 1])).loss.item())
    assert losses[0] < losses[1]


def test_recordings_need_not_be_held_out(tree, tmp_path):
    results = pretrain_speaker(recipe(tree, tmp_path / "all", validation_share=0, max_steps=1))
    assert set(results.metrics) == {"test"}
    assert results.data.training == 8


def test_an_emotion_model_starts_from_the_folder(finished):
    folder, _ = finished
    model = build_model(ModelArguments("speaker_resnet", str(folder)), ["low", "high"])
    saved = load_file(folder / "model.safetensors")
    mine = model.state_dict()
    assert {name for name in mine if name not in saved} == {"classifier.weight", "classifier.bias"}
    assert all(mine[name].equal(saved[name]) for name in mine if name in saved)
    assert model.config.id2label == {0: "low", 1: "high"}


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"corpus_root": None}, "corpus_root is not given"),
        ({"validation_share": 1}, "validation_share is 1"),
        ({"validation_speakers": -0.1}, "validation_speakers is -0.1"),
        ({"speeds": "[0.9, 1.1]"}, "begin with 1, and give other speeds"),
        ({"augmentation": '{"speed": {"rate": [0.9, 1.1]}}'}, "changes the voice but not the speaker"),
        ({"margin_warmup": 2}, "margin_warmup is 2"),
        ({"model_config": '{"num_mel": 3}'}, "unknown field 'num_mel'"),
        ({"model_config": '{"depths": "deep"}'}, "depths"),
        ({"speakers": 3}, "Unknown option --speakers"),
        ({"label_smoothing_factor": 0.1}, "label_smoothing_factor is given, but speakers"),
        ({"sampler": "balanced"}, "sampler is given, but pretrain-speaker does not have it"),
        ({"head_epochs": 1}, "head_epochs is given"),
        ({"head_learning_rate": 1e-3}, "head_learning_rate is given, but pretrain-speaker"),
        ({"early_stopping_patience": 1}, "early_stopping_patience is given"),
        ({"model_config": '{"focal_gamma": 2}'}, "model_config.focal_gamma is given, but speakers"),
    ],
)
def test_bad_arguments_are_refused(tree, tmp_path, others, message):
    with pytest.raises(ValueError, match=message) as caught:
        pretrain_speaker(recipe(tree, tmp_path, **others))
    assert "\n" not in str(caught.value)


def test_a_tree_without_training_speakers_is_refused(tree, tmp_path):
    only = tmp_path / "only"
    for speaker in (2, 3):
        shutil.copytree(tree / f"id{speaker}", only / f"id{speaker}")
    with pytest.raises(ValueError, match="0 speakers whom no trial list names"):
        pretrain_speaker(recipe(only, tmp_path, validation_trials=tree / "validation.txt", test_trials=None))
