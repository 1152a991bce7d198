"""MJML: e-mails in a few tags that look right in every mail client (mjml.io). A body that begins with `<mjml>` is it.

Liquid is rendered first, so it may stand anywhere in it; what it inserts is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mjml import mjml2html

from schemas.definitions.liquid import TemplateError

#: the tags of MJML 4
TAGS = frozenset(
    {
        "mjml",
        "mj-head",
        "mj-body",
        "mj-attributes",
        "mj-all",
        "mj-class",
        "mj-breakpoint",
        "mj-font",
        "mj-html-attributes",
        "mj-selector",
        "mj-html-attribute",
        "mj-preview",
        "mj-style",
        "mj-title",
        "mj-accordion",
        "mj-accordion-element",
        "mj-accordion-title",
        "mj-accordion-text",
        "mj-button",
        "mj-carousel",
        "mj-carousel-image",
        "mj-column",
        "mj-divider",
        "mj-group",
        "mj-hero",
        "mj-image",
        "mj-navbar",
        "mj-navbar-link",
        "mj-raw",
        "mj-section",
        "mj-social",
        "mj-social-element",
        "mj-spacer",
        "mj-table",
        "mj-text",
        "mj-wrapper",
    }
)
_BEGIN = re.compile(r"\s*(<!--.*?-->\s*)*<mjml[\s>]", re.S)
_TAG = re.compile(r"<(mj[a-z-]*)[\s/>]")


def is_mjml(body: str) -> bool:
    """Whether a body is MJML."""
    return _BEGIN.match(body) is not None


def page_of(source: str) -> str:
    """The HTML page of MJML. Raises TemplateError."""
    try:
        return str(mjml2html(source))
    except ValueError as error:
        raise TemplateError(f"the MJML can't be understood: {error}") from error


def unknown_tags(source: str) -> Iterator[tuple[str, int]]:
    """Tags that look as if they were MJML's and are not, with where they stand in the source."""
    return ((found[1], found.start()) for found in _TAG.finditer(source) if found[1] not in TAGS)
