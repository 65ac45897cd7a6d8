"""Settings of Sphinx, which builds the site: `make docs`. `website/` holds the code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import emofusion
from website.navigation import REPOSITORY, ROOT

project = "emofusion"
author = "The emofusion authors"
copyright = "the emofusion authors, Apache License 2.0"
version = release = emofusion.__version__
language = "en"
html_title = f"emofusion {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "website.docstrings",
]
nitpicky = True
# Types in public signatures that users only pass on.
nitpick_ignore = [
    ("py:class", f"emofusion.{name}")
    for name in (
        "corpora.joining.selection.Selection",
        "evaluation.task.Task",
        "modeling.modeling_late_fusion.LateFusionPreTrainedModel",
        "modeling.modeling_outputs.Encoded",
        "processing.utterance_reader.Failure",
        "training.collator.InputCache",
        "training.dialogue_batches.DialogueHistory",
        "training.mixup.Mixup",
    )
]
# Names of libraries have no target, since the site is built without a network.
nitpick_ignore_regex = [("py:.*", r"(?!emofusion\b).*")]

# The anchors of headings are those of GitHub.
myst_heading_anchors = 4

# Backticks in docstrings are code, as in Markdown.
default_role = "code"
autosummary_generate = False
autodoc_inherit_docstrings = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Fields", "params_style"), ("Keys", "params_style")]
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True
python_display_short_literal_types = True
maximum_signature_line_length = 100

html_theme = "furo"
html_copy_source = False
html_use_index = False
html_show_sphinx = False
html_theme_options = {
    "footer_icons": [{"name": "Repository", "url": REPOSITORY, "html": "Repository", "class": ""}],
    "top_of_page_buttons": [],
}

# Files of the repository were checked when the pages were copied.
linkcheck_ignore = [rf"{REPOSITORY}.*"]
linkcheck_timeout = 20
linkcheck_workers = 8

assert Path(emofusion.__file__).parent == ROOT, "the site is built from another copy of emofusion"
