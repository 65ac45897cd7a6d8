"""Fixtures of the tests of evaluation."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch):
    """The figures that were drawn."""
    drawn, save = [], Figure.savefig

    def keep(self, *arguments, **options):
        drawn.append(self)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return drawn
