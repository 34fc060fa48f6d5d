"""Files on their way to the app: how much of one is sent, one that is too large or refused, a lost connection."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from benchmarks.browser import throttle
from benchmarks.serving import free_port, start
from tests.app.harness import GALLERY, Open, Server, Visit, start_app
from tests.bundles import make_bundle, photo

pytestmark = pytest.mark.slow

LOST = "The file did not arrive: the connection to the server was lost or it refused the file. Try again."
# Keeps every text that the sign of a wait has shown.
KEEP_SAID = """() => {
  window.said = [];
  const keep = () => {
    const text = document.querySelector(".campus-waiting")?.textContent;
    if (text && text !== said.at(-1)) said.push(text);
  };
  new MutationObserver(keep).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


# Run by Python as it starts: notes each file that is opened in the folder of temporary files, unnamed ones too.
NOTE_OPENED = """
import os, sys, tempfile
folder = tempfile.gettempdir()  # which tries it out with a file
notes = os.open(os.environ["CAMPUS_TEST_NOTES"], os.O_WRONLY | os.O_APPEND)
def note(event, args):
    if event == "open" and str(args[0]).startswith(folder):
        os.write(notes, f"{args[0]}\\n".encode())
sys.addaudithook(note)
"""


def slowed(page: Any, mbit_s: float) -> Any:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    throttle(devtools, mbit_s, 50)
    return devtools


def campus_field(seen: Visit) -> Any:
    """The field for a campus file, on its page."""
    seen.turn_to(2)
    seen.page.get_by_text("About this campus model").wait_for()
    field = seen.page.locator(".st-key-campus_file [data-testid=stFileUploaderDropzoneInput]")
    field.wait_for(state="attached")
    return field


@pytest.fixture(scope="module")
def hill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another campus, packed."""
    folder = tmp_path_factory.mktemp("hill")
    return make_bundle(folder / "hill.campus", name="Hillside", lat=-33.9, lon=18.4, rendered=False)


def test_a_campus_file_of_the_demo_s_size_is_taken_and_one_that_is_too_large_says_so(
    visit: Open, tmp_path: Path
) -> None:
    """The demo's own download is 32 MB: more than a photo may be, less than a campus may be."""
    seen = visit()
    page, field = seen.page, campus_field(seen)
    large = tmp_path / "large.campus"
    with large.open("wb") as file:
        file.truncate(201 << 20)
    field.set_input_files(large)
    page.get_by_role("alert").get_by_text("larger than 200 MB").wait_for()
    seen.screenshot("upload-too-large")
    expect(page.locator("[data-testid=stFileChip]")).to_have_count(0)
    seen.rests()
    with (tmp_path / "usual.campus").open("wb") as file:
        file.truncate(33_000_000)
    field.set_input_files(tmp_path / "usual.campus")
    page.get_by_text("This campus cannot be opened.").wait_for()  # it arrived, and is looked into
    assert seen.errors == []
    assert seen.outside == []


# The gallery's photo has arrived, and a run of the page reads it.
RUNNING, SENDING = "[data-test-script-state=running]", "[data-testid=stFileChipIconSpinner]"
READ = f"html:has({RUNNING}) .st-key-gallery [data-testid=stFileChip]:not(:has({SENDING}))"


def test_a_photo_chosen_while_the_one_before_is_read_is_not_lost(visit: Open, server: Server) -> None:
    """The gallery's field is another one once its photo was read."""
    seen = visit()
    page = seen.page
    seen.gallery(photo(east_m=-52, north_m=68, size=(4600, 3400), format="PNG"), name="a.png", kind="image/png")
    with server.held_at(page, READ):
        for name, there in (("b.jpg", (50, -34)), ("c.jpg", (-70, 0))):
            shot = photo(east_m=there[0], north_m=there[1])
            page.locator(GALLERY).set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": shot})
    page.locator("section.answer", has_text="Law").wait_for()
    seen.turn_to(1)
    expect(page.locator(".logged .file")).to_have_text(["c.jpg", "b.jpg", "a.png"])
    seen.clean()


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_file_on_its_way_says_how_much_of_it_is_sent(visit: Open, lang: str) -> None:
    seen = visit(lang=lang)
    page = seen.page
    page.evaluate(KEEP_SAID)
    seen.rests()
    devtools = slowed(page, 1)
    large = photo(east_m=-52, north_m=68) + bytes(3_000_000)  # no pause of the machine is long enough for all of it
    seen.gallery(large)
    page.wait_for_function("said.filter((text) => /(?<![0-9])[1-9][0-9]?\\s%/.test(text)).length >= 2")
    throttle(devtools, 1000, 0)
    page.locator("section.answer").wait_for()
    said = page.evaluate("said")
    shares = [int(share) for share in re.findall(rf"{'שולח' if lang == 'he' else 'Sending'}… (\d+)\s%", " ".join(said))]
    assert shares == sorted(set(shares)), said
    assert len([share for share in shares if 0 < share < 100]) >= 2, said
    seen.clean()


def test_a_connection_lost_while_a_campus_is_sent_is_a_sentence_and_it_can_be_sent_again(
    visit: Open, bundle: Path, hill: Path, tmp_path: Path
) -> None:
    port = free_port()
    running = start_app({"CAMPUS_BUNDLE": str(bundle)}, port)
    try:
        seen = visit(url=running.url)
        page = seen.page
        field = campus_field(seen)
        devtools = slowed(page, 4)
        with (tmp_path / "usual.campus").open("wb") as file:
            file.truncate(33_000_000)
        field.set_input_files(tmp_path / "usual.campus")
        page.get_by_text(re.compile(r"Sending… \d+\s%")).wait_for()
        running.process.kill()
        running.process.wait(10)
        page.get_by_role("alert").get_by_text(LOST).wait_for()
        expect(page.locator(".campus-waiting")).to_have_count(0)
        seen.screenshot("upload-lost")
        running = start_app({"CAMPUS_BUNDLE": str(bundle)}, port)
        page.get_by_text("No connection to the server").wait_for(state="detached")
        throttle(devtools, 1000, 0)
        seen.rests()
        field.set_input_files(hill)
        page.get_by_role("heading", name="Hillside").wait_for()
        expect(page.get_by_text(LOST)).to_have_count(0)
    finally:
        running.process.kill()
        running.process.wait(10)


def test_a_file_that_the_server_refuses_is_a_sentence(visit: Open, bundle: Path, tmp_path: Path) -> None:
    """A server, or a proxy before it, that takes less than the page's own field does answers 413."""
    strict = start_app({"CAMPUS_BUNDLE": str(bundle), "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "1"})
    try:
        seen = visit(url=strict.url)
        field = campus_field(seen)
        with (tmp_path / "usual.campus").open("wb") as file:
            file.truncate(3_000_000)
        with seen.page.expect_response(lambda answer: answer.status == 413):
            field.set_input_files(tmp_path / "usual.campus")
        seen.page.get_by_role("alert").get_by_text(LOST).wait_for()
        expect(seen.page.locator("[data-testid=stFileChip]")).to_have_count(0)
        expect(seen.page.locator(".campus-waiting")).to_have_count(0)
        assert "Axios" not in seen.page.locator("body").inner_text()
    finally:
        strict.stop()


@pytest.mark.parametrize("served", [False, True], ids=["scripts/app", "app.serve"])
def test_no_upload_becomes_a_temporary_file(
    browser: Any, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    hooks, notes, temporary = tmp_path / "hooks", tmp_path / "notes", tmp_path / "temporary"
    for folder in (hooks, temporary):
        folder.mkdir()
    (hooks / "sitecustomize.py").write_text(NOTE_OPENED)
    notes.touch()
    for name, path in (("PYTHONPATH", hooks), ("TMPDIR", temporary), ("CAMPUS_TEST_NOTES", notes)):
        monkeypatch.setenv(name, str(path))
    process: subprocess.Popen[str] | subprocess.Popen[bytes]
    if served:
        running = start(tmp_path / "keys", bundle, "--open", "--no-inbox")
        url, process = running.home, running.process
    else:
        plain = start_app({"CAMPUS_BUNDLE": str(bundle)})
        url, process = plain.url, plain.process
    monkeypatch.undo()
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(90_000)
    try:
        seen = Visit(context.new_page())
        seen.page.goto(f"{url}/?lang=en")
        seen.gallery(photo(east_m=-52, north_m=68) + bytes(3_000_000))
        seen.page.locator("section.answer").get_by_text("Library").wait_for()
        assert notes.read_text() == ""
    finally:
        context.close()
        process.terminate()
        process.wait(90)
