"""The description of the modalities agrees with configurations, models, processor and outputs."""

import inspect

import pytest
from emofusion import EmoFusionProcessor
from emofusion.configuration.configuration_emofusion import EmoFusionConfig
from emofusion.configuration.modalities import CONTEXT_INPUT, MODALITIES, SPAN_INPUTS
from emofusion.modeling.modeling_emofusion import EmoFusionModel
from emofusion.modeling.modeling_outputs import Encoded

every_modality = pytest.mark.parametrize("modality", MODALITIES.values(), ids=MODALITIES)


def parameters(function) -> set[str]:
    return set(inspect.signature(function).parameters)


@every_modality
def test_names_exist_where_they_are_used(modality):
    assert {modality.config_field, modality.freeze_field} <= set(EmoFusionConfig.__annotations__)
    assert modality.encoder in parameters(EmoFusionModel.__init__)
    assert modality.encoder_kind in parameters(EmoFusionModel.from_encoders_pretrained)
    assert {modality.main_input, modality.mask} <= parameters(EmoFusionModel.forward)
    assert modality.processor_part in EmoFusionProcessor.get_attributes()
    assert modality.name in parameters(EmoFusionProcessor.__call__)
    assert {modality.name, f"{modality.name}_mask"} <= set(Encoded.__annotations__)


def test_spans_belong_to_audio_and_context_to_text():
    assert MODALITIES["audio"].spans == tuple(SPAN_INPUTS.values())
    assert MODALITIES["text"].spans == (CONTEXT_INPUT,)
    assert set(SPAN_INPUTS.values()) <= set(Encoded.__annotations__)
