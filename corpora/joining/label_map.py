"""Maps from the labels of several corpora to common classes (ours)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...configuration.plain_text import did_you_mean, one_line, show_value

LabelMap = Mapping[str, str | None]


def read_label_map(given: Any, corpora: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Return a label map with all names as text.

    Args:
        given: By corpus, the class of each label; None drops the utterances of a label. A corpus whose value is None is left
            out.
        corpora: The corpora of the run.

    Raises:
        ValueError: If it has another form, or names another corpus.
    """
    maps = {}
    given = {corpus: classes for corpus, classes in dict(given or {}).items() if classes is not None}
    check_names("label_map", given, corpora)
    for corpus, classes in given.items():
        if not isinstance(classes, Mapping):
            raise ValueError(
                f"label_map.{corpus} is {show_value(classes)}; it must be a mapping of its labels to classes."
            )
        maps[corpus] = {_name(corpus, label): _name(corpus, name, True) for label, name in classes.items()}
    return maps


def check_names(argument: str, given: Iterable[Any], corpora: Sequence[str]) -> None:
    """Raise a `ValueError` if the keys of an argument by corpus are not corpora of the run; all such keys are named."""
    if unknown := [name for name in given if name not in corpora]:
        shown, hint = ", ".join(map(show_value, unknown)), did_you_mean(str(unknown[0]), corpora)
        raise ValueError(
            f"{argument} has {shown}, which the run does not have{hint}; it has {', '.join(corpora)} (null as {argument}."
            f"{one_line(unknown[0], 40)} takes an entry of a recipe out)."
        )


def _name(corpus: str, value: Any, is_class: bool = False) -> str | None:
    """Return a label or the name of a class as text; numbers are names too."""
    if value is None and is_class:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        what = "class" if is_class else "label"
        raise ValueError(f"label_map.{corpus} has the {what} {show_value(value)}; write a name, in quotes.")
    return str(value)


def complete_maps(labels: Mapping[str, Sequence[str]], given: Mapping[str, LabelMap]) -> dict[str, LabelMap]:
    """Return the class of every label of every corpus.

    A label without an entry keeps its name if that is a class: a class of the maps, or a label that all corpora have and
    no map changes.

    Args:
        labels: Labels of each corpus.
        given: By corpus, the class of some labels; None drops their utterances.

    Raises:
        ValueError: If a map has a label that its corpus lacks, or a label has no class; all of these are listed.
    """
    _check_labels(labels, given)
    shared = set.intersection(*map(set, labels.values()))
    changed = {label for classes in given.values() for label, name in classes.items() if label != name}
    known = (shared - changed) | {name for classes in given.values() for name in classes.values() if name is not None}
    maps, missing = {}, []
    for corpus, names in labels.items():
        own = given.get(corpus, {})
        maps[corpus] = {label: own.get(label, label) for label in names}
        if lost := [label for label in names if label not in own and label not in known]:
            missing.append(f"{', '.join(lost)} of {corpus}")
    if missing:
        classes = f" ({', '.join(sorted(known))})" if known else ""
        raise ValueError(
            f"label_map has no class for {'; '.join(missing)}: map each label to a class{classes}, or to null, which drops "
            "its utterances."
        )
    return maps


def keep_labels(labels: Mapping[str, Sequence[str]], given: Mapping[str, LabelMap]) -> dict[str, LabelMap]:
    """Return maps in which every label without an entry keeps its name, for tasks that do not learn classes.

    Raises:
        ValueError: If a map has a label that its corpus lacks.
    """
    _check_labels(labels, given)
    return {
        corpus: {label: given.get(corpus, {}).get(label, label) for label in names} for corpus, names in labels.items()
    }


def _check_labels(labels: Mapping[str, Sequence[str]], given: Mapping[str, LabelMap]) -> None:
    for corpus, classes in given.items():
        if unknown := [label for label in classes if label not in labels[corpus]]:
            raise ValueError(
                f"label_map.{corpus} has the label {show_value(unknown[0])}, which {corpus} lacks"
                f"{did_you_mean(unknown[0], labels[corpus])}; it has {', '.join(labels[corpus])}."
            )


def list_classes(maps: Iterable[LabelMap]) -> list[str]:
    """Return the classes of complete maps, in the order of the corpora and of their labels."""
    return list(dict.fromkeys(name for classes in maps for name in classes.values() if name is not None))
