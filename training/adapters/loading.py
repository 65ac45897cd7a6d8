"""Load adapters with the base model that they name."""

from pathlib import Path
from typing import TYPE_CHECKING

from transformers import AutoModelForAudioClassification
from transformers.utils import ADAPTER_CONFIG_NAME, ADAPTER_SAFE_WEIGHTS_NAME

from ...configuration.folder_checks import check_folder, read_object
from ...configuration.plain_text import reason_of
from ...modeling.modeling_checkpoint import one_sentence, read_header
from .base import BASE
from .lora_settings import LARGEST_RANK

if TYPE_CHECKING:
    from peft import PeftModel


def load_adapters(adapter: str | Path, base: str | None = None) -> "PeftModel":
    """Return the base model of adapters with the adapters in it.

    Args:
        adapter: The folder of a run with `lora`.
        base: Folder or Hub id of the base model, if it is not where the adapters say.

    Raises:
        FileNotFoundError: As `check_adapters`.
        ValueError: As `check_adapters`, or if the adapters do not fit the base.
    """
    from peft import PeftModel

    source = check_adapters(adapter, base)
    revision = None if base else read_object(Path(adapter, ADAPTER_CONFIG_NAME)).get("revision")
    model = AutoModelForAudioClassification.from_pretrained(source, revision=revision or "main", use_safetensors=True)
    try:
        with one_sentence(adapter):
            return PeftModel.from_pretrained(model, str(adapter))
    except ValueError as error:
        if not isinstance(error.__cause__, KeyError | RuntimeError):
            raise
        # Of peft and torch, for a weight that is missing or has another shape.
        reason = reason_of(error.__cause__, 200)
        raise ValueError(f"The adapters in {adapter} do not fit the base model {source} ({reason}).") from error


def check_adapters(adapter: str | Path, base: str | None = None) -> str:
    """Check the files of adapters before peft reads them, and return the folder or Hub id of their base.

    Args:
        adapter: The folder.
        base: Folder or Hub id of the base model, if it is not where the adapters say.

    Raises:
        FileNotFoundError: If the folder holds no adapters, or there is no base model.
        ValueError: If a file is damaged.
    """
    adapter = Path(adapter)
    check_folder(adapter)
    for name in (ADAPTER_CONFIG_NAME, ADAPTER_SAFE_WEIGHTS_NAME):
        if not (adapter / name).is_file():
            raise FileNotFoundError(f"{adapter} is not a folder of adapters: it has no {name}.")
    read_header(adapter / ADAPTER_SAFE_WEIGHTS_NAME)
    rank = read_object(adapter / ADAPTER_CONFIG_NAME).get("r", 1)
    if type(rank) is not int or not 0 < rank <= LARGEST_RANK:
        raise ValueError(f"{adapter / ADAPTER_CONFIG_NAME} has the rank r {rank!r}; restore it.")
    return base or find_base(adapter)


def find_base(adapter: Path) -> str:
    """Return the base that adapters name or, if they were moved together with it, the one inside their folder.

    Args:
        adapter: The folder of the adapters.

    Raises:
        FileNotFoundError: If the base is not there.
        ValueError: If they name none.
    """
    file = adapter / ADAPTER_CONFIG_NAME
    base = read_object(file).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ValueError(f"{file} has the base_model_name_or_path {base!r}; name the base model with --base.")
    if not Path(base).is_absolute() or Path(base).is_dir():
        return base
    if (adapter / BASE).is_dir():
        return str(adapter / BASE)
    raise FileNotFoundError(
        f"The adapters in {adapter} are on the base model {base}, which is not there; name another with --base."
    )
