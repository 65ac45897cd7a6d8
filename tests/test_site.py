"""The site of the documentation: it builds without a warning, its links work, and it needs no other server."""

import re
import shutil

import pytest
from emofusion.cli.commands import COMMANDS
from testing_fresh import run_fresh
from testing_pages import ROOT
from website.checks import find_problems
from website.navigation import HOME, REPOSITORY, arrange, find_pages
from website.public_names import find_home, find_public_names
from website.sources import site_path, translate_links

CHROMIUM = shutil.which("chromium")
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built once, as `make docs` does."""
    for library in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(library, reason=f"{library} is not installed (pip install 'emofusion[docs]')")
    folder = tmp_path_factory.mktemp("site")
    script = ROOT / "docs" / "build_site.py"
    code = "import runpy, sys; sys.path[0] = sys.argv[2]; sys.argv = [sys.argv[1], sys.argv[3]]; runpy.run_path(sys.argv[0], run_name='__main__')"
    run = run_fresh(code, script, script.parent, folder, cwd=folder.parent, limit=280, HF_HUB_OFFLINE="1")
    assert run.returncode == 0, run.stderr
    assert f"Open {(folder / 'index.html').as_uri()}" in run.stdout
    return folder


def test_site_has_every_page_command_and_public_name(site):
    for page in find_pages():
        assert (site / site_path(page)).with_suffix(".html").is_file()
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    assert all(f'id="emofusion-{command}"' in commands for command in COMMANDS)
    for path, value in find_public_names().items():
        home = find_home(path, value)
        entry = (site / "reference" / f"{home.split('.')[1]}.html").read_text("utf-8")
        assert f'id="{path}"' in entry
        assert not re.search(r"```|\[`|<factory>", entry), path  # Markdown that was not translated


def test_entries_describe_our_arguments_and_members_only(site):
    page = (site / "reference" / "configuration.html").read_text("utf-8")
    assert "num_attention_heads" in page
    assert "Attention heads of the two cross-modal attentions." in page
    assert "chunk_size_feed_forward" not in page  # of transformers
    page = (site / "reference" / "training.html").read_text("utf-8")
    assert "Pretrained speech encoder. Without it," in page  # help of a field
    assert "adam_beta1" not in page


def test_pages_refer_to_no_other_server(site):
    assert not find_problems(site)


def test_search_works_without_a_server_and_pages_fit_a_phone(site):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=PHONE)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "docs/performance", "reference/modeling", "reference/commands"):
            page.goto((site / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], name
        page.goto((site / "search.html").as_uri() + "?q=WavFusionConfig")
        page.get_by_role("link", name="WavFusionConfig").first.wait_for()
        browser.close()
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


def test_problems_of_a_site_are_found(tmp_path):
    (tmp_path / "style.css").write_text("@import url(//fonts.example/font.css);")
    (tmp_path / "picture.svg").write_text("<svg/>")
    (tmp_path / "other.html").write_text('<h1 id="here">Other</h1>')
    good = '<a href="other.html#here"></a><a href="https://example.org"></a><img src="picture.svg"><a href="#"></a>'
    (tmp_path / "index.html").write_text(good)
    assert find_problems(tmp_path) == ["style.css loads something from another server."]
    bad = {
        '<a href="none.html"></a>': "index.html: none.html leads nowhere.",
        '<a href="other.html#there"></a>': "index.html: other.html#there leads nowhere.",
        '<img src="none.png">': "index.html: none.png leads nowhere.",
        '<script src="//cdn.example/x.js"></script>': "index.html loads //cdn.example/x.js from another server.",
        '<link rel="stylesheet" href="https://x.example/y.css">': "index.html loads https://x.example/y.css",
    }
    for text, sentence in bad.items():
        (tmp_path / "index.html").write_text(text)
        assert find_problems(tmp_path)[0].startswith(sentence)


def test_page_in_no_section_is_refused():
    with pytest.raises(ValueError, match=r"In no section of docs/website/navigation.py: docs/lost.md"):
        arrange([HOME, "docs/training.md", "docs/lost.md"])
    assert arrange([HOME, "docs/systems/a.md", "docs/systems/README.md"])["Systems"] == [
        "docs/systems/README.md",
        "docs/systems/a.md",
    ]


def test_links_lead_to_pages_or_to_the_repository():
    pages = {"README.md", "docs/hub.md", "docs/systems/README.md"}
    text = (
        "[a](../README.md#install) [b](systems/README.md) [c](../LICENSE) [d](../recipes) ![e](overview.svg) [f](#g)"
    )
    assert translate_links("docs/hub.md", text, pages) == (
        f"[a](../index.md#install) [b](systems/index.md) [c]({REPOSITORY}/blob/main/LICENSE) "
        f"[d]({REPOSITORY}/tree/main/recipes) ![e](overview.svg) [f](#g)"
    )
    code = "`[a](none.md)`\n```python\n[a](none.md)\n```\n"
    assert translate_links("docs/hub.md", code, pages) == code
    for target in ("none.md", "../../outside"):
        with pytest.raises(ValueError, match=r"docs/hub.md: the link to .* leads to no file of the repository"):
            translate_links("docs/hub.md", f"[a]({target})", pages)


def test_workflow_builds_the_site_and_has_no_secret():
    text = (ROOT / ".github" / "workflows" / "docs.yml").read_text("utf-8")
    assert "python docs/build_site.py site" in text
    assert "secrets" not in text
