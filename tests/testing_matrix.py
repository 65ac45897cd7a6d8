"""Parametrisations and helpers of the matrix of checks."""

import pytest
import torch
from testing_common import CASES, INPUTS, make_batch

# Checks of encoders, which do not apply to late fusions.
every_encoding_case = pytest.mark.parametrize(
    "case", [case for case in CASES if not case.has_members], ids=lambda case: case.name
)
every_encoding_fusion = pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.modalities) > 1 and not case.has_members], ids=lambda case: case.name
)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_fusion = pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.modalities) > 1], ids=lambda case: case.name
)


def log_probabilities(model, batch) -> torch.Tensor:
    with torch.no_grad():
        return model(**batch).logits.log_softmax(dim=-1)


def sparse_batch(case) -> dict:
    """Return a batch in which each modality of the case is missing in some row."""
    text = (4, 0, 3, 6) if "text" in case.modalities else (4, 9, 3, 6)
    video = (3, 1, 2, 0) if "video" in case.modalities else (3, 1, 2, 5)
    return make_batch((16000, 9000, 0, 12000), text, video)


def only(batch, modalities) -> dict:
    """Return the inputs of some modalities."""
    return {name: batch[name] for modality in modalities for name in INPUTS[modality]}
