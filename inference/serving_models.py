"""What the server takes and answers, as pydantic models: they check requests, and the OpenAPI page shows them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import from_json

from ..configuration.plain_text import reason_of, show_name

CHARACTERS = 2000  # of a transcript or an earlier turn (ours)
TURNS = 64  # earlier turns of a dialogue (ours)
SECONDS = {"default": None, "gt": 0, "allow_inf_nan": False}


class Turn(BaseModel):
    """An earlier turn of a dialogue."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=CHARACTERS)
    speaker: str | None = Field(None, max_length=CHARACTERS)


class Options(BaseModel):
    """Options of a request."""

    model_config = ConfigDict(extra="forbid")
    text: str | None = Field(None, max_length=CHARACTERS, description="Transcript of the recording.")
    context: list[Turn] | None = Field(
        None, max_length=TURNS, description="Earlier turns of the dialogue, oldest first; in a form as JSON."
    )
    speaker: str | None = Field(None, max_length=CHARACTERS, description="Speaker, as named in `context`.")
    window_seconds: float | None = Field(description="Cut the recording into windows of this length.", **SECONDS)
    hop_seconds: float | None = Field(description="Distance between the starts of windows.", **SECONDS)
    vad: bool = Field(False, description="Cut the recording into segments with speech.")
    word_times: bool = Field(
        False, description="Let the transcriber time its words, and divide its text over the windows."
    )

    @field_validator("context", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return from_json(value) if isinstance(value, str) else value


class UrlRequest(Options):
    """A recording at a URL."""

    url: str = Field(max_length=CHARACTERS, description="http or https URL of a recording.")


class FormRequest(Options):
    """A recording as a file of a form."""

    audio: bytes | SkipJsonSchema[None] = Field(None, description="Recording: wav, mp3, m4a, ...")
    video: bytes | SkipJsonSchema[None] = Field(None, description="Video of the speaker, for models with video.")


class Entry(BaseModel):
    """A class with its probability, or a dimension with its value."""

    label: str
    score: float
    scale: list[float] | None = Field(None, description="Lowest and highest value of a dimension.")
    silent: bool | None = Field(None, description="Whether nothing is heard in the recording.")


class Window(BaseModel):
    """The answer for a part of a recording."""

    start: float = Field(description="Seconds.")
    end: float = Field(description="Seconds.")
    speaker: str | None = None
    text: str | None = None
    scores: list[Entry] | None = None
    dimensions: list[Entry] | None = None
    silent: bool | None = None
    error: str | None = None


class Answer(BaseModel):
    """The answer of the model: `scores` of the whole recording, or `windows`."""

    model: str = Field(description="Name of the model.")
    version: str | None = Field(description="Hash of its files, or its commit on the Hub.")
    unused: list[str] | None = Field(None, description="Inputs that were sent and that this model does not use.")
    silent: bool = Field(description="Whether nothing is heard in the recording.")
    text: str | None = Field(None, description="The transcript that the model used.")
    scores: list[Entry] | None = Field(None, description="Classes, the most probable first; or dimensions.")
    dimensions: list[Entry] | None = Field(None, description="Dimensions of a model of classes and dimensions.")
    windows: list[Window] | None = None


class Error(BaseModel):
    """Why a request has no answer."""

    error: str = Field(description="One sentence.")


class LimitsShown(BaseModel):
    """Limits of a request."""

    megabytes: float
    seconds: float = Field(description="Length of a recording.")
    request_seconds: float = Field(description="Time from the first byte to the answer.")
    queue: int = Field(description="Requests in progress.")


class QueueShown(BaseModel):
    """Requests at this moment."""

    in_progress: int = Field(description="All: those that arrive, wait or run.")
    waiting: int
    running: int


class Health(BaseModel):
    """The state of the server."""

    ready: bool
    model: str
    version: str | None
    device: str = Field(description="Where the model runs, such as cpu or cuda:0.")
    dtype: str = Field(description="The dtype in which it runs, such as float32.")
    task: str
    classes: list[str]
    dimensions: list[str]
    modalities: list[str]
    transcriber: bool
    longest_seconds: float = Field(description="Length of the longest recording that is not cut into windows.")
    limits: LimitsShown
    queue: QueueShown


def explain_invalid(error: ValidationError) -> str:
    """Return the first fault of a request as a sentence, without the value that was sent.

    Args:
        error: What pydantic found.
    """
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = show_name(".".join(map(str, fault["loc"])) or "The JSON text", 60)
    if fault["type"] == "extra_forbidden":
        return f"There is no option {name}: the options are {', '.join(Options.model_fields)}."
    reason = reason_of(ValueError(fault["msg"].removeprefix("Value error, ")), 200)
    return f"{name} is wrong: {reason[0].lower()}{reason[1:]}."
