"""What a card says of the earlier turns that a model reads."""

import json
from collections.abc import Sequence

from ..configuration.modalities import Modality
from ..evaluation.results import RunResults
from .markdown import Markdown

EARLIER = {"speaker": "B", "audio": "earlier.wav", "text": "Are you coming?"}  # the turn of the example


def describe_context(results: RunResults, modalities: Sequence[Modality]) -> dict[str, Markdown | int]:
    """Return the values of the template.

    Args:
        results: The results of a run.
        modalities: The modalities of the model.

    Returns:
        `turns`, the number of turns whose words are read, and `history`, the number of utterances that speech context reaches
        back, each 0 for none; `utterance` and `arguments`, what the examples for the pipeline and for the processor add.
    """
    turns, history = results.earlier_turns, results.history
    if not turns and not history:
        return {"turns": 0, "history": 0, "utterance": Markdown(""), "arguments": Markdown("")}
    names = [modality.name for modality in modalities] if history else ["text"]
    whole = [{name: value for name, value in EARLIER.items() if name in ("speaker", *names)}]
    words = [{name: EARLIER[name] for name in ("speaker", "text")}]
    return {
        "turns": turns,
        "history": history,
        "utterance": Markdown(f', "speaker": "A", "context": {json.dumps(whole)}'),
        "arguments": Markdown(f', speaker="A", context={json.dumps(words)}' if turns else ""),
    }
