"""The page of the development mailbox: what people would have got, the newest first, whatever the channel."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

from connectors.outbound.caught import Caught

#: of a list of thousands only so many are drawn
NEWEST = 500
_LONGEST = 160
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--accent:light-dark(#1f5fbf,#8ab4f8)}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1.5em 2em;max-width:90em}
h1{font-size:1.3em;margin:.2em 0 .8em}
nav a{display:inline-block;padding:.15em .7em;margin:0 .3em .6em 0;border:1px solid var(--line);border-radius:1em;
text-decoration:none;color:inherit}
nav a.on{background:var(--accent);border-color:var(--accent);color:light-dark(#fff,#111)}
table{border-collapse:collapse;width:100%}
td,th{padding:.4em .8em .4em 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600;font-size:.9em}td.when,td.channel,td.links{white-space:nowrap}
td.what{overflow-wrap:anywhere}td.to{overflow-wrap:anywhere;min-width:11em;max-width:18em}
.button{display:inline-block;margin:.3em .4em 0 0;padding:.05em .6em;border:1px solid var(--line);border-radius:.4em;
background:var(--soft);font-size:.9em}.soft{opacity:.7}a{color:var(--accent)}td.links a{margin-right:.6em}
"""
_LINKS = (("view", "/html"), ("parts", ""), ("source", "/raw"))


def page(messages: Sequence[Caught], channel: str = "") -> str:
    """All messages, or those of one channel."""
    counts = Counter(message.channel for message in messages)
    shown = [message for message in messages if channel in ("", message.channel)]
    rows = "".join(map(_row, reversed(shown[-NEWEST:])))
    more = f"<p class=soft>The newest {NEWEST} of {len(shown):,}.</p>" if len(shown) > NEWEST else ""
    body = (
        f"<table><tr><th>When<th>Channel<th>To<th>Message<th></tr>{rows}</table>{more}"
        if shown
        else "<p class=soft>Nothing has come in yet.</p>"
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Mailbox</title><style>{_STYLE}</style>"
        f"<h1>{len(shown):,} message{'' if len(shown) == 1 else 's'}</h1>{_tabs(counts, channel)}{body}"
    )


def _tabs(counts: Counter[str], chosen: str) -> str:
    """A link for each channel there is something of."""
    if len(counts) < 2:
        return ""
    tabs = [("", "all", counts.total()), *((name, name, count) for name, count in sorted(counts.items()))]
    return f"<nav>{''.join(_tab(*tab, tab[0] == chosen) for tab in tabs)}</nav>"


def _tab(key: str, name: str, count: int, chosen: bool) -> str:
    mark = " class=on" if chosen else ""
    return f'<a href="/?channel={html.escape(key)}"{mark}>{html.escape(name)} {count:,}</a>'


def _row(caught: Caught) -> str:
    what = html.escape(caught.subject)
    if caught.channel != "email":
        text = html.escape(caught.text[:_LONGEST]) + ("…" if len(caught.text) > _LONGEST else "")
        what = (f"<b>{what}</b><br>" if what else "") + text.replace("\n", "<br>") + _buttons(caught)
    links = "".join(f'<a href="/messages/{caught.id}{path}">{name}</a>' for name, path in _LINKS)
    to = html.escape(", ".join(caught.to))
    to = to if len(to) <= _LONGEST else to[: _LONGEST // 2] + "…"
    cells = (
        ("when", html.escape(_when(caught.date))),
        ("channel", html.escape(caught.channel)),
        ("to", to),
        ("what", what),
    )
    return "<tr>" + "".join(f"<td class={name}>{cell}" for name, cell in cells) + f"<td class=links>{links}"


def _when(written: str) -> str:
    """A date as a page shows it; one that is none as it is."""
    try:
        return f"{parsedate_to_datetime(written):%d %b %H:%M:%S}"
    except ValueError:
        return written


def _buttons(caught: Caught) -> str:
    """What could be pressed under a message."""
    buttons = caught.parts.get("buttons")
    names = [str(button.get("text", "")) for button in buttons if isinstance(button, dict)] if buttons else []
    drawn = "".join(f"<span class=button>{html.escape(name)}</span>" for name in names)
    return f"<br>{drawn}" if drawn else ""
