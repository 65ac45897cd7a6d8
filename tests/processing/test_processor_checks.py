"""A processor that does not fit its model is refused."""

import pytest
from emofusion.configuration.configuration_checks import max_tokens
from emofusion.processing.processing_emofusion import EmoFusionProcessor
from emofusion.processing.processing_late_fusion import LateFusionProcessor
from emofusion.processing.processor_checks import check_processor_fits
from testing_common import CASES, IMAGE, VOCABULARY
from testing_pipeline import make_processor
from transformers import ViTImageProcessorPil, Wav2Vec2FeatureExtractor, pipeline

WITH_BERT = {case.name: case.config() for case in CASES if case.name != "text-roberta"}


def longer(processor):
    """Give the tokenizer a token that the miniature models do not know."""
    processor.tokenizer.add_tokens([f"word{number}" for number in range(VOCABULARY)])
    return processor


@pytest.mark.parametrize("name", WITH_BERT)
def test_fitting_processor_is_accepted(name):
    config = WITH_BERT[name]
    check_processor_fits(config, make_processor(("audio", "text", "video")))
    check_processor_fits(config, make_processor(config.modalities))


@pytest.mark.parametrize(
    ("name", "processor", "message"),
    [
        ("cross_attention", make_processor(("audio",)), "has no tokenizer, and the model uses text"),
        ("wavfusion", make_processor(("audio", "text")), "has no image_processor, and the model uses video"),
        ("late_fusion", make_processor(("text",)), "has no feature_extractor, and member 0 of the late fusion uses"),
        ("text", longer(make_processor(("text",))), f"token ids up to .*, and the model knows {VOCABULARY} tokens"),
        ("late_fusion", longer(make_processor(("audio", "text"))), "member 1 of the late fusion knows"),
        ("speech", EmoFusionProcessor(Wav2Vec2FeatureExtractor(sampling_rate=8000)), "8000 Hz.* takes 16000 Hz"),
        (
            "video",
            EmoFusionProcessor(image_processor=ViTImageProcessorPil(size={"height": 8, "width": 8})),
            f"images of 8 x 8 pixels, and the model takes {IMAGE} x {IMAGE}",
        ),
    ],
)
def test_wrong_processor_is_refused(name, processor, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_processor_fits(WITH_BERT[name], processor)
    assert str(caught.value).endswith("the processor that was saved with the model.")


def test_other_padding_token_is_refused():
    config = next(case for case in CASES if case.name == "text-roberta").config()
    with pytest.raises(ValueError, match="pads with the token id 0, and the model with 1"):
        check_processor_fits(config, make_processor(("text",)))


def test_own_tokenizer_of_a_member_is_checked():
    config = next(case for case in CASES if case.name == "late_fusion").config()
    processors = [make_processor((name,)) for name in ("audio", "text", "audio", "text")]
    check_processor_fits(config, LateFusionProcessor.from_members(processors))
    longer(processors[3])
    with pytest.raises(ValueError, match="member 3 of the late fusion knows"):
        check_processor_fits(config, LateFusionProcessor.from_members(processors))


def test_pipeline_checks_its_processor():
    model = next(case for case in CASES if case.name == "cross_attention").model()
    with pytest.raises(ValueError, match="has no tokenizer, and the model uses text"):
        pipeline("emotion-recognition", model=model, processor=make_processor(("audio",)))


@pytest.mark.parametrize("name", [case.name for case in CASES if "text" in case.config().modalities])
def test_texts_end_at_the_positions_of_the_encoder(name):
    case = next(case for case in CASES if case.name == name)
    config, processor = case.config(), make_processor(("audio", "text", "video"))
    encoders = [config, *(getattr(config, "member_configs", None) or [])]
    longest = min(max_tokens(one.text_config) for one in encoders if getattr(one, "text_config", None))
    for encoder in encoders:
        if getattr(encoder, "text_config", None):
            processor.tokenizer.pad_token = processor.tokenizer.convert_ids_to_tokens(encoder.text_config.pad_token_id)
    processor.tokenizer.model_max_length = 10**30
    check_processor_fits(config, processor)
    assert processor.tokenizer.model_max_length == longest
    assert len(processor.tokenizer("hello " * 5000, truncation=True).input_ids) == longest
