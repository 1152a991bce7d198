"""What the calls answer, for the OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """Why there is no answer."""

    code: str = Field(description="The same for the same reason.")
    message: str = Field(description="For people.")


class Consent(BaseModel):
    """A choice: an empty address is the person, an empty channel or purpose is all of them."""

    address: str
    channel: str
    purpose: str
    granted: bool
    at: str
    source: str = ""
    proof: str = ""


class Running(BaseModel):
    """A journey the person is in: since when at which step, and when time ends that step."""

    journey: str
    instance_id: str
    entered_at: str
    step: str | None
    kind: str | None = Field(description="wait, wait_for or send.")
    since: str
    until: str | None


class Happened(BaseModel):
    """An event."""

    event_id: str
    name: str
    channel: str
    occurred_at: str
    properties: dict[str, Any]


class Profile(BaseModel):
    """A person, as far as the key may read it. Times are UTC in ISO 8601."""

    as_of: str = Field(description="What the line had worked off before this instant is in the answer.")
    person_id: str = ""
    earlier_ids: list[str] = []
    identifiers: dict[str, list[str]] = Field({}, description="By type, the one used last first.")
    traits: dict[str, Any] = {}
    computed_traits: dict[str, Any] = {}
    sources: dict[str, str] = Field({}, description="Where each trait was told.")
    segments: list[str] = []
    consents: list[Consent] = []
    suppressed: dict[str, str] = Field({}, description="Addresses that get nothing: marketing or all.")
    reachable: dict[str, list[str]] = Field({}, description="Addresses by channel.")
    preferred_channels: list[str] = []
    timezone: str | None = None
    first_seen: str | None = None
    journeys: list[Running] = []
    events: list[Happened] = Field([], description="The newest first.")


class Entered(BaseModel):
    """The request is in the line."""

    message_id: str = Field(description="A request with the same one is the same request.")
    event_id: str
    instance_id: str = Field(description="The run of the journey, if its rules let the person in.")


class TokenFor(BaseModel):
    """Whose inbox a token opens."""

    model_config = ConfigDict(extra="forbid")

    who: str = Field(max_length=1100, description="Who is logged in, as type:value: user_id:ann.")
    seconds: int = Field(86_400, ge=60, le=30 * 86_400, description="For how long the token holds.")


class Issued(BaseModel):
    """A token, to be sent as Bearer token with calls of the inbox."""

    token: str
    expires_at: str


class Letter(BaseModel):
    """A message; `content` are the parts of its template."""

    id: str
    channel: str
    at: str
    expires_at: str
    seen: bool
    clicked: bool
    content: dict[str, Any]


class Inbox(BaseModel):
    """Messages to read."""

    as_of: str
    unseen: int = Field(description="How many of all messages were not seen yet.")
    messages: list[Letter]
    next: str | None = Field(description="`after` for the next page; null when there is none.")


class Reports(BaseModel):
    """What was done with messages."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] = Field(min_length=1, max_length=100)
    url: str | None = Field(None, max_length=2000, description="The link that was followed.")


class Reported(BaseModel):
    """The reports are in the line."""

    accepted: int


_REASONS = {
    400: "Not of that name or form.",
    401: "No key, or none that is known and in force.",
    403: "The key may not do this.",
    404: "Nobody, or nothing, is known by that.",
    409: "The journey is not entered by request.",
    410: "Who it was is forgotten.",
    413: "The body is too large.",
    429: "Too many requests: try again after Retry-After seconds.",
    503: "Not now: try again after Retry-After seconds.",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a call may answer beside what is asked for."""
    return {status: {"model": Problem, "description": _REASONS[status]} for status in statuses}
