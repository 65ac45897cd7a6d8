import pytest
import torch
import yaml
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task import load_task
from emofusion.processing import EmoFusionProcessor
from emofusion.training import run
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import encoders_frozen, train, train_head
from emofusion.training.run_task import draw_rows
from safetensors.torch import load_file
from testing_common import CASES as MODELS
from testing_training import AUDIO, FUSION, tiny_recipe

SPEAKER = {"num_mel_bins": 16, "hidden_sizes": [4, 8], "depths": [1, 1], "embedding_size": 8}
LABELS = ["angry", "happy", "sad", "calm"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus_root):
    """The folder of a fusion model after one step."""
    folder = tmp_path_factory.mktemp("transfer") / "first"
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(tiny_recipe(corpus_root, folder, max_steps=1)))
    train(parse_recipe([str(path)]))
    return folder


def weights(model, inside=""):
    return {name: value.clone() for name, value in model.state_dict().items() if inside in name}


def test_with_the_same_labels_all_weights_are_kept(trained, corpus):
    args = ModelArguments(model_name_or_path=str(trained), model_config={"classifier_dropout": 0.5})
    model = build_model(args, LABELS)
    saved = load_file(trained / "model.safetensors")
    assert saved.keys() == model.state_dict().keys()
    assert all(saved[name].equal(value) for name, value in model.state_dict().items())
    assert model.config.classifier_dropout == 0.5
    assert model.config.hidden_size == FUSION["hidden_size"]
    processor = build_processor(args, DataArguments(max_seconds=1.5), model, ["other words"])
    assert processor.tokenizer.get_vocab() == EmoFusionProcessor.from_pretrained(trained).tokenizer.get_vocab()
    assert processor.max_seconds == 1.5


@pytest.mark.parametrize("labels", [["happy", "angry", "calm", "sad"], ["low", "high"], ["a", "b", "c", "d", "e"]])
def test_with_other_labels_only_the_head_is_new(trained, labels):
    torch.manual_seed(1)
    model = build_model(ModelArguments(model_name_or_path=str(trained)), labels)
    saved = load_file(trained / "model.safetensors")
    for name, value in model.state_dict().items():
        if name != "classifier.bias" or len(labels) != 4:
            same = saved[name].shape == value.shape and saved[name].equal(value)
            assert same == (not name.startswith("classifier")), name
    assert list(model.config.id2label.values()) == labels
    assert model.classifier.out_features == len(labels)


@pytest.mark.parametrize("asked", [None, "bfloat16"])
@pytest.mark.parametrize("saved", [torch.float16, torch.bfloat16])
def test_weights_saved_in_half_precision_are_trained_in_float32_unless_asked(trained, tmp_path, saved, asked):
    whole = build_model(ModelArguments(model_name_or_path=str(trained)), LABELS)
    whole.to(saved).save_pretrained(tmp_path / "whole")
    whole.model.text_encoder.save_pretrained(tmp_path / "text")
    config = {} if asked is None else {"dtype": asked}
    around = FUSION | config
    del around["text_config"]
    for model in (
        build_model(ModelArguments(model_name_or_path=str(tmp_path / "whole"), model_config=config), LABELS),
        build_model(ModelArguments(text_model_name_or_path=str(tmp_path / "text"), model_config=around), LABELS),
    ):
        wanted = torch.float32 if asked is None else torch.bfloat16
        assert {weight.dtype for weight in model.parameters()} == {wanted}
        assert model.config.dtype == model.config.text_config.dtype == wanted


def test_single_fields_of_a_sub_configuration_can_be_changed(trained):
    config = {"audio_config": {"hidden_dropout": 0.25}, "freeze_audio_layers": 1}
    model = build_model(ModelArguments(model_name_or_path=str(trained), model_config=config), LABELS)
    assert model.config.audio_config.hidden_dropout == 0.25
    assert model.config.audio_config.hidden_size == AUDIO["hidden_size"]
    assert not any(p.requires_grad for p in model.model.audio_encoder.encoder.layers[0].parameters())


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"variant": "unimodal"}, r"is a emofusion_cross_attention.*variant is emofusion_unimodal"),
        ({"model_config": {"hidden_size": 16}}, "lacks .* weights.*another shape.*leave sizes out"),
        ({"model_config": {"hiden_size": 16}}, "unknown field 'hiden_size'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(trained, others, message):
    with pytest.raises(ValueError, match=message) as caught:
        build_model(ModelArguments(**{"model_name_or_path": str(trained), **others}), LABELS)
    assert "\n" not in str(caught.value)


def test_what_was_learned_may_change_and_the_loss_is_that_of_the_run(tmp_path):
    case = next(case for case in MODELS if case.name == "wavfusion-text")
    tasks = {
        "classes": load_task("classification", LABELS),
        "values": load_task("dimensions", ["arousal", "valence"], scale=(1, 7)),
        "both": load_task("multi_task", LABELS, dimensions=["valence", "dominance"], scale=(1, 5)),
    }
    fields = {"classes": {"focal_gamma": 2.0}, "values": {"dimension_loss": "mse"}, "both": {}}
    for name, task in tasks.items():
        labels = {"num_labels": len(task.labels)}
        case.model(**labels, **task.config_fields(), **fields[name]).save_pretrained(tmp_path / name)
    for source in tasks:
        saved = load_file(tmp_path / source / "model.safetensors")
        for wanted, task in tasks.items():
            args = ModelArguments(variant="wavfusion", model_name_or_path=str(tmp_path / source))
            model = build_model(args, task)
            assert model.config.dimensions == (list(task.dimension_names) or None)
            assert model.config.dimension_scale == task.dimension_scale
            assert (model.config.focal_gamma, model.config.dimension_loss) == (0.0, "ccc")
            heads = ("classifier.", "dimension_head.", "model.homogeneous_encoder.")
            for key, value in model.state_dict().items():
                kept = not key.startswith(heads) or (source == wanted and "bias" not in key) or "valence" in key
                assert not kept or key not in saved or saved[key].equal(value), (source, wanted, key)
                assert key in saved or key.startswith(heads)


def test_a_model_or_its_encoders_are_named_not_both():
    with pytest.raises(ValueError, match="both model_name_or_path and text_model_name_or_path"):
        ModelArguments(model_name_or_path="a", text_model_name_or_path="b")


CASES = {
    "cross_attention": (ModelArguments(model_config={**FUSION, "freeze_text_layers": 1}), "_encoder."),
    "speaker_resnet": (ModelArguments(variant="speaker_resnet", model_config=SPEAKER), "audio_encoder."),
}


@pytest.mark.parametrize("variant", CASES)
def test_the_first_phase_trains_the_head_alone(variant, corpus, tmp_path):
    model_args, inside = CASES[variant]
    torch.manual_seed(0)
    model = build_model(model_args, LABELS)
    processor = build_processor(model_args, DataArguments(max_seconds=0.3), model, corpus["train"]["text"])
    before, config = weights(model), model.config.to_dict()
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    args = EmotionTrainingArguments(
        str(tmp_path),
        head_epochs=1,
        learning_rate=1e-2,
        learning_rates={"audio_encoder": 1e-5, "classifier": 1e-2},
        per_device_train_batch_size=8,
        disable_tqdm=True,
        use_cpu=True,
    )
    train_head(model, args, EmotionCollator(processor, LABELS), corpus["train"].select(range(16)))
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert "classifier.weight" in changed
    assert not [name for name in changed if inside in name]
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == trainable
    assert model.config.to_dict() | {"use_cache": None} == config | {"use_cache": None}  # which Trainer sets
    assert args.num_train_epochs == 3.0
    assert not list(tmp_path.iterdir())


def test_freezing_ends_after_an_error_too():
    model = build_model(CASES["cross_attention"][0], LABELS)

    def trainable():
        return [name for name, parameter in model.named_parameters() if parameter.requires_grad]

    def stumble():
        with encoders_frozen(model):
            inside.extend(trainable())
            raise RuntimeError

    before, inside = trainable(), []
    with pytest.raises(RuntimeError):
        stumble()
    assert "classifier.weight" in inside
    assert not [name for name in inside if "_encoder." in name]
    assert trainable() == before


def test_a_run_has_both_phases_and_a_resumed_one_the_second(tmp_path, corpus_root, monkeypatch):
    phases = []

    def listen(model, *others):
        phases.append(model.model.audio_encoder.training)
        return train_head(model, *others)

    monkeypatch.setattr(run, "train_head", listen)
    recipe = tiny_recipe(corpus_root, tmp_path / "run", head_epochs=1, num_train_epochs=1, max_train_samples=24)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    results = train(parse_recipe([str(path)]))
    assert len(phases) == 1
    assert results.training["head_epochs"] == 1
    assert results.data["train"].utterances == 24
    assert set(results.data["train"].classes.values()) == {6}
    assert RunResults.read(tmp_path / "run") == results
    train(parse_recipe([str(path), "--resume_from_checkpoint", "true", "--num_train_epochs", "2"]))
    assert len(phases) == 1


def test_the_seed_selects_the_utterances(corpus):
    task = load_task("classification", corpus["train"].features["label"].names)
    drawn = [draw_rows(corpus["train"], 12, seed, task)["id"] for seed in (0, 0, 1)]
    assert drawn[0][:] == drawn[1][:]
    assert set(drawn[0]) != set(drawn[2])
    assert draw_rows(corpus["train"], len(corpus["train"]), 0, task) is corpus["train"]
    with pytest.raises(ValueError, match="max_train_samples is 73; the training split has 72"):
        draw_rows(corpus["train"], 73, 0, task)


def test_head_epochs_are_not_negative(tmp_path):
    with pytest.raises(ValueError, match="head_epochs is -1"):
        EmotionTrainingArguments(str(tmp_path), head_epochs=-1, use_cpu=True)
