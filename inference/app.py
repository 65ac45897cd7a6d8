"""The page on which a model is tried: a Gradio app for `emofusion demo-app` and for the Space in `hub_cards/space/`.

It needs nothing from outside: no fonts, no scripts, no telemetry, no link to share.
"""

import contextlib
import importlib
import os
import threading
from html import escape
from pathlib import Path
from typing import Any

from ..configuration.plain_text import join_words, show_name
from .answers_html import show_hint
from .app_answers import (
    MEGABYTE,
    WINDOW,
    Limits,
    build_action,
    explain_visit,
    hears,
    longest_window,
    reads_context,
    recognise_visit,
)
from .app_events import BEFORE, answer_current, follow_files
from .app_uploads import Uploads, open_folder, refuse_cut_uploads

STYLE = Path(__file__).with_name("app.css")
# Read by gradio and by huggingface_hub when they are imported.
NO_TELEMETRY = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
ABOUT = """**Limits.** The scores say how a recording sounds to this model, not what a person feels. The model knows {classes}, and
must choose among them whatever it hears. It knows the language, the microphones and the way of speaking of its training corpus,
and is worse on others; the card of the model has its scores. Do not use it to judge people.

**Recordings.** The page takes up to {minutes} and {megabytes} MB. {window}{others}A recording is processed on the machine that
serves this page, and removed when you replace it or leave the page, and after {kept} at the latest.
"""


def require_gradio() -> None:
    """Import gradio without its telemetry.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    os.environ.update(NO_TELEMETRY)
    importlib.import_module("gradio")


class Page:
    """The page of one model, as a server on this machine.

    Args:
        recognise: The pipeline `emotion-recognition`.
        name: Name of the model that visitors read.
        limits: Limits of the page.
    """

    def __init__(self, recognise: Any, name: str, limits: Limits | None = None):
        require_gradio()
        self.recognise, self.limits = recognise, limits or Limits()
        self._resources = contextlib.ExitStack()
        self.folder = self._resources.enter_context(open_folder())
        self.uploads = Uploads(self.folder)
        self.blocks = _build(recognise, name, self.limits, self.uploads)

    def open(self, host: str | None = None, port: int | None = None) -> str:
        """Start the server, and return the address of the page.

        Args:
            host: The address to listen at; None means gradio's choice: this machine only, or what a Space needs.
            port: The port; None means the first free one from 7860.

        Raises:
            OSError: If the port is taken.
        """
        _, address, _ = self.blocks.queue(max_size=self.limits.waiting).launch(
            server_name=host,
            server_port=port,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            max_file_size=self.limits.megabytes * MEGABYTE,
            enable_monitoring=False,
            ssr_mode=False,
            run_history=False,
            pwa=False,
            mcp_server=False,
            footer_links=[],
            theme=_theme(),
            css_paths=STYLE,
            app_kwargs={
                "middleware": [refuse_cut_uploads()],
                "lifespan": self.uploads.remove_old_files(self.limits.kept_seconds),
            },
        )
        return address

    def wait(self) -> None:
        """Return when the process is interrupted."""
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()

    def close(self) -> None:
        """Close the page and remove all recordings."""
        self.blocks.close(verbose=False)
        self.uploads.forget_all()
        self._resources.close()


def _build(recognise: Any, name: str, limits: Limits, uploads: Uploads) -> Any:
    """Return the page as `gradio.Blocks`."""
    import gradio

    modalities, listens = recognise.model.config.modalities, hears(recognise)

    with gradio.Blocks(title=f"{name}: speech emotion recognition") as page:
        gradio.HTML(_heading(name, listens), padding=False, elem_id="ef-heading")
        with gradio.Row(equal_height=False):
            with gradio.Column(min_width=300):
                recording = gradio.Audio(
                    label="Recording",
                    type="filepath",
                    sources=["upload", "microphone"],
                    buttons=[],
                    editable=False,
                    visible=listens,
                    elem_id="ef-recording",
                )
                video = gradio.Video(
                    label="Video (optional)" if listens else "Video",
                    sources=["upload"],
                    buttons=[],
                    visible="video" in modalities,
                    elem_id="ef-video",
                )
                text = gradio.Textbox(
                    label="Transcript (optional)" if listens else "Transcript",
                    info=_about_text(recognise),
                    lines=2,
                    max_lines=6,
                    max_length=limits.characters,
                    visible="text" in modalities,
                    elem_id="ef-transcript",
                )
                turns, speaker = _dialogue_boxes(recognise, limits)
                button = gradio.Button("Recognise the emotion", variant="primary", elem_id="ef-button")
                why = gradio.Button("Explain the answer", elem_id="ef-explain")
            with gradio.Column(min_width=300):
                result = gradio.HTML(show_hint(BEFORE), padding=False, elem_id="ef-result")
        picture = gradio.HTML("", padding=False, elem_id="ef-picture")
        gradio.Markdown(_about(recognise, limits), elem_id="ef-about")
        given, shown = [recording, text, video, turns, speaker], [result, picture]
        follow_files(page, recording, video, [*shown, button, why], uploads)
        # One at a time: the model and the machine are shared by all visitors. A click during an answer comes after it.
        shared = {
            "api_visibility": "private",
            "scroll_to_output": True,
            "concurrency_limit": 1,
            "concurrency_id": "model",
            "trigger_mode": "always_last",
        }
        for pressed, action in ((button, recognise_visit), (why, explain_visit)):
            pressed.click(answer_current(build_action(action, recognise, limits), uploads), given, shown, **shared)
    return page


def _dialogue_boxes(recognise: Any, limits: Limits) -> tuple[Any, Any]:
    """Return the boxes for earlier turns and for the speaker, which only models with context show."""
    import gradio

    visible = reads_context(recognise)
    turns = gradio.Textbox(
        label="Earlier turns (optional)",
        info='What was said before, a line each, oldest first: "TEXT", or "NAME: TEXT" with the speaker below.',
        lines=2,
        max_lines=6,
        max_length=limits.characters,
        visible=visible,
        elem_id="ef-turns",
    )
    speaker = gradio.Textbox(
        label="Speaker of the recording (optional)",
        info="The name as in the earlier turns.",
        max_lines=1,
        max_length=100,
        visible=visible,
        elem_id="ef-speaker",
    )
    return turns, speaker


def _theme() -> Any:
    """Return a theme without fonts of other servers, and with contrasts of at least 4.5 (WCAG 2.2, AA)."""
    import gradio

    theme = gradio.themes.Base(
        primary_hue="indigo", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["monospace"]
    )
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        input_background_fill="white",
        input_border_width="1px",
        input_border_color="*neutral_400",
        input_border_color_dark="*neutral_500",
    )


def _heading(name: str, listens: bool) -> str:
    what = (
        "Record or choose a recording, and see how it sounds" if listens else "Write a sentence, and see how it reads"
    )
    return f"<h1>Speech emotion recognition</h1><p>{what} to the model <strong>{escape(show_name(name))}</strong>.</p>"


def _about_text(recognise: Any) -> str:
    """Return the sentence under the label of the transcript."""
    if recognise.transcriber is not None:
        return "If it is empty, a speech recogniser writes it."
    if "audio" in recognise.model.config.modalities:
        return "What is said. If it is empty, the model uses the voice alone."
    return "What is said."


def _about(recognise: Any, limits: Limits) -> str:
    """Return the limits of the model and of the page in words."""
    config, window = recognise.model.config, longest_window(recognise)
    others = "A video gives its pictures and, without a recording, its sound. " if "video" in config.modalities else ""
    names = [] if config.is_regression else [show_name(label) for label in config.id2label.values()]
    names += map(show_name, config.dimensions or ())
    return ABOUT.format(
        classes=join_words(names),
        minutes=_minutes(limits.seconds),
        megabytes=limits.megabytes,
        window=f"Recordings of more than {window:g} s are recognised in windows of {min(WINDOW, window):g} s. ",
        others=others,
        kept=_minutes(limits.kept_seconds),
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes"
