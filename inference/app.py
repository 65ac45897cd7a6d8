"""The page on which a model is tried: a Gradio app for `emofusion demo-app` and for the Space in `hub_cards/space/`.

It needs nothing from outside: no fonts, no scripts, no telemetry, no link to share.
"""

import contextlib
import importlib
import os
import tempfile
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

STYLE = Path(__file__).with_name("app.css")
CLEANING = 60  # seconds between two searches for files that were kept long enough
# Read by gradio and by huggingface_hub when they are imported.
NO_TELEMETRY = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
# Where gradio saves recordings. It is read at each upload: of several pages in a process, only the last one may be used.
FOLDER = "GRADIO_TEMP_DIR"
BEFORE = "The answer appears here."
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


class Uploads:
    """The recordings and videos that visitors gave; each visitor has at most one of each.

    Args:
        folder: The folder in which gradio saves recordings; files outside it are never removed.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.current: dict[tuple[str, str], str] = {}

    def keep(self, visitor: str, path: str | None, kind: str = "recording") -> None:
        """Keep the recording or the video of a visitor and remove the one before it.

        Args:
            visitor: The session of the visitor.
            path: The file; None if it was taken back.
            kind: "recording" or "video".
        """
        before = self.current.pop((visitor, kind), None)
        if path is not None:
            self.current[visitor, kind] = path
        if before is not None and before not in self.current.values():
            self._remove(before)

    def forget(self, visitor: str) -> None:
        """Remove the files of a visitor who left.

        Args:
            visitor: The session of the visitor.
        """
        for kind in [kind for one, kind in self.current if one == visitor]:
            self.keep(visitor, None, kind)

    def _remove(self, path: str) -> None:
        file = Path(path).resolve()
        if file.is_relative_to(self.folder):
            with contextlib.suppress(OSError):
                file.unlink()
                file.parent.rmdir()  # gradio makes a folder for each file


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
        self.folder = tempfile.TemporaryDirectory(prefix="emofusion-page-")
        self.folder_before = os.environ.get(FOLDER)
        os.environ[FOLDER] = self.folder.name
        self.blocks = _build(recognise, name, self.limits, Uploads(Path(self.folder.name)))

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
        )
        return address

    def wait(self) -> None:
        """Return when the process is interrupted."""
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()

    def close(self) -> None:
        """Close the page and remove all recordings."""
        self.blocks.close(verbose=False)
        self.folder.cleanup()
        os.environ.pop(FOLDER, None)
        if self.folder_before is not None:
            os.environ[FOLDER] = self.folder_before


def _build(recognise: Any, name: str, limits: Limits, uploads: Uploads) -> Any:
    """Return the page as `gradio.Blocks`."""
    import gradio

    modalities, listens = recognise.model.config.modalities, hears(recognise)

    def keep(path: str | None, request: gradio.Request) -> tuple[str, str]:
        uploads.keep(request.session_hash, path)
        return show_hint(BEFORE), ""

    def keep_video(path: str | None, request: gradio.Request) -> tuple[str, str]:
        uploads.keep(request.session_hash, path, "video")
        return show_hint(BEFORE), ""

    def forget(request: gradio.Request) -> None:
        uploads.forget(request.session_hash)

    cleaning = min(CLEANING, limits.kept_seconds), limits.kept_seconds
    with gradio.Blocks(title=f"{name}: speech emotion recognition", delete_cache=cleaning) as page:
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
        quiet = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
        # One at a time: the model and the machine are shared by all visitors.
        shared = {
            "api_visibility": "private",
            "scroll_to_output": True,
            "concurrency_limit": 1,
            "concurrency_id": "model",
        }
        given, shown = [recording, text, video, turns, speaker], [result, picture]
        recording.change(keep, recording, shown, **quiet)
        video.change(keep_video, video, shown, **quiet)
        button.click(build_action(recognise_visit, recognise, limits), given, shown, **shared)
        why.click(build_action(explain_visit, recognise, limits), given, shown, **shared)
        page.unload(forget)
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
