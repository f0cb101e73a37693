"""Who may talk to the API: hosts, origins and proxies, judged by headers alone."""

from typing import Any

import falcon.asgi
import pytest
from falcon import testing

from api.http.errors import install_error_handlers
from api.http.guards import Guards
from api.routes import PATHS
from tests.servers import make_settings


class Anything:
    """Answers every request that the guards let through."""

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.media = {"reached": True}

    on_head = on_post = on_get


def guarded(**variables: Any) -> testing.TestClient:
    """An application behind guards with these settings."""
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(
        middleware=[Guards(make_settings("unix:///unused", **variables), PATHS)]
    )
    install_error_handlers(app)
    for path in ("/", "/data", "/healthz", "/readyz"):
        app.add_route(path, Anything())
    return testing.TestClient(app)


@pytest.fixture(scope="module")
def client() -> testing.TestClient:
    return guarded()


def refusal(
    client: testing.TestClient, path: str = "/", *, host: str = "127.0.0.1:3000", **headers: str
) -> str | None:
    """The code under which a request with these headers is refused; None if it is let through."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    result = client.simulate_post(path, host=host, headers=named, body="{}")
    if result.status_code == 200:
        return None
    assert result.status_code == 403
    return str(result.json["code"])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:3000",
        "LOCALHOST:3000",
        "LocalHost",
        "localhost.",
        "localhost.:3000",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.0.0.1.",
        "127.1.2.3",
        "127.255.255.254:80",
        "[::1]",
        "[::1]:3000",
    ],
)
def test_loopback_hosts_are_let_through(client: testing.TestClient, host: str) -> None:
    assert refusal(client, host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com:3000",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "example.com.localhost.",
        "notlocalhost",
        "localhost..",
        "128.0.0.1",
        "0.0.0.0:3000",
        "10.0.0.1",
        "1127.0.0.1",
        "127.0.0",
        "127.0.0.1.1",
        "[::2]",
        "[::1].example.com",
        "[::ffff:8.8.8.8]",
        "localhost,example.com",
    ],
)
def test_strangers_are_refused(client: testing.TestClient, host: str) -> None:
    assert refusal(client, host=host) == "host_refused"


@pytest.mark.parametrize(
    "host",
    [
        ":3000",
        ".",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[localhost]",
        "[::1]3000",
        "localhost:",
        "localhost:port",
        "localhost:-1",
        "localhost:65536",
        "localhost:999999",
        "localhost:3000:3000",
        "local host",
        "localhost/",
        "localhost?",
        "localhost#",
        "http://localhost",
        "user@localhost",
        "localhost:3000@example.com",
        "localhost@example.com:3000",
        "example.com#@localhost",
    ],
)
def test_malformed_hosts_are_refused(client: testing.TestClient, host: str) -> None:
    assert refusal(client, host=host) == "host_refused"


def test_a_request_without_a_host_is_refused(client: testing.TestClient) -> None:
    assert client.simulate_get("/", http_version="1.0").status_code == 403


def test_an_allowed_host_is_let_through_whatever_its_port_and_case() -> None:
    client = guarded(PALAVER_ALLOWED_HOSTS="Chat.Example.com, [FD00::1], other.example:8080")
    for host in ("chat.example.com", "CHAT.example.com:8443", "chat.example.com.", "[fd00::1]:80"):
        assert refusal(client, host=host) is None
    assert refusal(client, host="other.example") is None
    assert refusal(client, host="localhost") is None
    assert refusal(client, host="evil.chat.example.com") == "host_refused"
    assert refusal(client, host="chat.example.com.evil.com") == "host_refused"
    assert refusal(client, host=".") == "host_refused"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("localhost:3000", "http://localhost:3000"),
        ("localhost:3000", "http://LOCALHOST:3000"),
        ("LOCALHOST:3000", "http://localhost:3000"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("localhost:443", "https://localhost"),
        ("localhost", "https://localhost"),
        ("[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_the_own_origin_is_let_through(client: testing.TestClient, host: str, origin: str) -> None:
    assert refusal(client, host=host, Origin=origin) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3001"),
        ("127.0.0.1:3000", "http://127.0.0.1"),
        ("127.0.0.1:3000", "http://localhost:3000"),
        ("127.0.0.1:3000", "http://127.0.0.2:3000"),
        ("localhost:3000", "http://example.com"),
        ("localhost:3000", "http://localhost.example.com:3000"),
        ("localhost:80", "https://localhost"),
        ("localhost:443", "http://localhost"),
        ("localhost:3000", "null"),
        ("localhost:3000", ""),
        ("localhost:3000", "localhost:3000"),
        ("localhost:3000", "//localhost:3000"),
        ("localhost:3000", "ftp://localhost:3000"),
        ("localhost:3000", "file://localhost:3000"),
        ("localhost:3000", "chrome-extension://localhost:3000"),
        ("localhost:3000", "http://localhost:3000/"),
        ("localhost:3000", "http://localhost:3000/chat"),
        ("localhost:3000", "http://localhost:3000?a"),
        ("localhost:3000", "http://localhost:3000#a"),
        ("localhost:3000", "http://user@localhost:3000"),
        ("localhost:3000", "http://localhost:3000@example.com"),
        ("localhost:3000", "http://example.com@localhost:3000"),
        ("localhost:3000", "http://localhost:3000 http://example.com"),
        ("localhost:3000", "http://localhost:port"),
        ("localhost:3000", "http://"),
        ("[::1]:3000", "http://[::2]:3000"),
        ("[::1]:3000", "http://[::1"),
        ("[::1]:3000", "http://::1]:3000"),
        ("[::1]:3000", "http://[::1]x:3000"),
        ("[::1]:3000", "http://[not-an-address]:3000"),
    ],
)
def test_other_origins_are_refused(client: testing.TestClient, host: str, origin: str) -> None:
    assert refusal(client, host=host, Origin=origin) == "origin_refused"


def test_an_allowed_origin_is_let_through_exactly() -> None:
    client = guarded(PALAVER_ALLOWED_ORIGINS="https://chat.example.com, http://other.example:8080")
    assert refusal(client, Origin="https://chat.example.com") is None
    assert refusal(client, Origin="http://other.example:8080") is None
    for origin in (
        "http://chat.example.com",
        "https://chat.example.com:8443",
        "https://sub.chat.example.com",
        "https://chat.example.com.evil.com",
        "http://other.example",
        "null",
    ):
        assert refusal(client, Origin=origin) == "origin_refused"


def test_an_allowed_host_does_not_allow_its_origins() -> None:
    client = guarded(PALAVER_ALLOWED_HOSTS="chat.example.com")
    assert refusal(client, Origin="http://chat.example.com") == "origin_refused"


def test_an_allowed_origin_does_not_allow_its_host() -> None:
    client = guarded(PALAVER_ALLOWED_ORIGINS="http://chat.example.com")
    own_origin = "http://chat.example.com"
    assert refusal(client, host="chat.example.com", Origin=own_origin) == "host_refused"


@pytest.mark.parametrize("site", ["cross-site", "Cross-Site", "CROSS-SITE"])
def test_cross_site_requests_are_refused(client: testing.TestClient, site: str) -> None:
    assert refusal(client, Sec_Fetch_Site=site) == "origin_refused"


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
def test_other_sites_are_judged_by_their_origin(client: testing.TestClient, site: str) -> None:
    assert refusal(client, Sec_Fetch_Site=site) is None
    assert refusal(client, Sec_Fetch_Site=site, Origin="http://evil.com") == "origin_refused"


def test_curl_sends_no_origin_and_is_let_through(client: testing.TestClient) -> None:
    assert refusal(client, User_Agent="curl/8.5.0", Accept="*/*") is None


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "forwarded",
        "X-Forwarded-For",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "Via",
    ],
)
def test_a_proxy_before_an_open_server_is_refused(client: testing.TestClient, header: str) -> None:
    assert refusal(client, **{header: "127.0.0.1"}) == "proxy_refused"
    assert refusal(guarded(PALAVER_ALLOW_OPEN="1"), **{header: "127.0.0.1"}) is None


def test_allow_open_still_checks_host_and_origin() -> None:
    client = guarded(PALAVER_ALLOW_OPEN="1")
    assert refusal(client, host="example.com") == "host_refused"
    assert refusal(client, Origin="http://example.com") == "origin_refused"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_to_any_host_and_through_any_proxy(
    client: testing.TestClient, path: str
) -> None:
    assert refusal(client, path, host="10.1.2.3:3000", Via="1.1 proxy") is None


@pytest.mark.parametrize("path", ["//healthz", "/healthz/x", "/x/healthz", "/healthz2"])
def test_only_health_itself_is_exempt(client: testing.TestClient, path: str) -> None:
    assert refusal(client, path, host="example.com") == "host_refused"


def test_a_refused_stranger_does_not_learn_which_paths_exist(client: testing.TestClient) -> None:
    result = client.simulate_get("/nothing/here", host="example.com")
    assert result.status_code == 403
    assert result.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in result.headers


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.20:3000", "[fd00::1]:3000", "8.8.8.8"])
def test_on_a_network_addresses_are_hosts_and_names_are_not(host: str) -> None:
    client = guarded(HOST="0.0.0.0", PALAVER_ALLOW_OPEN="1")
    assert refusal(client, host=host) is None
    assert refusal(client, host=host, Origin=f"http://{host}") is None
    assert refusal(client, host=host, Origin="http://evil.example") == "origin_refused"
    assert refusal(guarded(), host=host) == "host_refused"
    for name in ("evil.example", "10.0.0.1.evil.example", "10.0.0", "0x0a.1", "1.2.3.4.5"):
        assert refusal(client, host=name) == "host_refused", name


LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
HTML = {"Accept": "text/html,*/*;q=0.8"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_link_on_another_site_leads_to_a_page(client: testing.TestClient, method: str) -> None:
    result = client.simulate_request(method, "/", host="localhost", headers=LINK | HTML)
    assert result.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/", LINK | HTML),
        ("GET", "/", LINK),
        ("GET", "/", LINK | {"Accept": "application/json"}),
        ("GET", "/data", LINK | HTML),
        ("GET", "/", LINK | HTML | {"Sec-Fetch-Dest": "iframe"}),
        ("GET", "/", LINK | HTML | {"Sec-Fetch-Mode": "no-cors"}),
        ("GET", "/", {"Sec-Fetch-Site": "cross-site"} | HTML),
        ("GET", "/", LINK | HTML | {"Origin": "https://evil.example"}),
        ("GET", "/", LINK | HTML | {"Host": "evil.example"}),
    ],
)
def test_nothing_else_of_another_site_does(
    client: testing.TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    result = client.simulate_request(method, path, headers={"Host": "localhost"} | headers)
    assert result.status_code == 403


def test_a_browser_under_a_refused_name_is_told_what_to_set(client: testing.TestClient) -> None:
    result = client.simulate_get("/", host="chat.example", headers=HTML)
    assert result.status_code == 403
    assert result.headers["content-type"].startswith("text/html")
    assert "<code>PALAVER_ALLOWED_HOSTS=chat.example</code>" in result.text
    assert client.simulate_get("/", host="chat.example").json["code"] == "host_refused"
    assert client.simulate_post("/", host="chat.example", headers=HTML).json


def test_what_a_browser_is_told_is_escaped(client: testing.TestClient) -> None:
    result = client.simulate_get("/", host="<script>alert(1)<.example", headers=HTML)
    assert "&lt;script&gt;alert(1)&lt;" in result.text
    assert "<script" not in result.text


ALLOWED = "https://chat.example.com"


@pytest.fixture(scope="module")
def sharing() -> testing.TestClient:
    return guarded(PALAVER_ALLOWED_ORIGINS=ALLOWED)


def test_a_preflight_allows_what_it_asks_for(sharing: testing.TestClient) -> None:
    asked = "authorization, content-type, x-stainless-os, x-stainless-retry-count"
    headers = {
        "Origin": ALLOWED,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": asked,
    }
    told = sharing.simulate_options("/", host="localhost", headers=headers).headers
    assert told["access-control-allow-origin"] == ALLOWED
    assert told["access-control-allow-headers"] == asked
    assert told["access-control-allow-methods"] == "DELETE"
    assert told["access-control-max-age"] == "86400"
    assert "Origin" in told["vary"]


def test_a_preflight_echoes_names_only(sharing: testing.TestClient) -> None:
    headers = {"Origin": ALLOWED, "Access-Control-Request-Headers": "a b: <c>"}
    told = sharing.simulate_options("/", host="localhost", headers=headers).headers
    assert "access-control-allow-headers" not in told


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_answers_and_errors_are_shared_with_allowed_origins(
    sharing: testing.TestClient, path: str
) -> None:
    told = sharing.simulate_get(path, host="localhost", headers={"Origin": ALLOWED}).headers
    assert told["access-control-allow-origin"] == ALLOWED
    exposed = told["access-control-expose-headers"].lower().split(", ")
    assert {"x-request-id", "retry-after", "location", "preference-applied"} <= set(exposed)
    assert "x-ratelimit-remaining-requests" in exposed
    assert told["vary"] == "Origin"


def test_others_are_told_that_it_depends_and_nothing_more(sharing: testing.TestClient) -> None:
    for headers in ({}, {"Origin": "https://evil.example"}):
        told = sharing.simulate_get("/", host="localhost", headers=headers).headers
        assert told["vary"] == "Origin"
        assert not [name for name in told if name.startswith("access-control")]


def test_a_refused_request_of_an_allowed_origin_can_be_read(sharing: testing.TestClient) -> None:
    result = sharing.simulate_get("/", host="evil.example", headers={"Origin": ALLOWED})
    assert result.status_code == 403
    assert result.headers["access-control-allow-origin"] == ALLOWED
