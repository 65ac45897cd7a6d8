"""What happens on the page when files arrive and go, and when a button is pressed."""

import json
from collections.abc import Callable
from typing import Any

from .answers_html import show_hint
from .app_answers import Answer
from .app_uploads import Uploads

BEFORE = "The answer appears here."
RECORDING = "The buttons work when the recording is finished and has arrived. To start over, press Upload file, then Record audio."


def follow_files(page: Any, recording: Any, video: Any, changed: list[Any], uploads: Uploads) -> None:
    """Follow the files of a visitor: keep the current ones, and let the browser clear an answer that is none to them.

    Gradio shows a recording of the microphone before it has arrived, so the buttons are off until then. The browser does
    all this by itself: an answer of the server could come after the next answer of the model.

    Args:
        page: The page.
        recording: The box of the recording.
        video: The box of the video.
        changed: Answer, picture and buttons.
        uploads: The files of all visitors.
    """
    import gradio

    def keep(path: str | None, request: gradio.Request) -> None:
        uploads.keep(request.session_hash, path)

    def keep_video(path: str | None, request: gradio.Request) -> None:
        uploads.keep(request.session_hash, path, "video")

    def forget(request: gradio.Request) -> None:
        uploads.forget(request.session_hash)

    quiet = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    recording.start_recording(None, None, changed, js=_set_browser(RECORDING, False), **quiet)
    ends = [recording.change, recording.clear, recording.stop_recording, video.change]
    gradio.on(ends, None, None, changed, js=_set_browser(BEFORE, True), **quiet)
    recording.change(keep, recording, None, **quiet)
    video.change(keep_video, video, None, **quiet)
    page.unload(forget)


def answer_current(answer: Callable[..., Answer], uploads: Uploads) -> Callable[..., Any]:
    """Return the function behind a button: an answer to a file that the visitor has replaced meanwhile is not shown.

    Args:
        answer: A function of `build_action`.
        uploads: The files of all visitors.
    """
    import gradio

    def run(
        path: str | None,
        text: str | None,
        video: str | None,
        turns: str | None,
        speaker: str | None,
        request: gradio.Request,
    ) -> Any:
        shown = answer(path, text, video, turns, speaker)
        is_old = uploads.is_replaced(request.session_hash, path) or uploads.is_replaced(
            request.session_hash, video, "video"
        )
        return (gradio.skip(), gradio.skip()) if is_old else shown

    return run


def _set_browser(hint: str, ready: bool) -> str:
    """Return JavaScript that puts a hint in place of the answer, and turns the buttons on or off."""
    button = {"__type__": "update", "interactive": ready}
    return f"() => {json.dumps([show_hint(hint), '', button, button])}"
