import json
import shutil

import pytest
import torch
import yaml
from emofusion.evaluation.results import RunResults
from emofusion.processing import EmoFusionProcessor
from emofusion.training import run
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor, train_tokenizer
from emofusion.training.recipe import Recipe, parse_recipe
from emofusion.training.run import train
from PIL import Image
from safetensors.torch import load_file
from testing_common import WHISPER
from testing_training import AUDIO, FUSION, TEXT, tiny_recipe
from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

LABELS = ["low", "high"]


def run_recipe(folder, corpus_root, **others):
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(tiny_recipe(corpus_root, folder, **others)))
    return train(parse_recipe([str(path)]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, corpus_root, corpus, unrendered_pictures):
    """A run: its folder, its results, and the ids of the rows in reading order."""
    folder, read = tmp_path_factory.mktemp("runs") / "first", []

    class RecordingCollator(EmotionCollator):
        def __call__(self, rows):
            read.extend(row["id"] for row in rows)
            return super().__call__(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "EmotionCollator", RecordingCollator)
        patch.setattr("matplotlib.figure.Figure.savefig", unrendered_pictures)
        results = run_recipe(folder, corpus_root, save_total_limit=2)
    return folder, results, read


def comparable(results):
    return {name: value for name, value in results.to_dict().items() if name != "seconds"}


def test_results_are_those_in_the_folder(finished):
    folder, results, _ = finished
    assert RunResults.read(folder) == results
    assert json.loads((folder / "results.json").read_text()) == results.to_dict()


def test_the_results_describe_model_corpus_and_scores(finished, corpus):
    _, results, _ = finished
    assert (results.format, results.system) == (1, "cross_attention")
    assert results.model_class == "CrossAttentionFusionForSequenceClassification"
    assert results.labels == corpus["train"].features["label"].names
    assert results.modalities == ["audio", "text"]
    assert results.corpus.speaker_independent is True
    assert results.corpus.demonstration is True
    assert set(results.metrics) == {"validation", "test"}
    for split, scores in results.metrics.items():
        assert {"wa", "ua", "wf1", "macro_f1", "recall", "confusion_matrix", "ece", "nll"} <= scores.to_dict().keys()
        counts = scores.confusion_matrix
        assert sum(map(sum, counts)) == len(corpus[split])
        assert scores.wa == pytest.approx(sum(counts[i][i] for i in range(4)) / len(corpus[split]))
    for split, rows in corpus.items():
        data = results.data[split]
        assert (data.utterances, data.speakers) == (len(rows), len(set(rows["speaker"])))
        assert sum(data.classes.values()) == len(rows)
    assert results.parameters.total >= results.parameters.trainable > 0
    assert results.training["learning_rate"] == 1e-2
    assert results.recipe["model_config"] == FUSION
    assert results.seconds > 0


def test_the_test_split_is_read_once_and_last(finished, corpus):
    folder, _, read = finished
    test = set(corpus["test"]["id"])
    assert read[-len(test) :] == corpus["test"]["id"][:]
    assert not test & set(read[: -len(test)])
    log = json.loads((folder / "training_log.json").read_text())
    assert not [name for entry in log for name in entry if "test" in name]


def test_the_kept_checkpoint_is_the_best_on_validation(finished):
    folder, results, _ = finished
    log = json.loads((folder / "training_log.json").read_text())
    best = max((entry for entry in log if "eval_ua" in entry), key=lambda entry: entry["eval_ua"])
    assert results.metrics["validation"].ua == best["eval_ua"]
    kept, chosen = (
        load_file(folder / "model.safetensors"),
        load_file(folder / f"checkpoint-{best['step']}" / "model.safetensors"),
    )
    assert kept.keys() == chosen.keys()
    assert all(kept[name].equal(chosen[name]) for name in kept)


def test_the_folder_is_a_hub_folder_with_pictures_and_a_card(finished):
    folder, results, _ = finished
    for picture in results.pictures:
        with Image.open(folder / picture) as image:
            assert image.format == "PNG"
            assert image.width > 300
    page = (folder / "README.md").read_text()
    assert f"{100 * results.metrics['test'].wa:.1f} %" in page
    assert all(picture in page for picture in results.pictures)
    names = {path.name for path in folder.iterdir()}
    assert {"modeling_cross_attention.py", "processing_emofusion.py", "tokenizer.json"} <= names
    assert not [name for name in names if name.startswith(".") or name.endswith((".bin", ".draft"))]


def test_the_same_seed_gives_identical_results(finished, tmp_path, corpus_root):
    folder, results, _ = finished
    again = run_recipe(tmp_path / "again", corpus_root, save_total_limit=2)
    assert comparable(again) == comparable(results)
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_run_resumes_from_its_last_checkpoint_to_the_same_results(finished, tmp_path, corpus_root):
    folder, results, _ = finished
    resumed = tmp_path / "resumed"
    shutil.copytree(folder / "checkpoint-2", resumed / "checkpoint-2")
    again = run_recipe(resumed, corpus_root, save_total_limit=2, resume_from_checkpoint="true")
    assert comparable(again)["metrics"] == comparable(results)["metrics"]
    state = json.loads((resumed / "checkpoint-4" / "trainer_state.json").read_text())
    assert state["global_step"] == 4


def test_the_results_describe_the_selection(tmp_path, corpus_root):
    wa = run_recipe(tmp_path / "wa", corpus_root, metric_for_best_model="wa", max_steps=1)
    assert "validation WA" in wa.corpus.selection
    last = run_recipe(
        tmp_path / "last",
        corpus_root,
        load_best_model_at_end=False,
        eval_strategy="no",
        save_strategy="no",
        max_steps=1,
    )
    assert "validation" not in last.corpus.selection
    assert "last" in last.corpus.selection


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hiden_size": 8}, "'hiden_size'"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"hidden_size": 7}, "hidden_size is 7"),
        ({"audio_config": {"model_type": "wave2vec"}}, "'wave2vec'"),
        ({"text_config": {**TEXT, "hiden_size": 8}}, "'hiden_size'"),
    ],
)
def test_a_bad_model_config_is_refused(fields, message):
    with pytest.raises(ValueError, match=message) as caught:
        build_model(ModelArguments(model_config={**FUSION, **fields}), LABELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["model_name_or_path", "text_model_name_or_path"])
def test_a_model_that_is_nowhere_is_named_with_its_argument(argument):
    config = {name: FUSION[name] for name in ("audio_config", "hidden_size", "num_attention_heads")}
    args = ModelArguments(model_config=config, **{argument: "./nowhere"})
    with pytest.raises(ValueError, match=rf"^{argument} names \./nowhere, which is no model here or on the Hub: "):
        build_model(args, LABELS)


def test_an_encoder_is_named_or_configured_not_both():
    args = ModelArguments(audio_model_name_or_path="somewhere", model_config=FUSION)
    with pytest.raises(ValueError, match=r"audio_model_name_or_path \(somewhere\) and audio_config"):
        build_model(args, LABELS)


@pytest.fixture
def encoders(tmp_path, corpus):
    """Folders of two small "pretrained" encoders with feature extractor and tokenizer."""
    for name, config in (("audio", AUDIO), ("text", TEXT)):
        AutoModel.from_config(AutoConfig.for_model(**config)).save_pretrained(tmp_path / name)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path / "audio")
    train_tokenizer(["quite different words"], TEXT["vocab_size"], 11).save_pretrained(tmp_path / "text")
    return {name: str(tmp_path / name) for name in ("audio", "text")}


def test_pretrained_encoders_bring_weights_tokenizer_and_feature_extractor(encoders, corpus):
    args = ModelArguments(
        audio_model_name_or_path=encoders["audio"],
        text_model_name_or_path=encoders["text"],
        model_config={"hidden_size": 8, "num_attention_heads": 2},
    )
    model = build_model(args, LABELS)
    for modality, folder in encoders.items():
        saved = AutoModel.from_pretrained(folder).state_dict()
        mine = getattr(model.model, f"{modality}_encoder").state_dict()
        shared = mine.keys() & saved.keys()
        assert len(shared) > 10
        assert all(mine[name].equal(saved[name]) for name in shared)
    processor = build_processor(args, DataArguments(max_seconds=2.0), model, corpus["train"]["text"])
    assert "quite" in processor.tokenizer.get_vocab()
    assert processor.tokenizer.model_max_length == 11
    assert processor.feature_extractor.do_normalize is False
    assert processor.max_seconds == 2.0


@pytest.mark.parametrize("pretrained", [False, True])
def test_whisper_gets_raw_waveforms(pretrained, tmp_path, corpus):
    fields = {"audio_config": WHISPER}
    if pretrained:
        AutoModel.from_config(AutoConfig.for_model(**WHISPER)).save_pretrained(tmp_path)
        WhisperFeatureExtractor(feature_size=8).save_pretrained(tmp_path)
        fields = {}
    args = ModelArguments(
        variant="unimodal",
        audio_model_name_or_path=str(tmp_path) if pretrained else None,
        model_config={"modality": "audio", "hidden_size": 8, **fields},
    )
    model = build_model(args, LABELS)
    processor = build_processor(args, DataArguments(), model, corpus["train"]["text"])
    waveform = 0.1 * torch.randn(4000) + 0.1
    batch = processor(audio=[waveform, waveform[:900]], sampling_rate=16000)
    assert torch.equal(batch["input_values"][0], waveform)
    assert batch["audio_attention_mask"].sum(dim=1).tolist() == [4000, 900]
    assert model(**batch).logits.isfinite().all()


@pytest.mark.parametrize("model_type", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_a_trained_tokenizer_and_a_new_encoder_agree_on_padding_and_length(model_type, corpus):
    config = {"modality": "text", "text_config": {**TEXT, "model_type": model_type}, "hidden_size": 8}
    args = ModelArguments(variant="unimodal", model_config=config)
    model = build_model(args, LABELS)
    processor = build_processor(args, DataArguments(), model, corpus["train"]["text"])
    assert processor.tokenizer.pad_token_id == model.config.text_config.pad_token_id
    batch = processor(text=["word " * 100, "a word"])
    assert batch["input_ids"].shape[1] == (31 if model_type == "roberta" else 32)
    assert model(**batch).logits.isfinite().all()


def test_a_pretrained_tokenizer_truncates_to_the_length_of_its_encoder(encoders, corpus):
    train_tokenizer(["quite different words"], TEXT["vocab_size"], 10**30).save_pretrained(encoders["text"])
    args = ModelArguments(
        variant="unimodal",
        text_model_name_or_path=encoders["text"],
        model_config={"modality": "text", "hidden_size": 8},
    )
    processor = build_processor(args, DataArguments(), build_model(args, LABELS), corpus["train"]["text"])
    assert processor.tokenizer.model_max_length == TEXT["max_position_embeddings"]


@pytest.mark.parametrize(("modality", "other"), [("audio", "tokenizer"), ("text", "feature_extractor")])
def test_a_one_modality_model_has_a_processor_for_one_modality(modality, other, corpus):
    config = {"modality": modality, f"{modality}_config": FUSION[f"{modality}_config"], "hidden_size": 8}
    args = ModelArguments(variant="unimodal", model_config=config)
    processor = build_processor(args, DataArguments(), build_model(args, LABELS), corpus["train"]["text"])
    assert getattr(processor, other) is None


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_a_one_modality_model_trains_and_is_saved_with_its_processor(modality, tmp_path, corpus_root):
    config = {"modality": modality, f"{modality}_config": FUSION[f"{modality}_config"], "hidden_size": 8}
    results = run_recipe(tmp_path / "one", corpus_root, variant="unimodal", model_config=config, max_steps=1)
    assert results.modalities == [modality]
    for folder in (tmp_path / "one", tmp_path / "one" / "checkpoint-1"):
        processor = EmoFusionProcessor.from_pretrained(folder)
        assert (processor.tokenizer is None) == (modality == "audio")
        assert (processor.feature_extractor is None) == (modality == "text")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"corpus": "iemocop"}, "'iemocop'"),
        ({"corpus_options": {"utterance": 104}}, "'utterance'"),
    ],
)
def test_a_bad_corpus_is_refused(data, message, tmp_path):
    args = EmotionTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    with pytest.raises(ValueError, match=message):
        train(Recipe(model=ModelArguments(model_config=FUSION), data=DataArguments(**data), training=args))
