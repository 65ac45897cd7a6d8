"""The table of how many utterances a corpus has, beside how many it should have."""

from collections.abc import Iterable, Mapping

ALL = "all"

Counts = Mapping[str, Mapping[str, int]]  # per part of a corpus and label


def compare_counts(found: Counts, published: Counts) -> dict[str, dict[str, tuple[int, int | None]]]:
    """Counts beside the published ones, with their sums under "all".

    Args:
        found: Per part and label.
        published: The same; what is missing in it was not published. It may hold sums of its own.

    Returns:
        Per part and label, "all" among both, the count and the published one (None where there is none).
    """
    parts = [part for part in dict.fromkeys((*published, *found)) if part != ALL]
    labels = dict.fromkeys(label for counts in (published, found) for part in parts for label in counts.get(part, {}))
    zeros = {part: dict.fromkeys(labels, 0) | dict(found.get(part, {})) for part in parts}
    found, published = _add_sums(zeros, parts, labels), _add_sums(published, parts, labels)
    return {
        part: {label: (found[part][label], published[part].get(label)) for label in (*labels, ALL)}
        for part in (*parts, ALL)
    }


def format_counts(found: Counts, published: Counts) -> str:
    """The comparison as a table for the console, parts down and labels across.

    A published count stands in brackets beside one that differs, and a last line says whether any does.
    """
    compared = compare_counts(found, published)
    pairs = [pair for row in compared.values() for pair in row.values() if pair[1] is not None]
    table = [["", *compared[ALL]]]
    for part, row in compared.items():
        cells = (
            f"{count:,}" if wanted in (None, count) else f"{count:,} ({wanted:,})" for count, wanted in row.values()
        )
        table.append([part, *cells])
    first, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    lines = [
        "  ".join([f"{part:<{first}}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))])
        for part, *cells in table
    ]
    if pairs:
        differing = sum(count != wanted for count, wanted in pairs)
        lines.append(
            f"{differing} of {len(pairs)} counts are not the published ones, which are in brackets."
            if differing
            else "All counts are the published ones, where any were published."
        )
    return "\n".join(lines)


def _add_sums(counts: Counts, parts: Iterable[str], labels: Iterable[str]) -> dict[str, dict[str, int]]:
    """With the sums of those rows and columns of which all members are known."""
    table = {part: dict(counts.get(part, {})) for part in parts}
    for row in table.values():
        if all(label in row for label in labels):
            row[ALL] = sum(row.values())
    known = [label for label in (*labels, ALL) if all(label in row for row in table.values())]
    return {
        **table,
        ALL: {label: sum(row[label] for row in table.values()) for label in known} | dict(counts.get(ALL, {})),
    }
