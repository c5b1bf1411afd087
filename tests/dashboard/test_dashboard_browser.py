"""The page in a real browser: from a prompt to a video that plays, and everything that can go otherwise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from dashboard_studio import open_page, open_studio
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from wan22.models.demo_weights import about
from wan22.tasks import ModelType

pytestmark = pytest.mark.browser

TASKS = "/api/v1/generation"
DROP = """(box, name) => {
    const canvas = document.createElement("canvas");
    return new Promise((done) => canvas.toBlob((blob) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([blob], name, { type: "image/png" }));
        box.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        done();
    }));
}"""


def fill(page: Page, prompt: str, **fields: str) -> None:
    """A small task."""
    page.get_by_label("Prompt").fill(prompt)
    for label, value in {"Size": "256x144", "Frames": "9", "Steps": "4", **fields}.items():
        page.get_by_label(label, exact=True).fill(value)


def generate(page: Page, prompt: str, **fields: str) -> Locator:
    """Fill the form, send it, and give the card that appears."""
    fill(page, prompt, **fields)
    before = page.locator(".card").count()
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".card")).to_have_count(before + 1)
    return page.locator(".card").first


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait for what Playwright has no expectation for; its own way needs eval, which the page's policy forbids."""
    for _ in range(200):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come to be in 10 s")


def state(card: Locator) -> Locator:
    return card.locator(".state")


def test_a_prompt_becomes_a_video_that_plays(page: Page) -> None:
    card = generate(page, "waves on a beach", Steps="20")
    expect(state(card)).to_contain_text("Denoising, step")
    expect(card.get_by_alt_text("How it looks so far")).to_be_visible()
    expect(state(card)).to_contain_text("Done in")
    video = card.locator("video")
    video.evaluate("video => video.play()")
    until(page, lambda: video.evaluate("video => video.currentTime") > 0.2)
    assert video.evaluate("video => [video.videoWidth, video.videoHeight, video.error]") == [256, 144, None]
    assert video.evaluate("video => video.getVideoPlaybackQuality().totalVideoFrames") > 0
    expect(card.get_by_role("link", name="Save mp4")).to_have_attribute("download", "")


def test_the_bar_moves_and_leaves(page: Page) -> None:
    card = generate(page, "waves", Steps="30")
    bar = card.get_by_role("progressbar", name="Progress")
    until(page, lambda: bar.evaluate("bar => bar.value") > 0.4)
    expect(bar).to_be_hidden()


def test_a_running_task_is_cancelled_and_tried_again(page: Page) -> None:
    card = generate(page, "a long one", Steps="200")
    expect(state(card)).to_contain_text("Denoising")
    card.get_by_role("button", name="Cancel").click()
    expect(state(card)).to_have_text("Cancelled")
    card.get_by_role("button", name="Try again").click()
    expect(page.locator(".card")).to_have_count(2)
    page.locator(".card").first.get_by_role("button", name="Cancel").click()
    expect(state(page.locator(".card").first)).to_have_text("Cancelled")


def test_those_behind_move_up(page: Page) -> None:
    first = generate(page, "one", Steps="200")
    generate(page, "two", Steps="200")
    third = generate(page, "three", Steps="200")
    expect(state(third)).to_have_text("Waiting, number 2 in the queue")
    page.locator(".card", has_text="one").get_by_role("button", name="Cancel").click()
    expect(state(third)).to_have_text("Waiting, next in the queue")
    assert first.count() == 1


def test_deleting_asks_first(page: Page, studio: str) -> None:
    card = generate(page, "waves")
    delete = card.get_by_role("button", name="Delete")
    delete.click()
    expect(card.get_by_role("button", name="Really delete?")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(0)
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    assert httpx.get(f"{studio}{TASKS}").json()["tasks"] == []


def test_a_failure_is_told_with_its_hint(page: Page, studio: str) -> None:
    card = generate(page, "fail")
    expect(state(card)).to_have_text("Failed")
    [task] = httpx.get(f"{studio}{TASKS}").json()["tasks"]
    expect(card.locator(".problem")).to_contain_text(task["error"]["detail"])
    expect(card.locator(".problem")).to_contain_text(task["error"]["hint"])


def test_a_wrong_field_is_told_beside_it(page: Page) -> None:
    fill(page, "waves", Frames="500")
    page.get_by_role("button", name="Generate").click()
    frames = page.get_by_label("Frames", exact=True)
    expect(frames).to_be_focused()
    expect(frames).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#num_frames-error")).to_contain_text("81")
    frames.fill("9")
    expect(page.locator("#num_frames-error")).to_have_count(0)


def test_a_wrong_field_under_more_is_shown(page: Page) -> None:
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Guidance", exact=True).fill("a lot")
    page.get_by_text("More", exact=True).click()
    fill(page, "waves")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#guidance_scale-error")).to_be_visible()


def test_a_chosen_picture_starts_the_video(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (256, 144), "teal").save(tmp_path / "start.png")
    page.get_by_label("Picture to start from").set_input_files(tmp_path / "start.png")
    expect(page.get_by_alt_text("The chosen picture")).to_be_visible()
    card = generate(page, "waves")
    expect(card.locator(".asked")).to_contain_text("I2V-A14B")
    expect(state(card)).to_contain_text("Done in")


def test_a_dropped_picture_can_be_removed(page: Page) -> None:
    page.locator(".drop[data-for=image]").evaluate(DROP, "dropped.png")
    expect(page.get_by_alt_text("The chosen picture")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_alt_text("The chosen picture")).to_be_hidden()
    expect(page.get_by_label("Picture to start from")).to_be_focused()


def test_the_keyboard_is_enough(page: Page) -> None:
    fill(page, "waves")
    page.get_by_label("Prompt").press("Control+Enter")
    card = page.locator(".card")
    expect(state(card)).to_contain_text("Done in")
    reuse = card.get_by_role("button", name="Use settings")
    reuse.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Prompt")).to_be_focused()
    assert page.get_by_label("Seed").input_value().isdigit()


def test_markup_in_a_prompt_is_text(page: Page) -> None:
    card = generate(page, "<img src=x onerror=alert(1)> & <b>bold</b>")
    expect(card.locator("h3")).to_have_text("<img src=x onerror=alert(1)> & <b>bold</b>")
    assert card.locator("h3 *").count() == 0


def test_a_server_that_goes_and_comes_back_is_noticed(chromium: Browser, tmp_path: Path) -> None:
    with ExitStack() as server:
        url = server.enter_context(open_studio(tmp_path / "home"))
        with open_page(chromium, url) as page:
            expect(state(generate(page, "before"))).to_contain_text("Done in")
            server.close()
            expect(page.locator("#connection")).to_contain_text("no connection")
            page.get_by_role("button", name="Generate").click()
            expect(page.locator("#form-error")).to_contain_text("The server can't be reached.")
            server.enter_context(open_studio(tmp_path / "home", port=int(url.rpartition(":")[2])))
            expect(page.locator("#connection")).to_have_text("live", timeout=20_000)
            expect(state(generate(page, "after"))).to_contain_text("Done in")


def test_a_server_with_a_key_is_used_by_logging_in(chromium: Browser, tmp_path: Path) -> None:
    login = {"username": "any", "password": "sesame"}
    with open_studio(tmp_path, api_key="sesame") as url, open_page(chromium, url, http_credentials=login) as page:
        card = generate(page, "waves")
        expect(state(card)).to_contain_text("Done in")
        card.locator("video").evaluate("video => video.play()")


def test_another_page_s_task_appears_and_goes(page: Page, studio: str) -> None:
    body = {"model_type": "T2V-A14B", "prompt": "from elsewhere", "resolution": "64x64", "num_frames": 5, "steps": 2}
    task = httpx.post(f"{studio}{TASKS}/submit", json=body).json()
    card = page.locator(".card", has_text="from elsewhere")
    expect(state(card)).to_contain_text("Done in")
    httpx.delete(f"{studio}{TASKS}/{task['task_id']}")
    page.reload()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()


def test_older_ones_are_shown_once(page: Page, studio: str) -> None:
    body = {"model_type": "T2V-A14B", "prompt": "one of many", "resolution": "64x64", "num_frames": 5, "steps": 1}
    with httpx.Client(base_url=studio) as client:
        client.post(f"{TASKS}/submit", json={**body, "steps": 200})
        ids = [client.post(f"{TASKS}/submit", json=body).json()["task_id"] for _ in range(24)]
        page.reload()
        page.get_by_role("button", name="Show older ones").click()
        expect(page.locator(".card")).to_have_count(25)
        with page.expect_response(lambda answer: answer.url.partition("?")[0].endswith(TASKS)):
            client.post(f"{TASKS}/{ids[-1]}/cancel").raise_for_status()
        expect(page.locator(".card", has_text="1 step ·").first).to_be_visible()
        expect(page.get_by_role("button", name="Show older ones")).to_be_hidden()


def test_the_weights_in_use_are_told(page: Page) -> None:
    note = page.locator("#form #demo-note")
    expect(note).to_contain_text("Demo weights for all models.")
    expect(note).to_contain_text(about(ModelType.T2V_A14B))
    page.get_by_label("Model").select_option("TI2V-5B")
    expect(note).to_contain_text("Demo weights for TI2V-5B.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_can_be_looked_at(chromium: Browser, studio: str, tmp_path: Path, scheme: str, width: int) -> None:
    """The pictures lie in the test's folder; run pytest with --basetemp to find them."""
    size = {"width": width, "height": 844}
    with open_page(chromium, studio, viewport=size, color_scheme=scheme) as page:
        generate(page, "fail")
        expect(state(generate(page, "waves on a beach at night, long exposure, cinematic"))).to_contain_text("Done in")
        generate(page, "a long one", Steps="200")
        generate(page, "one that waits " * 12)
        page.get_by_label("Frames", exact=True).fill("500")
        page.get_by_role("button", name="Generate").click()
        expect(page.locator("#num_frames-error")).to_be_visible()
        page.get_by_text("More", exact=True).click()
        page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
