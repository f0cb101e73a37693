"""A real browser on a page of another origin: it cannot post a prompt."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.async_api import BrowserContext, expect
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from tests.scripted import ScriptedEngine
from tests.servers import running_stack

PAGE = """<!doctype html><title>evil</title><body><pre id="seen"></pre>
<a id="link" href="{target}/">a link</a>
<iframe name="hidden"></iframe>
<form id="form" method="post" enctype="text/plain" target="hidden" action="{target}/">
<input name='{{"prompt": "posted by a form", "stop": ["' value='"]}}'></form>
<script>
const body = JSON.stringify({{prompt: "posted by a script"}});
const ways = {{
  simple: {{method: "POST", body, headers: {{"Content-Type": "text/plain"}}}},
  opaque: {{method: "POST", body, mode: "no-cors"}},
  json: {{method: "POST", body, headers: {{"Content-Type": "application/json"}}}},
}};
document.getElementById("form").submit();
(async () => {{
  for (const [name, way] of Object.entries(ways)) {{
    let seen;
    try {{
      const answer = await fetch("{target}/", way);
      seen = answer.type + " " + answer.status + " " + (await answer.text()).slice(0, 40);
    }} catch (error) {{
      seen = "refused";
    }}
    document.getElementById("seen").textContent += name + ": " + seen + ";";
  }}
}})();
</script>"""


@contextmanager
def serving(page: str) -> Iterator[int]:
    """A web server with one page; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


async def test_a_page_of_another_origin_cannot_post_a_prompt(
    context: BrowserContext, settings: Settings, redis: Redis, keys: Keys
) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        target = str(stack.client.base_url).rstrip("/")
        with serving(PAGE.format(target=target)) as port:
            # Another port is another origin; another name is another site, too.
            for name in ("127.0.0.1", "evil.localhost"):
                page = await context.new_page()
                await page.goto(f"http://{name}:{port}/")
                seen = "simple: refused;opaque: opaque 0 ;json: refused;"
                await expect(page.locator("#seen")).to_have_text(seen)
        assert not await redis.exists(f"{keys.namespace}:sequence"), "nothing was accepted"
        # The same server answers those who may.
        assert (await stack.ask("Hello."))["reply"] == "You said: Hello."
    assert len(engine.prompts) == 1


async def test_a_link_on_another_site_opens_the_chat_page(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        target = str(stack.client.base_url).rstrip("/")
        with serving(PAGE.format(target=target)) as port:
            page = await context.new_page()
            await page.goto(f"http://evil.localhost:{port}/")
            await page.locator("#link").click()
            await expect(page).to_have_url(f"{target}/")
            await expect(page.get_by_role("textbox").first).to_be_visible()
            await page.close()
