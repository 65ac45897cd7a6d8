"""Earlier turns of a dialogue as a person writes them: a line each, perhaps with the name of the speaker."""


def read_turn(turn: str, speaker: str | None) -> dict[str, str]:
    """Return an earlier turn; a beginning up to a colon names its speaker where that of the recording is given.

    Args:
        turn: "TEXT" or "SPEAKER: TEXT".
        speaker: The speaker of the recording; None where unknown.
    """
    name, colon, text = turn.partition(":")
    if speaker is None or not colon:
        return {"text": turn}
    return {"speaker": name.strip(), "text": text.strip()}
