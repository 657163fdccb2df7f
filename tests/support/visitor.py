"""The console as a person sees it who has no script running: pages, their texts, links and forms."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import httpx

_VOID = {"input", "meta", "link", "br", "img"}


@dataclass
class FormSeen:
    """A form of a page."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class PageSeen(HTMLParser):
    """A page that was loaded.

    Args:
        response: what the server sent.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.links: list[str] = []
        self.forms: list[FormSeen] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self._inside: list[str] = []
        self._textarea = ""
        self.feed(response.text)
        self.text = re.sub(r"\s+", " ", " ".join(self._words)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        told = {name: value or "" for name, value in attrs}
        self.tags.append((tag, told))
        if tag not in _VOID:
            self._inside.append(tag)
        if tag == "a" and "href" in told:
            self.links.append(told["href"])
        if tag == "form":
            self.forms.append(FormSeen(told.get("method", "get"), told.get("action", "")))
        if tag == "textarea":
            self._textarea = told["name"]
        if tag in {"input", "textarea", "select"} and self.forms and "name" in told:
            self.forms[-1].fields[told["name"]] = told.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Take note of an end."""
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Take note of a text."""
        if not {"style", "script", "title"} & set(self._inside):
            self._words.append(data)
        if self._inside and self._inside[-1] == "textarea" and self.forms:
            self.forms[-1].fields[self._textarea] = data

    def form(self, ending: str) -> FormSeen:
        """Return the form that leads to an address which ends so."""
        (found,) = [form for form in self.forms if urlsplit(form.action).path.endswith(ending)]
        return found


class Visitor:
    """Somebody who looks at the console of a server.

    Args:
        address: of its HTTP server.
        namespace: that pages are about.
    """

    def __init__(self, address: str, namespace: str) -> None:
        self.http = httpx.Client(base_url=f"http://{address}", timeout=30, follow_redirects=True)
        self.namespace = namespace

    def see(self, path: str = "", **query: Any) -> PageSeen:
        """Load a page below the console's address."""
        return PageSeen(self.http.get(f"/console{path}", params={"namespace": self.namespace, **query}))

    def follow(self, address: str) -> PageSeen:
        """Load what a link leads to."""
        return PageSeen(self.http.get(address))

    def send(self, form: FormSeen, **filled: Any) -> PageSeen:
        """Send a form with what is filled in."""
        return PageSeen(self.http.request(form.method, form.action, data={**form.fields, **filled}))
