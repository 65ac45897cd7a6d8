"""Cards whose results have markup in every field that is a string, compared with cards of harmless results."""

import re

import pytest
import yaml
from emofusion.hub import write_card
from emofusion.hub.contents import is_repo_id
from emofusion.hub.markdown import Markdown, bibtex, code, escape, format_table, literal
from emofusion.hub.push import address_card
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from testing_results import CASES, make_results

HARMLESS = "harmless"
QUICK = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- comment",
    "[text](javascript:alert(1))",
    "](javascript:alert(1)) ![picture](x.png)",
    "<javascript:alert(1)>",
    "https://evil.example and www.evil.example and me@evil.example",
    "`code` and ``more",
    "```\n</code>\n# x",
    "~~~\nx",
    "a | b || c",
    "[0.9, 1.1] [x][y] [x]: https://evil.example\n[x]: y [^1] [",
    "x\n# Heading\n\n- item\n1. item\n> quote",
    "# Heading",
    "---",
    "x\n---\ny: z",
    "x\r\n...\r\n---\r\n",
    "**bold** *it* __bold__ _it_ ~~gone~~",
    "$x$ and $$y$$ and \\(z\\)",
    "&lt;b&gt; &#60;b&#62;",
    "\\ \\\\ \\` \\[",
    "{{ 7 * 7 }} {% include 'x' %} {# x #}",
    "\x1b[31m \x00 \x7f \u2028 \u202e \ud800",
    "' \" ''' \"\"\" \\",
    "} , {",
    "!!python/object/apply:os.system [x]",
    "&anchor *anchor",
    "/etc/passwd",
    "",
    " \n ",
    "\U0001f600 \u05e9\u05dc\u05d5\u05dd",
    "x" * 200,
    "@someone #1",
]


def structure(card):
    """Return what a reader's Markdown makes of a card: its blocks, and the marks inside of lines."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    blocks, marks = [], []
    for token in parser.parse(card.text):
        blocks.append((token.type, token.tag, token.info))
        for child in token.children or []:
            if child.type not in ("text", "text_special", "softbreak", "code_inline"):
                marks.append((child.type, child.attrs.get("href") or child.attrs.get("src")))
    return blocks, marks


def write(folder, text, case):
    folder.mkdir(exist_ok=True)
    (folder / "confusion_matrix.png").write_bytes(b"\x89PNG")
    write_card(folder, make_results(case, text))
    return ModelCard.load(folder / "README.md")


@pytest.mark.parametrize("case", CASES)
def test_no_field_adds_markup_to_a_card(tmp_path, case):
    expected = {mark: structure(write(tmp_path / "card", mark, case)) for mark in (HARMLESS, "x_y")}
    assert expected[HARMLESS] == expected["x_y"]
    for text in MARKUP:
        if text.startswith("/") and case == "cross_validation":
            continue  # the name of a run cannot be left out
        card = write(tmp_path / "card", text, case)
        blocks, marks = structure(card)
        left_out = text.startswith("/") or not text  # paths of this machine, and what is empty
        if not left_out:
            assert [kind for kind, *_ in blocks] == [kind for kind, *_ in expected[HARMLESS][0]], text
        assert set(blocks) <= set(expected[HARMLESS][0]), text
        assert marks == expected[HARMLESS][1] or left_out, text
        assert not any(character < " " for character in card.text.replace("\n", "")), text
        pushed = ModelCard(address_card(card.content, "someone/model", revision="0" * 40, base_model="someone/base"))
        assert structure(pushed)[1] == marks, text
        for page in (card.content, pushed.content):
            metadata = yaml.load(re.split(r"^---$", page, flags=re.MULTILINE)[1], QUICK)
            assert "emofusion" in metadata["tags"], text
            assert all("\n" not in value for value in strings(metadata))
            assert is_repo_id(text) or text not in metadata.get("datasets", []) + metadata.get("base_model", [])
            for block in page.split("```python\n")[1:]:
                compile(block.partition("```")[0], "example", "exec")


def strings(value):
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("text", MARKUP)
def test_escaped_text_is_shown_as_it_is(text):
    def shown(markdown):
        """The text that a reader sees."""
        parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
        (inline,) = [token for token in parser.parse(f"x{markdown}") if token.type == "inline"] or [None]
        assert {child.type for child in inline.children} <= {"text", "text_special", "code_inline"}
        return "".join(child.content for child in inline.children)[1:]

    escapes = {code: ascii(chr(code))[1:-1] for code in (0, 0x1B, 0x7F, 0x202E, 0xD800)}
    line = " ".join(text.split()).translate(escapes)
    assert shown(escape(text)) == line
    assert shown(code(text)) == (line or "(empty)")
    assert eval(literal(text)) == text
    assert not set("{}\\`\n") & set(bibtex(text))
    assert "://" not in escape(text)
    assert "www." not in escape(text)


def test_markdown_of_ours_is_not_escaped():
    table = format_table("a|b", {"x": "*", "y": "not filled"}, {"": {"x": "1 | 2"}, "r": {}})
    assert table == "| a&#124;b | &#42; |\n| --- | ---: |\n| (empty) | 1 &#124; 2 |\n| r |  |"
    assert isinstance(table, Markdown)
    assert escape(table) == table
    assert escape("cross_attention, R2-D2 (9 %), [-0.5, 1.0]; + 1") == "cross_attention, R2-D2 (9 %), [-0.5, 1.0]; + 1"
