"""Word error rates of recognised transcripts against those of the corpus."""

from collections.abc import Callable, Iterable, Mapping

from datasets import ClassLabel, Dataset, DatasetDict

from ..words import words

SPEECH = {True: "scripted", False: "improvised"}


def word_error_rate(
    references: Iterable[str | None], hypotheses: Iterable[str | None]
) -> dict[str, float | int | None]:
    """Return the word error rate of a set of utterances: errors divided by words, both summed, normalised by `words`.

    Args:
        references: Transcripts of the corpus. None (no transcript) is not compared; in a text without words, every
            recognised word is an insertion.
        hypotheses: Recognised transcripts, one per reference. None (not transcribed) is not compared.

    Returns:
        `wer` (None if the references have no words), `substitutions`, `deletions`, `insertions`, `words` (of the
        references), `utterances` (compared ones) and `not_compared`.

    Raises:
        ValueError: If there are not equally many references and hypotheses.
    """
    import jiwer

    pairs = list(zip(references, hypotheses, strict=True))
    compared = [pair for pair in pairs if None not in pair]
    errors = dict.fromkeys(("substitutions", "deletions", "insertions"), 0)
    count = 0
    if compared:
        normalised = ([" ".join(words(text)) for text in texts] for texts in zip(*compared, strict=True))
        found = jiwer.process_words(*normalised)
        errors = {kind: getattr(found, kind) for kind in errors}
        count = found.hits + found.substitutions + found.deletions
    return {
        "wer": sum(errors.values()) / count if count else None,
        **errors,
        "words": count,
        "utterances": len(compared),
        "not_compared": len(pairs) - len(compared),
    }


def compare_transcripts(splits: DatasetDict) -> dict[str, dict]:
    """Compare the column `asr_text` with `text`.

    Returns:
        Per split, results of `word_error_rate`: `all`, `label` per class, and `scripted` for "scripted" and "improvised"
        speech; the last two are empty if the corpus does not have them.
    """
    compared = {}
    for split, rows in splits.items():
        label = rows.features["label"]
        name = label.int2str if isinstance(label, ClassLabel) else str
        compared[split] = {
            "all": word_error_rate(rows["text"][:], rows["asr_text"][:]),
            "label": _compare_by(rows, "label", name),
            "scripted": _compare_by(rows, "scripted", SPEECH.get),
        }
    return compared


def format_errors(compared: Mapping[str, Mapping]) -> str:
    """Return the result of `compare_transcripts` as a table for the console, with rates in percent."""
    lines = ["   WER    words  utterances"]
    for split, groups in compared.items():
        for name, errors in {split: groups["all"], **groups["label"], **groups["scripted"]}.items():
            rate = "    -" if errors["wer"] is None else f"{100 * errors['wer']:5.1f}"
            lines.append(f" {rate} {errors['words']:8,} {errors['utterances']:11,}  {name}")
    return "\n".join(lines)


def _compare_by(rows: Dataset, column: str, name: Callable) -> dict[str, dict]:
    groups = {}
    for value, text, asr_text in zip(rows[column][:], rows["text"][:], rows["asr_text"][:], strict=True):
        if value is not None:
            groups.setdefault(value, []).append((text, asr_text))
    return {name(value): word_error_rate(*zip(*groups[value], strict=True)) for value in sorted(groups)}
