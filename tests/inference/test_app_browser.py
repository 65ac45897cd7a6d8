"""The page in a real browser: one server, one Chromium. Skipped where Chromium, gradio or playwright is not installed."""

import re
import shutil
import socket
import time
from importlib.util import find_spec
from urllib.parse import urlsplit

import httpx
import pytest
import soundfile
from emofusion.cli.loading import load_pipeline
from emofusion.inference.app import Page
from emofusion.inference.app_answers import Limits
from emofusion.inference.app_events import BEFORE, RECORDING
from testing_meld import write_video
from testing_model_folder import make_model_folder
from testing_pipeline import RATE, build, noise

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("Chromium is not installed (Debian: apt-get install chromium)", allow_module_level=True)
if find_spec("gradio") is None:  # its import takes seconds, in every process that collects the tests
    pytest.skip("gradio is not installed (pip install 'emofusion[app]')", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

# Of libraries of gradio.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
# The sandbox needs rights that containers lack; the microphone is a beep.
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
UPLOAD = re.compile(r"/upload($|\?)")
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and recordings."""
    place = tmp_path_factory.mktemp("page")
    make_model_folder(place / "secret-folder" / "my-model")
    for name, seconds in (("voice.wav", 1), ("call.wav", 65)):
        soundfile.write(place / name, noise(seconds * RATE), RATE)
    write_video(place / "clip.mp4", 1.0, 440)
    (place / "letter.wav").write_text("This is a letter.")
    return place


@pytest.fixture(scope="module")
def served(place):
    """The page, served by a thread of this process, which has the libraries already."""
    served = Page(
        load_pipeline(str(place / "secret-folder" / "my-model"), device="cpu"), "my-model", Limits(megabytes=3)
    )
    yield served
    served.close()
    assert not served.folder.exists()


@pytest.fixture(scope="module")
def address(served):
    """The address of the page."""
    return served.open("127.0.0.1").rstrip("/")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page; at the end, checks that it asked no other server."""
    contexts, asked, choosers = [], [], []

    def open_page(at=address, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        # The browser takes a while until it reports choosers: Enter right after would open one that nobody sees.
        page.on("filechooser", lambda chooser: choosers.append(chooser))
        page.goto(at)
        page.wait_for_selector("#ef-recording input[type=file]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    servers = {urlsplit(url).hostname for url in asked if not url.startswith(("blob:", "data:"))}
    assert servers == {"127.0.0.1"}


def uploads(served):
    return [file for file in served.folder.rglob("*") if file.is_file()]


def give(page, file):
    page.set_input_files("#ef-recording input[type=file]", file)
    page.wait_for_selector("#ef-recording [aria-label=Clear]")


def tab_to(page, name):
    """Press Tab until the element with a name, label or text has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = "(e => [e.ariaLabel, e.innerText, e.labels?.[0]?.innerText].join())(document.activeElement)"
        if name in page.evaluate(focused) and page.evaluate("document.activeElement !== document.body"):
            return
    raise AssertionError(f"{name} is not reached with Tab")


def wait_until(is_reached):
    for _ in range(600):
        if is_reached():
            return
        time.sleep(0.1)
    raise AssertionError("The state is not reached")


def answer_of(page, selector=".ef-answer"):
    """What the page says instead of the hint that it had at first; it must match the selector."""
    page.wait_for_selector(f"#ef-result :is(.ef-answer, [role=alert], .ef-hint:not(:text-is('{BEFORE}')))")
    shown = page.inner_text("#ef-result")
    assert page.query_selector(f"#ef-result {selector}"), shown
    return shown


def hold_uploads(page):
    """Hold the uploads of a page; returns what lets them go on, once one has begun."""
    held = []
    page.route(UPLOAD, lambda route: held.append(route))

    def release():
        while not held:
            page.wait_for_timeout(20)
        held.pop().continue_()

    return release


def test_recording_is_uploaded_and_recognised_and_removed(visit, served, place):
    page = visit()
    assert "A recording is processed on the machine that serves this page" in page.inner_text("#ef-about")
    give(page, place / "voice.wav")
    page.get_by_label("Transcript").fill("hello there")
    page.get_by_role("button", name="Recognise the emotion").click()
    answer = answer_of(page)
    assert all(label in answer for label in ("angry", "happy", "calm", "hello there"))
    page.get_by_role("button", name="Explain the answer").click()
    assert page.wait_for_selector("#ef-picture img").bounding_box()["width"] > 500
    assert len(uploads(served)) == 1
    content = page.content()
    assert "my-model" in content
    assert "secret-folder" not in content
    assert str(place) not in content
    page.close()
    wait_until(lambda: not uploads(served))


def test_video_and_earlier_turns_are_offered_by_models_that_read_them(visit, place):
    page = visit()
    for box in ("#ef-video", "#ef-turns", "#ef-speaker"):
        assert not page.is_visible(box)
    watching = Page(build("wavfusion", settings={"context_turns": 2}), "my-model")
    try:
        page = visit(watching.open("127.0.0.1").rstrip("/"), **PHONE)
        release = hold_uploads(page)
        page.set_input_files("#ef-video input[type=file]", place / "clip.mp4")
        page.get_by_role("textbox", name="Transcript").fill("what a lovely morning")
        page.get_by_role("textbox", name="Earlier turns (").fill("Ann: go away")
        page.get_by_role("textbox", name="Speaker of the recording").fill("Ben")
        page.tap("#ef-explain")  # it waits for the video
        release()
        assert "lovely" in answer_of(page)
        assert not page.is_visible("#ef-video [aria-label='Trim video to selection']")
        page.wait_for_selector("#ef-picture img")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
        page.close()
        page = visit()  # the page that was opened first
        give(page, place / "voice.wav")
        page.click("#ef-button")
        assert "most probable" in answer_of(page)
        page.close()
        wait_until(lambda: not uploads(watching))
    finally:
        watching.close()


def test_files_are_removed_after_their_time_while_the_visitor_stays(place, served):
    page = Page(served.recognise, "my-model", Limits(kept_seconds=1))
    try:
        address = page.open("127.0.0.1")
        with (place / "voice.wav").open("rb") as file:
            (saved,) = httpx.post(f"{address}gradio_api/upload", files={"files": file}, timeout=60).json()
        assert saved.startswith(f"{page.folder}/")
        wait_until(lambda: not uploads(page))
    finally:
        page.close()


def test_page_works_with_keyboard_alone(visit, place):
    page = visit()
    tab_to(page, "Drop an audio file here to upload")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(place / "voice.wav")
    page.wait_for_selector("#ef-recording [aria-label=Clear]")
    tab_to(page, "Transcript")
    page.keyboard.type("hello")
    tab_to(page, "Recognise the emotion")
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


def record(page):
    page.get_by_role("button", name="Record audio").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_selector("#ef-recording time.duration:text('0:01')")
    page.get_by_role("button", name="Stop", exact=True).click()


def test_microphone_is_recorded_and_buttons_wait_for_the_recording(visit):
    page = visit()
    release = hold_uploads(page)
    record(page)
    assert page.inner_text("#ef-result") == RECORDING
    assert page.is_disabled("#ef-button")
    assert page.is_disabled("#ef-explain")
    release()
    page.click("#ef-button")
    assert "most probable" in answer_of(page)


def test_recording_that_does_not_arrive_can_be_replaced(visit, place):
    page = visit()
    page.route(UPLOAD, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        record(page)
    page.unroute(UPLOAD)
    page.get_by_role("button", name="Upload file").click()
    give(page, place / "voice.wav")
    page.click("#ef-button")
    assert "most probable" in answer_of(page)


def test_part_of_a_recording_is_removed_when_its_visitor_leaves(address, served):
    there = urlsplit(address)
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="voice.wav"\r\n\r\nRIFF'
    with socket.create_connection((there.hostname, there.port)) as visitor:
        visitor.sendall(f"{head}Content-Length: 9999\r\n\r\n{part}".encode())
        wait_until(lambda: uploads(served))
    wait_until(lambda: not uploads(served))


def test_only_page_is_served(visit, address, served, place):
    request = visit().request
    for path in ("/etc/hostname", place / "secret-folder" / "my-model" / "config.json", place / "voice.wav"):
        assert request.get(f"{address}/gradio_api/file={path}").status in (403, 404)
    large = {"files": ("large.wav", bytes(4 * 2**20), "audio/wav")}
    assert httpx.post(f"{address}/gradio_api/upload", files=large, timeout=60).status_code == 413
    wait_until(lambda: not uploads(served))
