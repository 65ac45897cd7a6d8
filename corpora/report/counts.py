"""Compare the utterances of a corpus with the published counts."""

from collections.abc import Iterable, Mapping

ALL = "all"

Counts = Mapping[str, Mapping[str, int]]  # utterances per group (a split or session) and label


def compare_counts(found: Counts, published: Counts) -> dict[str, dict[str, tuple[int, int | None]]]:
    """Return counts with the published counts, and sums of both under "all".

    Args:
        found: Counts per group and label.
        published: Published counts; those that are missing were not published. It may contain sums.

    Returns:
        Per group and label, "all" among both, the count and the published count (None if there is none).
    """
    groups = [group for group in dict.fromkeys((*published, *found)) if group != ALL]
    labels = dict.fromkeys(
        label for counts in (published, found) for group in groups for label in counts.get(group, {}) if label != ALL
    )
    zeros = {group: dict.fromkeys(labels, 0) | dict(found.get(group, {})) for group in groups}
    found, published = _add_sums(zeros, groups, labels), _add_sums(published, groups, labels)
    return {
        group: {label: (found[group][label], published[group].get(label)) for label in (*labels, ALL)}
        for group in (*groups, ALL)
    }


def format_counts(found: Counts, published: Counts) -> str:
    """Return the comparison as a table for the console, with groups as rows and labels as columns.

    A published count follows in brackets where it differs, and the last line says whether any does.
    """
    compared = compare_counts(found, published)
    pairs = [pair for row in compared.values() for pair in row.values() if pair[1] is not None]
    table = [["", *compared[ALL]]]
    for group, row in compared.items():
        cells = (
            f"{count:,}" if wanted in (None, count) else f"{count:,} ({wanted:,})" for count, wanted in row.values()
        )
        table.append([group, *cells])
    first, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    lines = [
        "  ".join([f"{group:<{first}}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))])
        for group, *cells in table
    ]
    if pairs:
        differing = sum(count != wanted for count, wanted in pairs)
        lines.append(
            f"{differing} of {len(pairs)} counts differ from the published ones, which are in brackets."
            if differing
            else "All counts agree with the published ones."
        )
    return "\n".join(lines)


def _add_sums(counts: Counts, groups: Iterable[str], labels: Iterable[str]) -> dict[str, dict[str, int]]:
    """Add the sums of rows and columns that are complete."""
    table = {group: dict(counts.get(group, {})) for group in groups}
    for row in table.values():
        if all(label in row for label in labels):
            row[ALL] = sum(row.values())
    known = [label for label in (*labels, ALL) if all(label in row for row in table.values())]
    return {
        **table,
        ALL: {label: sum(row[label] for row in table.values()) for label in known} | dict(counts.get(ALL, {})),
    }
