"""The chat page can be installed: manifest, icons of the sizes it names, the page's colours."""

import re
import struct

from api.web.pages import STATIC
from shared.config import Settings
from tests.servers import running_stack


async def test_the_manifest_and_its_icons_are_served_as_what_they_are(settings: Settings) -> None:
    async with running_stack(settings) as stack:
        page = await stack.client.get("/", headers={"Accept": "text/html"})
        assert "manifest-src 'self'" in page.headers["content-security-policy"]
        [address] = re.findall(r'rel="manifest" href="([^"]+)"', page.text)
        answer = await stack.client.get(address)
        assert answer.headers["content-type"].startswith("application/manifest+json")
        manifest = answer.json()
        assert (manifest["start_url"], manifest["display"]) == ("/", "standalone")
        for icon in manifest["icons"]:
            drawn = await stack.client.get(icon["src"])
            assert drawn.headers["content-type"] == icon["type"]
            if icon["type"] == "image/png":
                assert icon["sizes"] == "{}x{}".format(*struct.unpack(">II", drawn.content[16:24]))
        [touch] = re.findall(r'rel="apple-touch-icon" href="([^"]+)"', page.text)
        assert (await stack.client.get(touch)).status_code == 200


def test_the_browsers_bars_have_the_colour_of_the_page() -> None:
    style = (STATIC / "base.css").read_text(encoding="utf-8")
    page = (STATIC / "chat.html").read_text(encoding="utf-8")
    colours = re.findall(r'name="theme-color" content="(#\w+)"', page)
    [paper] = re.findall(r"--paper: light-dark\((#\w+), (#\w+)\);", style)
    assert colours == list(paper)
