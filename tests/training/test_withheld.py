import pytest
import torch
from emofusion import load_corpus
from emofusion.corpora.demo.spoken import BLOCK, LABELS
from emofusion.training.arguments import DataArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from emofusion.training.run import score_without
from testing_training import AUDIO, FUSION


@pytest.fixture(scope="module")
def rows(corpus_root):
    return load_corpus("spoken", corpus_root, utterances=BLOCK)["test"]


def save(folder, variant, model_config):
    """Save an untrained model with its processor."""
    torch.manual_seed(0)
    model_args = ModelArguments(variant=variant, model_config=model_config)
    model = build_model(model_args, list(LABELS)).eval()
    processor = build_processor(model_args, DataArguments(max_seconds=0.3), model, ["so it is"])
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_the_scores_are_those_of_rows_without_the_modality(rows, modality, tmp_path):
    model, processor = save(tmp_path, "cross_attention", FUSION)
    bare = [{**row, modality: None} for row in rows]
    with torch.no_grad():
        predicted = model(**EmotionCollator(processor, LABELS)(bare)).logits.argmax(dim=-1)
    correct = (predicted == torch.tensor(rows["label"])).double().mean().item()
    assert score_without(modality, tmp_path, rows, batch_size=3).wa == pytest.approx(correct)


def test_the_only_modality_of_a_model_cannot_be_withheld(rows, tmp_path):
    save(tmp_path, "unimodal", {"modality": "audio", "audio_config": AUDIO, "hidden_size": 8})
    for modality in ("audio", "text"):
        with pytest.raises(ValueError, match=f"^{modality} cannot be withheld from .*, which takes audio.$"):
            score_without(modality, tmp_path, rows)
