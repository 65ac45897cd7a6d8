"""Configurations of models that learn dimensions: defaults, and errors of one sentence."""

import math
import re

import pytest
from emofusion import LateFusionConfig, SpeakerResNetConfig, UnimodalConfig, WavFusionConfig
from testing_common import CASES

NAMES = ["arousal", "valence"]
VALUES = {"problem_type": "regression", "dimensions": NAMES}
CLASSES = {"id2label": {0: "sad", 1: "happy"}}


def test_names_come_from_dimensions_or_from_labels():
    config = SpeakerResNetConfig(**VALUES)
    assert config.id2label == {0: "arousal", 1: "valence"}
    assert config.label2id == {"arousal": 0, "valence": 1}
    assert (config.dimension_scale, config.dimension_loss) == ([1.0, 5.0], "ccc")
    assert config.loss_parts == ("dimensions",)
    named = SpeakerResNetConfig(
        problem_type="regression", id2label={1: "valence", 0: "arousal"}, dimension_scale=(0, 1)
    )
    assert (named.dimensions, named.dimension_scale) == (NAMES, [0.0, 1.0])


def test_classes_and_dimensions_are_learned_together():
    config = SpeakerResNetConfig(**CLASSES, dimensions=("dominance",))
    assert (config.num_labels, config.dimensions) == (2, ["dominance"])
    assert config.loss_parts == ("cross_entropy", "dimensions")
    assert SpeakerResNetConfig().loss_parts == ("cross_entropy",)


def test_discrepancy_learning_needs_classes():
    assert WavFusionConfig().loss_parts == ("cross_entropy", "discrepancy")
    assert WavFusionConfig(**VALUES).loss_parts == ("dimensions",)
    assert WavFusionConfig(auxiliary_modalities=[]).loss_parts == ("cross_entropy",)


def test_checkpoint_from_before_dimensions_loads_unchanged():
    for case in CASES:
        saved = case.config(class_weights=[1.0, 2.0, 0.5]).to_dict()
        old = {
            name: value
            for name, value in saved.items()
            if name not in ("dimensions", "dimension_scale", "dimension_loss", "loss_weights")
        }
        assert type(case.config()).from_dict(old).to_dict() == saved


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            VALUES | {"dimensions": ["arousal", "anger"]},
            "id2label is ['arousal', 'anger']; it must be a list of some of",
        ),
        (
            CLASSES | {"dimensions": ["anger"]},
            "dimensions is ['anger']; it must be a list of some of valence, arousal,",
        ),
        (CLASSES | {"dimensions": []}, "dimensions is []; it must be a list of some of valence, arousal, dominance."),
        (
            CLASSES | {"dimensions": ["valence"] * 2},
            "it must be a list of some of valence, arousal, dominance, each once.",
        ),
        (VALUES | {"dimensions": ["valence"] * 2}, "gives the name 'valence' to several"),
        ({"problem_type": "regression", **CLASSES}, "the list of names in id2label is ['sad', 'happy']; it must be"),
        ({"problem_type": "regression"}, "the list of names in id2label is ['LABEL_0', 'LABEL_1']; it must be"),
        (VALUES | {"num_labels": 3}, "the list of names in id2label is ['LABEL_0', 'LABEL_1', 'LABEL_2']; it must be"),
        (
            VALUES | {"id2label": {0: "valence", 1: "arousal"}},
            "id2label has the names valence, arousal, but dimensions",
        ),
        (
            VALUES | {"dimension_scale": [5, 1]},
            "dimension_scale is [5, 1]; it must be the lowest and the highest value",
        ),
        (VALUES | {"dimension_scale": [1]}, "dimension_scale is [1]; it must be the lowest"),
        (VALUES | {"dimension_scale": [1, 1]}, "two finite increasing numbers such as [1, 5]."),
        (VALUES | {"dimension_scale": [1, math.inf]}, "dimension_scale is [1, inf]; it must be"),
        (VALUES | {"dimension_scale": [math.nan, 5]}, "dimension_scale is [nan, 5]; it must be"),
        (VALUES | {"dimension_scale": [-1e308, 1e308]}, "two finite increasing numbers"),
        (VALUES | {"dimension_scale": [1, 10**400]}, "two finite increasing numbers"),
        (
            CLASSES | {"dimension_scale": [1, 5]},
            "dimension_scale is given, but no dimensions are learned; name them in",
        ),
        (CLASSES | {"dimension_loss": "mse"}, "dimension_loss is given, but no dimensions are learned; name them in"),
        (
            VALUES | {"class_weights": [1.0, 2.0]},
            "class_weights is given, but a model of dimensions alone has no classes",
        ),
        (
            VALUES | {"label_smoothing": 0.1},
            "label_smoothing is given, but a model of dimensions alone has no classes",
        ),
        (VALUES | {"focal_gamma": 2.0}, "focal_gamma is given, but a model of dimensions alone has no classes; leave"),
        (VALUES | {"loss_weights": {"cross_entropy": 1}}, "loss_weights names 'cross_entropy', which is no part of"),
        (CLASSES | {"loss_weights": {"dimensions": 1}}, "this model's loss; its parts are cross_entropy."),
        (VALUES | {"loss_weights": {"dimensions": -1}}, "loss_weights.dimensions is -1; it must be a finite number"),
        (VALUES | {"loss_weights": {"dimensions": math.nan}}, "loss_weights.dimensions is nan; it must be a finite"),
        (
            VALUES | {"loss_weights": {"dimensions": 0}},
            "loss_weights is {'dimensions': 0}, so nothing is learned; give",
        ),
    ],
)
def test_invalid_field_is_one_sentence(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        UnimodalConfig(**fields)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert len(str(caught.value)) < 300


def test_fields_given_while_loading_are_checked_together(tmp_path):
    UnimodalConfig(**CLASSES).save_pretrained(tmp_path)
    config = UnimodalConfig.from_pretrained(tmp_path, **VALUES, id2label={0: "arousal", 1: "valence"})
    assert config.dimension_scale == [1.0, 5.0]
    with pytest.raises(ValueError, match=r"^config\.json of .*id2label is \['sad', 'happy'\]"):
        UnimodalConfig.from_pretrained(tmp_path, **VALUES)


def member(**fields) -> UnimodalConfig:
    return UnimodalConfig(modality="text", **{**VALUES, **fields})


def test_late_fusion_takes_dimensions_from_its_members():
    config = LateFusionConfig(
        member_configs=[member(dimension_scale=[0, 1]), member(dimensions=NAMES[::-1], dimension_scale=[0, 1])]
    )
    assert config.is_regression
    assert (config.dimensions, config.dimension_scale, config.embedding_size) == (NAMES, [0.0, 1.0], 4)
    assert type(config).from_dict(config.to_dict()).to_dict() == config.to_dict()
    assert LateFusionConfig(problem_type="regression", dimensions=NAMES).member_configs[1].dimensions == NAMES


def test_late_fusion_of_members_with_both_combines_classes_or_dimensions():
    both = UnimodalConfig(modality="text", **CLASSES, dimensions=NAMES)
    classes = LateFusionConfig(member_configs=[both, both])
    assert (classes.is_regression, classes.dimensions, classes.embedding_size) == (False, None, 4)
    values = LateFusionConfig(member_configs=[both, member()], combination="linear")
    assert (values.is_regression, values.dimensions) == (True, NAMES)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"member_configs": [member(), member(dimensions=["valence"])]},
            "has the dimensions valence, and the fusion arousal",
        ),
        (
            {"member_configs": [member(), member(dimension_scale=[1, 7])]},
            "the dimension_scale 1.0, 7.0, and the fusion 1.0",
        ),
        (
            {"member_configs": [member()], "dimension_scale": [1, 7]},
            "the dimension_scale 1.0, 5.0, and the fusion 1.0, 7.0",
        ),
        (
            {"member_configs": [member(), UnimodalConfig(modality="text")]},
            "Member 1 (emofusion_unimodal) has classes only",
        ),
        ({"member_configs": [member()], "problem_type": "single_label_classification"}, "Member 0 has problem_type"),
        (
            {"member_configs": [member()], "combination": "logistic"},
            "which does not combine dimensions; choose one of mean",
        ),
        ({"combination": "linear"}, "which does not combine classes; choose one of mean, weighted, mean_probability"),
        (
            {"dimensions": NAMES},
            "dimensions is given, but a late fusion combines either classes or dimensions; leave it",
        ),
    ],
)
def test_invalid_late_fusion_is_one_sentence(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        LateFusionConfig(**fields)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
