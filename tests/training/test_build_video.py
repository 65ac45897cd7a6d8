"""A model with video and its processor."""

import torch
from emofusion.training.arguments import DataArguments, ModelArguments
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel, ViTImageProcessor

LABELS = ["low", "high"]
VISION = {"model_type": "convnext", "hidden_sizes": [4, 8], "depths": [1, 1], "num_stages": 2, "image_size": 16}


def build(data_args=None, **fields):
    config = {"modality": "video", "hidden_size": 8, **fields.pop("model_config", {})}
    args = ModelArguments(variant="unimodal", model_config=config, **fields)
    model = build_model(args, LABELS)
    return model, build_processor(args, data_args or DataArguments(), model, [])


def test_a_new_encoder_gets_frames_of_its_size():
    model, processor = build(
        DataArguments(frames_per_second=5.0, max_seconds=1.0), model_config={"vision_config": VISION}
    )
    assert (processor.feature_extractor, processor.tokenizer, processor.frames_per_second) == (None, None, 5.0)
    batch = processor(video=torch.zeros(9, 20, 30, 3, dtype=torch.uint8))
    assert batch["pixel_values_videos"].shape == (1, 5, 3, 16, 16)
    assert model(**batch).logits.isfinite().all()
    assert build(model_config={"vision_config": VISION})[1].frames_per_second == 2.0


def test_a_pretrained_encoder_brings_its_weights_and_image_processor(tmp_path):
    AutoModel.from_config(AutoConfig.for_model(**VISION)).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 12, "width": 12}, image_mean=[0.1] * 3).save_pretrained(tmp_path)
    model, processor = build(vision_model_name_or_path=str(tmp_path))
    assert_close(model.model.vision_encoder.state_dict(), AutoModel.from_pretrained(tmp_path).state_dict())
    assert list(processor.image_processor.image_mean) == [0.1] * 3
    assert processor(video=torch.zeros(1, 20, 30, 3, dtype=torch.uint8))["pixel_values_videos"].shape[-1] == 12
