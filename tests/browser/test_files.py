"""Files and pictures: by the button, from the clipboard, dropped."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import FilePayload, expect

from tests.browser.reader import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (120, 80), "teal").save(out, "PNG")
    return out.getvalue()


NOTES: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"remember the milk"}
GIVE = """([target, name, type, data, event]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const make = { drop: DragEvent, paste: ClipboardEvent }[event];
  const key = event === "drop" ? "dataTransfer" : "clipboardData";
  document.querySelector(target).dispatchEvent(
    new make(event, { [key]: transfer, bubbles: true, cancelable: true }));
}"""


async def give(reader: Reader, event: str, target: str, name: str, kind: str, data: bytes) -> None:
    """Drop a file on the page, or paste it."""
    encoded = base64.b64encode(data).decode()
    await reader.page.evaluate(GIVE, [target, name, kind, encoded, event])


async def test_a_file_from_the_button_is_sent_and_can_be_saved(reader: Reader) -> None:
    await reader.page.locator(".composer input[type=file]").set_input_files(NOTES)
    await expect(reader.page.get_by_role("list", name="Files to send")).to_contain_text("17 bytes")
    await reader.say("my notes")
    message = reader.message("my notes")
    link = message.get_by_role("link", name="notes.txt")
    await expect(link).to_be_visible()
    await expect(reader.page.get_by_role("list", name="Files to send")).to_have_count(0)
    async with reader.page.expect_download() as download:
        await link.click()
    assert (await download.value).suggested_filename == "notes.txt"


async def test_a_dropped_picture_is_shown(reader: Reader) -> None:
    await give(reader, "drop", "#chat", "teal.png", "image/png", picture())
    await expect(reader.button("Remove teal.png")).to_be_visible()
    await expect(reader.button("Send")).to_be_enabled()
    await reader.field.press("Enter")
    image = reader.messages.locator("img[alt='teal.png']")
    await expect(image).to_be_visible()
    shown = await image.evaluate("(node) => node.decode().then(() => node.naturalWidth)")
    assert shown == 120
    await expect(image).to_have_attribute("src", re.compile(r"^/files/\d+/\d+/teal\.png$"))
    await reader.picture("picture")


async def test_a_pasted_picture_waits_to_be_sent_and_can_be_removed(reader: Reader) -> None:
    await give(reader, "paste", ".composer textarea", "pasted.png", "image/png", picture())
    await reader.button("Remove pasted.png").click()
    await expect(reader.button("Send")).to_be_disabled()


async def test_a_text_too_long_for_a_message_becomes_a_file(reader: Reader) -> None:
    await reader.page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text/plain", "long ".repeat(1000));
          document.querySelector(".composer textarea").dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    await expect(reader.button("Remove message.txt")).to_be_visible()
    await reader.button("Remove message.txt").click()


async def test_a_message_that_is_too_long_cant_be_sent(reader: Reader) -> None:
    await reader.field.fill("a" * 2005)
    await expect(reader.page.locator(".count")).to_have_text("-5")
    await expect(reader.button("Send")).to_be_disabled()
    await reader.field.fill("")


async def test_a_file_that_is_too_large_is_refused_in_a_sentence(
    reader: Reader, tmp_path: Path
) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(10 * 1024 * 1024 + 1))
    await reader.page.locator(".composer input[type=file]").set_input_files(big)
    await expect(reader.page.get_by_role("alert")).to_contain_text("big.bin is larger than 10.0 MB")
    await expect(reader.page.locator(".uploads li")).to_have_count(0)
    await reader.button("Dismiss").click()


async def test_the_bot_reads_an_attached_text(reader: Reader) -> None:
    await reader.page.locator(".composer input[type=file]").set_input_files(
        {**NOTES, "name": "my notes, 100%.txt"}
    )
    await expect(reader.button("Remove my notes, 100%.txt")).to_be_visible()
    await expect(reader.button("Send")).to_be_enabled()
    await reader.ask("what stands in this file?")
    lmstudio = reader.demo.lmstudio
    assert lmstudio is not None
    assert "remember the milk" in str(lmstudio.completions[-1].messages)
