"""Training: recipes, the life of a run, the trainer and its data."""

from ..configuration.lazy_names import import_on_use

# The parts of a recipe.
_HOMES = {
    "CrossCorpusArguments": "command_arguments",
    "CrossValidationArguments": "command_arguments",
    "DataArguments": "arguments",
    "LateFusionArguments": "command_arguments",
    "ModelArguments": "arguments",
    "SearchArguments": "search.space",
    "SpeakerArguments": "command_arguments",
    "SpeakerTrainingArguments": "command_arguments",
}

__all__ = sorted(_HOMES)

__getattr__ = import_on_use(__name__, _HOMES)
