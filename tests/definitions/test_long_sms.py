"""What `pathline check` says of SMS that cost more than they look."""

from __future__ import annotations

import pytest

from schemas.definitions import parse
from schemas.definitions.advice import advice
from tests.journeys.lab import FILES

LONG = "Your order is on its way and will be with you tomorrow morning between eight and ten, so please be there"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Short", None),
        ("Коротко", None),
        (LONG, None),
        (LONG + "…", "template news is 2 SMS because of …: without it a segment holds 160 characters instead of 70"),
        (LONG * 2, "template news is at least 2 SMS (GSM-7)"),
        (
            "Ваше замовлення вже в дорозі, чекайте на нас завтра зранку з восьмої до десятої години",
            "at least 2 SMS (UCS-2)",
        ),
        (
            "{{ person.traits.name | default: 'a long default that is not counted, as it is inserted' }}" + LONG,
            None,
        ),
    ],
)
def test_long_texts_and_odd_characters_are_told(text: str, told: str | None) -> None:
    files = FILES | {
        "templates/news.yaml": f'subject: Hi\nbody: Hello\nsms: {{body: "{text}"}}\n',
        "journeys/news.yaml": "enter: {event: Page}\nsteps: [{send: {template: news, channels: [sms]}}]\n",
    }
    notes = [note for note in advice(parse(files)) if "SMS" in note]
    assert len(notes) == (told is not None)
    assert told is None or told in notes[0]
