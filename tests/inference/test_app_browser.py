"""The page in a real browser: one server, one Chromium. Skipped where Chromium, gradio or playwright is not installed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import soundfile
from testing_model_folder import make_model_folder
from testing_pipeline import RATE, noise

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("Chromium is not installed (Debian: apt-get install chromium)", allow_module_level=True)
pytest.importorskip("gradio", reason="gradio is not installed (pip install 'emofusion[app]')")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

# The sandbox needs rights that containers lack; the microphone is a beep.
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, recordings, and the server's folder of temporary files."""
    place = tmp_path_factory.mktemp("page")
    make_model_folder(place / "secret-folder" / "my-model")
    (place / "temporary").mkdir()
    for name, seconds in (("voice.wav", 1), ("call.wav", 65)):
        soundfile.write(place / name, noise(seconds * RATE), RATE)
    (place / "letter.wav").write_text("This is a letter.")
    return place


@pytest.fixture(scope="module")
def address(place):
    """The address of the page, as `emofusion demo-app` prints it."""
    environment = os.environ | {"TMPDIR": str(place / "temporary"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "emofusion", "demo-app", "secret-folder/my-model"]
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line + (place / "log").read_text()
    yield found[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not uploads(place)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page; at the end, checks that it asked no other server."""
    contexts, asked = [], []

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector("#ef-recording input[type=file]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    servers = {urlsplit(url).netloc for url in asked if not url.startswith(("blob:", "data:"))}
    assert servers == {urlsplit(address).netloc}


def uploads(place):
    return [file for file in Path(place, "temporary").rglob("*") if file.is_file() and file.suffix == ".wav"]


def give(page, file):
    page.set_input_files("#ef-recording input[type=file]", file)
    page.wait_for_selector("#ef-recording [aria-label=Clear]")


def answer_of(page, selector=".ef-answer"):
    page.wait_for_selector(f"#ef-result {selector}")
    return page.inner_text("#ef-result")


def test_recording_is_uploaded_and_recognised_and_removed(visit, place):
    page = visit()
    assert "A recording is processed on the machine that serves this page" in page.inner_text("#ef-about")
    give(page, place / "voice.wav")
    page.get_by_label("Transcript").fill("hello there")
    page.get_by_role("button", name="Recognise the emotion").click()
    answer = answer_of(page)
    assert all(label in answer for label in ("angry", "happy", "calm", "hello there"))
    assert len(uploads(place)) == 1
    content = page.content()
    assert "my-model" in content
    assert "secret-folder" not in content
    assert str(place) not in content
    page.close()
    for _ in range(100):
        if not uploads(place):
            break
        time.sleep(0.1)
    assert not uploads(place)


def test_page_works_with_keyboard_alone(visit, place):
    page = visit()
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(place / "voice.wav")
    page.wait_for_selector("#ef-recording [aria-label=Clear]")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    page.keyboard.type("hello")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "hello" in answer_of(page)


def test_long_recording_and_error_fit_phone(visit, place):
    page = visit(**PHONE)
    give(page, place / "letter.wav")
    page.tap("#ef-button")
    sentence = answer_of(page, "[role=alert]")
    assert "letter.wav" in sentence
    assert "/" not in sentence
    page.tap("#ef-recording [aria-label=Clear]")
    give(page, place / "call.wav")
    page.tap("#ef-button")
    assert answer_of(page).startswith("7 windows")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]


def test_microphone_is_recorded(visit):
    page = visit()
    page.get_by_role("button", name="Record audio").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.wait_for_selector("#ef-recording [aria-label=Clear]")
    page.get_by_role("button", name="Recognise the emotion").click()
    assert "most probable" in answer_of(page)


def test_only_page_is_served(visit, address, place):
    request = visit().request
    for path in ("/etc/hostname", place / "secret-folder" / "my-model" / "config.json", place / "voice.wav"):
        assert request.get(f"{address}/gradio_api/file={path}").status in (403, 404)
    large = {"files": {"name": "large.wav", "mimeType": "audio/wav", "buffer": bytes(51 * 10**6)}}
    reply = request.post(f"{address}/gradio_api/upload", multipart=large)
    assert reply.status == 413
    assert not uploads(place)
