"""Configurations of the fusion variants, and the table of all variants."""

# `configuration_<variant>.py` holds `<Prefix>Config`; `modeling_<variant>.py` holds `<Prefix>Model` and
# `<Prefix>ForSequenceClassification`; `model_type` is `emofusion_<variant>`. A new variant needs one line here: exports,
# Auto classes, bundles and the test matrix read this table.
#: Variant -> prefix of the names of its classes.
VARIANTS: dict[str, str] = {
    "unimodal": "Unimodal",
    "cross_attention": "CrossAttentionFusion",
    "multi_level": "MultiLevelFusion",
    "speaker_resnet": "SpeakerResNet",
    "late_fusion": "LateFusion",
    "wavfusion": "WavFusion",
}
