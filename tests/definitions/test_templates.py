from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions.liquid import MAX_CHARACTERS, parsed, rendered
from schemas.definitions.model import Template
from schemas.definitions.templates import TemplateError, plain_text, render, render_text

NAMES: dict[str, Any] = {
    "person": {"traits": {"first_name": "Ann <b>", "nothing": None, "timezone": "Asia/Tokyo"}},
    "entry": {"properties": {"items": [{"name": "Lamp", "price": 12.5}, {"name": "Chair & table", "price": 40}]}},
    "now": 1_714_564_800_000,  # 2024-05-01 12:00 UTC
}


def template(subject: str = "Hi", body: str = "<p>Hello</p>", **more: str) -> Template:
    return Template("t", {"subject": subject, "body": body, **more})


@given(st.text("a}%&<>\"'\r\n\t {é"), st.booleans())
def test_words_without_tags_are_what_the_library_makes_of_them(text: str, html: bool) -> None:
    try:
        expected = str(parsed(text, html).render())
    except Exception:
        with pytest.raises(TemplateError):
            rendered(text, {}, html)
    else:
        assert rendered(text, {}, html) == expected


def test_words_without_tags_may_be_as_long_as_any_others() -> None:
    assert rendered("a" * MAX_CHARACTERS, {}) == "a" * MAX_CHARACTERS
    with pytest.raises(TemplateError):
        rendered("a" * (MAX_CHARACTERS + 1), {})


def test_an_e_mail_has_a_subject_a_page_and_plain_text() -> None:
    body = (
        "<h1>Dear {{ person.traits.first_name }}</h1>\n<p>Your <a href='https://a.b/c?d=1&amp;e=2'>cart</a>:</p>\n"
        "<ul>{% for item in entry.properties.items %}<li>{{ item.name }} {{ item.price }}</li>{% endfor %}</ul>"
    )
    made = render(template("For {{ person.traits.first_name }}", body), "email", "", NAMES)
    assert made["subject"] == "For Ann <b>"
    assert made["html"].startswith("<h1>Dear Ann &lt;b&gt;</h1>")
    assert made["text"] == ("Dear Ann <b>\n\nYour cart (https://a.b/c?d=1&e=2):\n\n- Lamp 12.5\n- Chair & table 40")


def test_what_a_channel_does_not_show_may_be_undefined_there() -> None:
    offer = template("For {{ person.traits.last_name }}", "Come in")
    assert render(offer, "sms", "", NAMES) == {"text": "Come in"}
    with pytest.raises(TemplateError, match="last_name"):
        render(offer, "email", "", NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ person.traits.last_name }}",
        "{{ person.traits.nothing }}",
        "{{ person.traits.last_name | upcase }}",
        "{{ view.properties.name }}",
        "{% for item in entry.properties.lines %}x{% endfor %}",
        "{{ entry.properties.items[0].colour }}",
    ],
)
def test_what_is_not_there_is_never_shown(source: str) -> None:
    for part in ("subject", "body"):
        with pytest.raises(TemplateError, match=rf"{part}: .*undefined"):
            render(template(**{part: f"Hi {source}"}), "email", "", NAMES)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ person.traits.last_name | default: 'friend' }}", "friend"),
        ("{{ person.traits.nothing | default: 'friend' }}", "friend"),
        ("{% if person.traits.last_name %}a{% else %}b{% endif %}", "b"),
        ("{% if person.traits.last_name == 'x' %}a{% else %}b{% endif %}", "b"),
        ("{% unless view %}c{% endunless %}", "c"),
    ],
)
def test_what_is_not_there_may_be_tested_and_replaced(source: str, shown: str) -> None:
    assert render(template(source), "email", "", NAMES)["subject"] == shown


def test_a_line_break_can_not_begin_another_header() -> None:
    names = {"person": {"traits": {"name": "a\r\nBcc: b@c.d"}}}
    assert render(template("{{ person.traits.name }}"), "email", "", names)["subject"] == "a Bcc: b@c.d"


@pytest.mark.parametrize("part", ["subject", "body"])
def test_an_empty_part_is_not_sent(part: str) -> None:
    with pytest.raises(TemplateError, match="is empty"):
        render(template(**{part: "{% if person.traits.x %}x{% endif %}"}), "email", "", NAMES)


def test_a_template_that_never_ends_is_stopped() -> None:
    with pytest.raises(TemplateError, match="limit"):
        render(template("{% for i in (1..9000000) %}x{% endfor %}"), "email", "", NAMES)


def test_plain_text_may_be_written_by_hand() -> None:
    made = render(template(text="Hello {{ person.traits.first_name }}"), "email", "", NAMES)
    assert (made["text"], made["html"]) == ("Hello Ann <b>", "<p>Hello</p>")


def test_a_body_without_tags_becomes_paragraphs() -> None:
    made = render(template(body="Hello {{ person.traits.first_name }}\nthere\n\nBye"), "email", "", NAMES)
    assert made["html"] == "<p>Hello Ann &lt;b&gt;<br>\nthere</p>\n<p>Bye</p>"
    assert made["text"] == "Hello Ann <b>\nthere\n\nBye"


def test_the_preheader_is_hidden_at_the_top_of_the_page() -> None:
    made = render(template(preheader="Look <here>"), "email", "", NAMES)
    assert made["html"].startswith('<div style="display:none;')
    assert "Look &lt;here&gt;" in made["html"]
    assert "Look" not in made["text"]


def test_the_subject_defaults_to_the_first_line() -> None:
    made = render(Template("t", {"body": "<h1>Still there?</h1><p>Yes</p>"}), "email", "", NAMES)
    assert made["subject"] == "Still there?"


def test_other_channels_get_text() -> None:
    made = render(template(body="<p>Hi {{ person.traits.first_name }}</p>"), "sms", "", NAMES)
    assert (made["text"], "html" in made) == ("Hi Ann <b>", False)


def test_channel_and_language_override_the_parts_they_name() -> None:
    made = Template(
        "t",
        {"subject": "Hi", "body": "Hello"},
        {"uk": {"subject": "Привіт"}, "sms": {"body": "Yo"}, "sms.uk": {"body": "Йо"}, "uk-UA": {"title": "UA"}},
    )
    assert render(made, "email", "uk", NAMES)["subject"] == "Привіт"
    assert render(made, "email", "uk-UA", NAMES)["title"] == "UA"
    assert render(made, "email", "de", NAMES)["subject"] == "Hi"
    assert render(made, "sms", "", NAMES)["text"] == "Yo"
    assert render(made, "sms", "uk-UA", NAMES)["text"] == "Йо"


def test_now_is_shown_in_the_time_zone_of_the_person() -> None:
    assert render_text("{{ now | date: '%H:%M' }}", NAMES) == "21:00"
    assert render_text("{{ now | date: '%H:%M' }}", NAMES, "Europe/Kyiv") == "15:00"
    assert render_text("{{ now | date: '%H:%M' }}", {"now": NAMES["now"], "person": {"traits": {"timezone": "x"}}}) == (
        "12:00"
    )


def test_plain_text_of_a_page() -> None:
    page = "<style>p {}</style><p>One  two<br>three</p><table><tr><td>a</td></tr></table><img alt='Logo'>&amp; more"
    assert plain_text(page) == "One two\nthree\n\na\n\nLogo& more"


@pytest.mark.parametrize(
    "source",
    [
        "{{ person.traits.none | date: '%d.%m.' }}",
        "{{ person.traits.nothing | date: '%d.%m.' }}",
        "{{ entry.properties.price | times: 0.9 | round: 2 }}",
        "{{ entry.properties.price | minus: 10 }}",
        "{{ 10 | minus: entry.properties.discount }}",
        "{% assign price = entry.properties.price | round %}{{ price }}",
        "{{ entry.properties.items | where: 'name', 'Sofa' | first }}",
        "{{ entry.properties.items | find: 'name', 'Sofa' }}",
    ],
)
def test_a_filter_makes_nothing_of_what_is_not_there(source: str) -> None:
    """Else a price that is missing is 0, and a missing date nothing."""
    with pytest.raises(TemplateError, match="undefined"):
        render_text(f"Only {source}!", NAMES)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ entry.properties.price | default: 5 | times: 2 }}", "10"),
        ("{{ entry.properties.items | where: 'name', 'Sofa' | first | default: 'none' }}", "none"),
        (
            "{% assign sofa = entry.properties.items | find: 'name', 'Sofa' %}{% if sofa %}yes{% else %}no{% endif %}",
            "no",
        ),
        ("{% assign sofa = entry.properties.items | find: 'name', 'Sofa' %}{% if sofa == nil %}no{% endif %}", "no"),
        ("{{ entry.properties.items | map: 'price' | sum | round: 1 }}", "52.5"),
        ("{{ entry.properties.items | where: 'name', 'Lamp' | map: 'name' | first | upcase }}", "LAMP"),
    ],
)
def test_what_a_filter_does_not_find_may_be_asked_for_and_given_a_default(source: str, text: str) -> None:
    assert render_text(source, NAMES) == text
