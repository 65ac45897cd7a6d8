"""Colours of emotions: the same in every picture, and distinct under the common kinds of colour blindness.

Okabe and Ito, "Color Universal Design", 2008, for the most frequent emotions; the others are of Paul Tol's "muted" scheme,
or ours. The emotions of each corpus are distinct under simulated protanopia and deuteranopia, which a test measures.
"""

from collections.abc import Iterable

# Beginnings of labels, as corpora write them, and their colours, in the order in which emotions are stacked.
COLOURS = {
    "neu": "#bdbdbd",
    "calm": "#d0f49c",
    "bor": "#5c4b3b",
    "sad": "#0072b2",
    "fea": "#cc79a7",
    "dis": "#009e73",
    "con": "#882255",
    "sur": "#56b4e9",
    "fru": "#332288",
    "exc": "#f0e442",
    "hap": "#e69f00",
    "joy": "#e69f00",
    "ang": "#d55e00",
}
# Colours of labels that are no emotions of the above.
OTHERS = ("#117733", "#aa4499", "#ddcc77", "#88ccee", "#000000", "#661100", "#6699cc", "#999933")
# Of lines, with their dashes: none is the colour of a frequent emotion.
DIMENSIONS = (("#117733", "-"), ("#aa4499", "--"), ("#000000", "-."), ("#6699cc", ":"))


def emotion_colours(labels: Iterable[str]) -> dict[str, str]:
    """Return the colour of each label, in the order in which they are stacked: neutral first, then the quiet ones.

    Args:
        labels: Names of classes, such as `happy`, `hap` or `happiness`. Two that begin as the same emotion, and those that are
            unknown, get other colours, by their alphabetical order.
    """
    labels, found = sorted({*labels}), {}
    for beginning, colour in COLOURS.items():
        for label in labels:
            if label.lower().startswith(beginning) and label not in found and colour not in found.values():
                found[label] = colour
    rest = [label for label in labels if label not in found]
    return found | {label: OTHERS[number % len(OTHERS)] for number, label in enumerate(rest)}
