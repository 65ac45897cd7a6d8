"""The template of the report."""

import re
from importlib import resources

TEMPLATE = resources.files("emofusion.corpora.report").joinpath("report.html.jinja").read_text("utf-8")


def test_page_fits_narrow_screens():
    # Wide tables scroll on their own, words may be broken anywhere, and no column of a grid is as wide as its content.
    assert TEMPLATE.count("<table") == TEMPLATE.count('<div class="scroll"') > 0
    assert re.search(r"body {[^}]*overflow-wrap: anywhere", TEMPLATE)
    columns = re.findall(r"grid-template-columns: ([^;]+);", TEMPLATE)
    assert columns
    assert not [value for value in columns if "1fr" in re.sub(r"\(.*\)", "", value).split()]
