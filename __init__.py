"""Fusion models of speech, text and video for emotion recognition, native to Hugging Face transformers.

Importing the package is cheap: public names are loaded on first use, and models, processors and the pipeline are
registered with the Auto classes when transformers loads these.
"""

import importlib
import importlib.abc
import importlib.util
import re
import sys

from .configuration import VARIANTS

__version__ = "0.1.0.dev0"

# Public name -> the module that defines it.
_EXPORTS = {
    "DimensionMetrics": "metrics",
    "EmotionMetrics": "metrics",
    "EmoFusionProcessor": "processing.processing_emofusion",
    "EmotionRecognitionPipeline": "processing.pipeline_emotion_recognition",
    "LateFusionProcessor": "processing.processing_late_fusion",
    "EmotionCollator": "training.collator",
    "EmotionTrainer": "training.trainer",
    "EmotionTrainingArguments": "training.arguments",
    "Recipe": "training.recipe",
    "explain": "inference.explanation",
    "export_model": "inference.export",
    "load_corpus": "corpora",
    "train": "training.run",
    "write_bundle": "hub",
    "write_card": "hub",
}
for _variant, _prefix in VARIANTS.items():
    _EXPORTS[f"{_prefix}Config"] = f"configuration.configuration_{_variant}"
    _EXPORTS[f"{_prefix}Model"] = f"modeling.modeling_{_variant}"
    _EXPORTS[f"{_prefix}ForSequenceClassification"] = f"modeling.modeling_{_variant}"
# What all variants share.
_EXPORTS["EmoFusionConfig"] = "configuration.configuration_emofusion"
_EXPORTS["EmoFusionPreTrainedModel"] = "modeling.modeling_pretrained"
_EXPORTS["EmotionOutput"] = "modeling.modeling_outputs"
_EXPORTS["Rows"] = "modeling.modeling_rows"
_EXPORTS["Segments"] = "modeling.modeling_rows"
_EXPORTS["EmoFusionModel"] = "modeling.modeling_emofusion"
_EXPORTS["EmoFusionForSequenceClassification"] = "modeling.modeling_emofusion"
_EXPORTS["SpeakerResNetForSpeakerRecognition"] = "modeling.modeling_speaker_resnet"

# Library -> its distribution, where the names differ by more than a dash.
_DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}

_PIPELINE = f"{__name__}.{_EXPORTS['EmotionRecognitionPipeline']}"

__all__ = ["VARIANTS", "__version__", *sorted(_EXPORTS)]


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if explanation := explain_missing_module(error):
            raise ModuleNotFoundError(f"{__name__}.{name}: {explanation}", name=error.name) from error
        raise
    globals()[name] = value
    return value


def explain_missing_module(error: BaseException) -> str:
    """Return a sentence that names a missing library and the extra that installs it; empty for all other errors.

    Args:
        error: Any exception.
    """
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    from importlib import metadata

    library = error.name.partition(".")[0]
    distribution = _DISTRIBUTIONS.get(library, library.replace("_", "-"))
    requirements = metadata.requires(__name__) or []
    # Requirements look like `peft>=0.19.1; extra == "train"`. The first extra is the smallest: setup.cfg sorts them.
    for requirement in requirements:
        required, _, condition = requirement.partition(";")
        if re.match(r"[\w.-]+", required).group().lower() == distribution and "extra" in condition:
            extra = re.search(r"extra == [\"'](\w+)", condition).group(1)
            return f"{distribution} is not installed; install it with: pip install '{__name__}[{extra}]'"
    return ""


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_models() -> None:
    """Register all variants with `AutoConfig` and the `AutoModel` classes, which then need no remote code."""
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForAudioClassification,
        AutoModelForAudioXVector,
        AutoModelForSequenceClassification,
    )

    for prefix in VARIANTS.values():
        config, model, classifier = (
            __getattr__(prefix + end) for end in ("Config", "Model", "ForSequenceClassification")
        )
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, model, exist_ok=True)
        AutoModelForAudioClassification.register(config, classifier, exist_ok=True)
        AutoModelForSequenceClassification.register(config, classifier, exist_ok=True)
    speaker_network = __getattr__("SpeakerResNetForSpeakerRecognition")
    AutoModelForAudioXVector.register(speaker_network.config_class, speaker_network, exist_ok=True)


def _register_processor() -> None:
    """Register the processors with `AutoProcessor`."""
    from transformers import AutoProcessor

    for prefix in VARIANTS.values():
        own = f"{prefix}Processor"
        processor = __getattr__(own if own in _EXPORTS else "EmoFusionProcessor")
        AutoProcessor.register(__getattr__(f"{prefix}Config"), processor, exist_ok=True)


def _import_pipeline() -> None:
    """Import our pipeline, which does nothing if that import is what loads the pipelines of transformers."""
    importlib.import_module(_PIPELINE)


def _register_pipeline() -> None:
    """Register our pipeline for `pipeline("emotion-recognition", ...)`."""
    from transformers import AutoModelForAudioClassification
    from transformers.pipelines import PIPELINE_REGISTRY

    PIPELINE_REGISTRY.register_pipeline(
        "emotion-recognition",
        pipeline_class=__getattr__("EmotionRecognitionPipeline"),
        pt_model=AutoModelForAudioClassification,
    )


class _RegisterOnImport(importlib.abc.MetaPathFinder):
    """Finder that calls a function once, right after the first import of a module."""

    def __init__(self, module: str, register):
        self.module, self.register = module, register

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_register(module):
            execute(module)
            self.register()

        spec.loader.exec_module = execute_and_register
        return spec


for _module, _register in (
    ("transformers.models.auto.modeling_auto", _register_models),
    ("transformers.models.auto.processing_auto", _register_processor),
    (_PIPELINE, _register_pipeline),
    ("transformers.pipelines", _import_pipeline),
):
    if _module in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _RegisterOnImport(_module, _register))
