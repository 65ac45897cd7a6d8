"""Settings of LoRA adapters."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from ...configuration.modalities import MODALITIES
from ...configuration.value_checks import is_number

LARGEST_RANK = 2**14  # wider than the layers of any encoder
QUANTIZATIONS = ("8bit", "4bit")
ENCODER_KINDS = tuple(modality.encoder_kind for modality in MODALITIES.values())


@dataclass(frozen=True)
class Lora:
    """Settings of the adapters. Layers are given by the ends of their names.

    Args:
        rank: Rank of the matrices.
        alpha: Their product is scaled by alpha / rank.
        dropout: Dropout on their input.
        audio: Layers of the speech encoder; by default those of `lora.TARGETS`, none if empty.
        text: Layers of the text encoder, likewise.
        vision: Layers of the vision encoder; by default none.
        use_rslora: Whether to scale by alpha / sqrt(rank) instead (Kalajdzievski 2023).
        use_dora: Whether to learn the magnitude of the weights separately (Liu et al. 2024).
    """

    rank: int = 8
    alpha: int | float = 16
    dropout: int | float = 0.0
    audio: list[str] | None = None
    text: list[str] | None = None
    vision: list[str] | None = None
    use_rslora: bool = False
    use_dora: bool = False

    def __post_init__(self):
        if type(self.rank) is not int or not 1 <= self.rank <= LARGEST_RANK:
            raise ValueError(f"lora.rank is {self.rank!r}; it must be a whole number from 1 to {LARGEST_RANK}.")
        if not is_number(self.alpha) or self.alpha <= 0:
            raise ValueError(f"lora.alpha is {self.alpha!r}; it must be a positive number.")
        if not is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise ValueError(f"lora.dropout is {self.dropout!r}; it must be a number of at least 0 and below 1.")
        for kind in ENCODER_KINDS:
            layers = getattr(self, kind)
            if layers is not None and not (isinstance(layers, list) and all(isinstance(end, str) for end in layers)):
                raise ValueError(f"lora.{kind} is {layers!r}; give a list of layer names, such as [q_proj, v_proj].")
        for name in ("use_rslora", "use_dora"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"lora.{name} is {getattr(self, name)!r}; give true or false.")


def check_lora(lora: Mapping, quantization: str | None) -> None:
    """Check the settings of adapters.

    Args:
        lora: Fields of [`Lora`]; empty for no adapters.
        quantization: Quantisation of the base model, or None.

    Raises:
        ValueError: If a field is unknown or bad, or a base is quantised without adapters.
    """
    known = [item.name for item in fields(Lora)]
    for name in lora:
        if name not in known:
            raise ValueError(f"lora has an unknown field {name!r}; choose from {', '.join(known)}.")
    Lora(**lora)
    if quantization is not None and quantization not in QUANTIZATIONS:
        raise ValueError(f"quantization is {quantization!r}; choose one of {', '.join(QUANTIZATIONS)}.")
    if quantization is not None and not lora:
        raise ValueError(
            "quantization is given without lora: quantised weights cannot be trained, only adapters on them."
        )
