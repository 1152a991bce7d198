"""E-mails written in MJML, and buttons, as their authors and readers get to see them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest

from schemas.definitions import Invalid, parse
from schemas.definitions.model import Template
from schemas.definitions.templates import TemplateError, button_part, parts_for, render
from tests.journeys.lab import FILES

MAIL = """<mjml>
  <mj-head><mj-preview>Only today</mj-preview></mj-head>
  <mj-body>
    {% for item in entry.properties.items %}
    <mj-section><mj-column>
      <mj-text>{{ item.name }} for {{ person.traits.first_name }}</mj-text>
      <mj-button href="https://shop.example/p?a=1&amp;b={{ item.name | url_encode }}">Buy</mj-button>
    </mj-column></mj-section>
    {% endfor %}
  </mj-body>
</mjml>
"""
NAMES: dict[str, Any] = {
    "person": {"traits": {"first_name": "Ann <b>"}},
    "entry": {"properties": {"items": [{"name": "Lamp"}, {"name": "Chair & table"}]}},
}


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs)["href"])


def test_mjml_becomes_a_page_with_what_was_inserted_and_a_plain_text() -> None:
    made = render(Template("t", {"subject": "Hi", "body": MAIL}), "email", "", NAMES)
    assert "<mj" not in made["html"]
    assert made["html"].startswith("<!doctype html>")
    assert "Chair &amp; table for Ann &lt;b&gt;" in made["html"]
    reader = Links()
    reader.feed(made["html"])
    assert reader.found == ["https://shop.example/p?a=1&b=Lamp", "https://shop.example/p?a=1&b=Chair+%26+table"]
    assert made["text"].split() == [
        "Lamp",
        "for",
        "Ann",
        "<b>",
        "Buy",
        "(https://shop.example/p?a=1&b=Lamp)",
        "Chair",
        "&",
        "table",
        "for",
        "Ann",
        "<b>",
        "Buy",
        "(https://shop.example/p?a=1&b=Chair+%26+table)",
    ]


def test_what_is_undefined_in_mjml_is_never_shown() -> None:
    body = MAIL.replace("first_name", "last_name")
    with pytest.raises(TemplateError, match="last_name"):
        render(Template("t", {"subject": "Hi", "body": body}), "email", "", NAMES)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<mjml><mj-body><mj-section>", "the MJML can't be understood"),
        ("<mjml><mj-body><mj-sektion></mj-sektion></mj-body></mjml>", r"there is no MJML tag <mj-sektion>.*mj-section"),
    ],
)
def test_mistakes_in_mjml_are_told_by_check(body: str, told: str) -> None:
    files = {**FILES, "templates/news.yaml": f"subject: Hi\nbody: |\n  {body}\n"}
    with pytest.raises(Invalid) as refused:
        parse(files)
    assert re.search(told, str(refused.value.problems[0]))
    assert "templates/news.yaml:" in str(refused.value.problems[0])


def test_hidden_words_are_not_in_the_plain_text() -> None:
    body = '<div style="display: none"><p>secret <br>words</p></div><p>Seen<img src="x" alt="!"></p>'
    assert render(Template("t", {"subject": "Hi", "body": body}), "email", "", {})["text"] == "Seen!"


def test_buttons_are_rendered_and_replaced_together() -> None:
    parts = {
        "body": "Hello",
        button_part(0, "text"): "Buy {{ entry.name }}",
        button_part(0, "url"): "https://a.example/",
    }
    more = {button_part(1, "text"): "No", button_part(1, "url"): "https://b.example/"}
    mine = {button_part(0, "text"): "Так", button_part(0, "url"): "https://c.example/"}
    template = Template("t", parts | more, {"telegram.uk": mine})
    made = render(template, "telegram", "", {"entry": {"name": '"tea"'}})
    assert orjson.loads(made["buttons"]) == [
        {"text": 'Buy "tea"', "url": "https://a.example/"},
        {"text": "No", "url": "https://b.example/"},
    ]
    assert orjson.loads(render(template, "telegram", "uk", {})["buttons"]) == [
        {"text": "Так", "url": "https://c.example/"}
    ]
    assert "buttons" not in render(Template("t", {"body": "x"}), "telegram", "", {})
    with pytest.raises(TemplateError, match="button 1 is empty"):
        render(
            Template("t", parts | {button_part(0, "text"): "{{ entry.name }}"}), "telegram", "", {"entry": {"name": ""}}
        )


def test_buttons_senders_and_answers_stand_in_a_file() -> None:
    text = """
        body: Hello
        telegram:
          buttons:
            - {text: Buy, url: "https://shop.example/{{ entry.properties.id }}"}
        from: Shop <hello@shop.example>
        reply_to: help@shop.example
    """
    files = FILES | {"channels.yaml": FILES["channels.yaml"] + "telegram: {}\n"}
    project = parse({**files, "templates/offer.yaml": text})
    template = project.templates["offer"]
    assert parts_for(template, "telegram")[button_part(0, "url")] == "https://shop.example/{{ entry.properties.id }}"
    made = render(template, "email", "", {})
    assert (made["from"], made["reply_to"]) == ("Shop <hello@shop.example>", "help@shop.example")
    wrong = text.replace("text: Buy", "text: '{{ nobody.there }}'")
    with pytest.raises(Invalid, match="nobody"):
        parse({**files, "templates/offer.yaml": wrong})
    with pytest.raises(Invalid, match="url"):
        parse({**files, "templates/offer.yaml": text.replace(', url: "https', ', adress: "https')})
