"""Who may be in which split."""

from datasets import DatasetDict


def check_speaker_independent(corpus: DatasetDict) -> dict[str, list[str]]:
    """Prove that no speaker is heard in two splits.

    Returns:
        The speakers of each split, sorted.

    Raises:
        ValueError: If a speaker crosses, or a row without a speaker makes the proof impossible.
    """
    speakers = {}
    for split, rows in corpus.items():
        names = set(rows["speaker"])
        if None in names:
            raise ValueError(f"The split {split!r} has rows without a speaker, so independence cannot be shown.")
        speakers[split] = sorted(names)
    homes = {}
    for split, names in speakers.items():
        for name in names:
            homes.setdefault(name, []).append(split)
    crossing = [f"{name} ({', '.join(splits)})" for name, splits in homes.items() if len(splits) > 1]
    if crossing:
        raise ValueError(f"Speakers are heard in more than one split: {'; '.join(crossing)}.")
    return speakers
