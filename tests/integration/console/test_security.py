"""Strangers stay out, and what workers send stays data."""

import re

import pytest

from support.visitor import Visitor
from support.wire import TOPIC, Wire

from .conftest import Bury

PAGES = [
    "",
    "/workers",
    "/dead-letters",
    "/dead-letters/groups",
    "/dead-letters/all",
    "/dead-letters/all/counted",
    "/journal",
    "/actions",
    "/audit",
    f"/topics/{TOPIC}",
    f"/topics/{TOPIC}/items/a",
    f"/topics/{TOPIC}/items/a/replay",
    "/find",
    "/nowhere",
]


@pytest.mark.parametrize("page", PAGES)
def test_pages_run_and_load_their_own_files_only(visitor: Visitor, bury: Bury, page: str) -> None:
    """By policy, and in fact: no inline script or style, no address of another host."""
    bury("a")
    seen = visitor.see(page)
    policy = seen.response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert seen.response.headers["x-content-type-options"] == "nosniff"
    for tag, told in seen.tags:
        assert tag not in {"style", "iframe", "object", "base"}
        assert tag != "script" or told["src"].startswith("/console/static/")
        assert not [name for name in told if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            assert not re.match(r"(\w+:)?//", told.get(name, ""))


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_form_without_its_token_is_refused(visitor: Visitor, wire: Wire, verb: str) -> None:
    """Whatever cookies the browser sends along."""
    wire.put("a")
    visitor.see()
    address = f"/console/topics/{TOPIC}/{verb}?namespace={wire.namespace}"
    for token in ("", "0" * 32):
        refused = visitor.http.post(address, data={"reason": "mischief", "token": token})
        assert refused.status_code == 403
    assert not wire.topic().paused


def test_a_token_is_worth_nothing_to_another_browser(visitor: Visitor, wire: Wire) -> None:
    """It is made from a cookie that scripts cannot read and other sites cannot send."""
    wire.put("a")
    page = visitor.see(f"/topics/{TOPIC}")
    cookie = page.response.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/console"} <= set(cookie.split("; "))
    form = page.form("/pause")
    visitor.http.cookies.clear()
    assert visitor.send(form, reason="mischief").status == 403
    assert not wire.topic().paused


def test_another_sites_page_may_not_act(visitor: Visitor, wire: Wire) -> None:
    """Also with a token: browsers say whose page it is."""
    wire.put("a")
    form = visitor.see(f"/topics/{TOPIC}").form("/pause")
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    refused = visitor.http.post(form.action, data={**form.fields, "reason": "mischief"}, headers=foreign)
    assert refused.status_code == 403
    assert not wire.topic().paused


def test_reading_changes_nothing(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """An address that acts takes forms only."""
    bury("a")
    for path in (f"/topics/{TOPIC}/pause", f"/topics/{TOPIC}/items/a/discard", "/dead-letters/act", "/runs/x/stop"):
        assert visitor.see(path).status in {404, 405}
    assert wire.status() == "DEAD_LETTER"


def test_what_workers_send_is_data(visitor: Visitor, bury: Bury) -> None:
    """Names of errors, messages, tracebacks and payloads never become part of a page."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    bury("a", kind=evil, message=evil, payload=f'{{"x": "{evil}"}}'.encode(), operator_ref=evil, node_id=evil)
    for path in (
        "/dead-letters",
        "/dead-letters/groups",
        f"/topics/{TOPIC}/items/a",
        f"/topics/{TOPIC}/items/a/replay",
    ):
        page = visitor.see(path)
        assert page.status == 200
        assert evil in page.text or evil in page.forms[-1].fields.get("payload", "")
        assert not [told for tag, told in page.tags if tag == "img" or (tag == "script" and "src" not in told)]


def test_an_address_says_nothing_of_its_own(visitor: Visitor, bury: Bury) -> None:
    """What an action did is told by numbers and known words; whatever else an address has is not shown."""
    bury("a")
    for query in (
        {"did": "<b>"},
        {"did": "replay", "n": "lots", "refused": "1"},
        {"did": "replay", "n": "1", "refused": "x"},
    ):
        assert 'role="status"' not in visitor.see("/dead-letters", **query).response.text
    assert "Send money" not in visitor.see(f"/topics/{TOPIC}/items/a", did="Send money").text


def test_files_are_kept_by_browsers(visitor: Visitor) -> None:
    """And have their types."""
    for name, kind in (
        ("console.css", "text/css"),
        ("console.js", "text/javascript"),
        ("htmx.min.js", "text/javascript"),
    ):
        response = visitor.http.get(f"/console/static/{name}")
        assert response.headers["content-type"].startswith(kind)
        assert response.headers["cache-control"] == "max-age=3600"
    assert visitor.http.get("/console/static/../site.py").status_code == 404
