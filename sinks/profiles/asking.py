"""`GET /v1/people/...`: one person, as far as the key may read it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from schemas.definitions.expressions import iso
from schemas.identifiers import Refused as NoIdentifier
from schemas.identifiers import normalise, split
from sinks.profiles.access import Caller, Refused
from sinks.profiles.described import Profile, answers
from sinks.profiles.fields import Fields, NoField
from sinks.profiles.keys import PERSON_ID
from sinks.profiles.parts import AUTH, RETRY_SECONDS, Parts
from sinks.profiles.people import Nobody

_EVENTS = 20
_MOST_EVENTS = 100


def router(parts: Parts) -> APIRouter:
    """The calls."""
    calls = APIRouter(prefix="/v1", tags=["people"], route_class=_noting(parts))

    @calls.get(
        "/people/{who:path}",
        summary="A person",
        response_model=Profile,
        responses=answers(400, 401, 403, 404, 410, 429, 503),
        openapi_extra={"security": AUTH},
    )
    async def person(
        request: Request,
        who: str,
        fields: Annotated[
            list[str] | None,
            Query(description="Only these, separated by commas: `traits`, or an entry, `traits.city`."),
        ] = None,
        events: Annotated[int, Query(ge=0, le=_MOST_EVENTS, description="At most so many last events.")] = _EVENTS,
    ) -> Response:
        """`who` is an identifier as `type:value` (`email:ann@example.com`), or a person id, also one the person had
        before it was merged."""
        caller: Caller = request.state.caller
        if not caller.key.fields:
            raise Refused(403, "fields", f"the key {caller.key.name!r} may read nothing of people")
        asked_by, identifier = meant(parts, who)
        wanted = _wanted(caller, fields)
        if not caller.key.asks_by(asked_by):
            parts.register.note(caller, "refused", asked_by, wanted.names)
            raise Refused(403, "identifier", f"the key {caller.key.name!r} may not ask by {asked_by}")
        if beyond := wanted.beyond(caller.key.allowed):
            parts.register.note(caller, "refused", asked_by, beyond)
            raise Refused(403, "fields", f"the key {caller.key.name!r} may not read {', '.join(beyond)}")
        if not parts.complete():
            detail = parts.condition.about()["detail"]
            raise Refused(503, "restoring", f"not all was read yet{f': {detail}' if detail else ''}", RETRY_SECONDS)
        as_of = iso(parts.as_of())
        by_id = asked_by == PERSON_ID
        found = parts.people.by_id(identifier) if by_id else parts.people.by_identifier(identifier)
        if isinstance(found, Nobody):
            parts.register.note(caller, found.why, asked_by, [])
            raise _nobody(found, asked_by)
        answer = {"as_of": as_of, **wanted.answer(found, events)}
        parts.register.note(caller, "read", asked_by, wanted.names, found.id)
        return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})

    return calls


def _noting(parts: Parts) -> type[APIRoute]:
    """Routes that know who asks before anything else, and tell of requests that can't be answered as they are, too."""

    class Noting(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            known = [parameter.alias for parameter in self.dependant.query_params]

            async def noting(request: Request) -> Response:
                caller = request.state.caller = parts.gate.caller(request)
                try:
                    if strange := next((name for name in request.query_params if name not in known), None):
                        raise Refused(400, "invalid", f"{strange}: no such parameter; there are {', '.join(known)}")
                    return await handle(request)
                except (Refused, RequestValidationError) as error:
                    if isinstance(error, RequestValidationError) or error.status == 400:
                        parts.register.note(caller, "refused", _type(parts, request.path_params["who"]), [])
                    raise

            return noting

    return Noting


def _type(parts: Parts, who: str) -> str:
    """By which type of identifier was asked; nothing where that is not known, as it may be the value itself."""
    project, type = parts.people.project(), split(who)[0]
    known = type == PERSON_ID or (project is not None and type in project.identity.types)
    return type if known else ""


def meant(parts: Parts, who: str) -> tuple[str, str]:
    """Type and normalised form of what was asked by. Raises Refused."""
    type, value = split(who)
    try:
        return PERSON_ID, str(UUID(value if type == PERSON_ID else who))
    except ValueError:
        if type == PERSON_ID:
            raise Refused(400, "identifier", f"{value!r} is no person id") from None
    if not value:
        alone = type if ":" not in who else ""
        raise Refused(400, "identifier", f"type:value expected, for example email:{alone or 'ann@example.com'}")
    project = parts.people.project()
    if project is None:
        raise Refused(503, "project", "no project is published yet (pathline apply)", RETRY_SECONDS)
    try:
        return type, f"{type}:{normalise(project.identity, type, value)}"
    except NoIdentifier as error:
        there = f"; there are {', '.join(project.identity.types)}" if type not in project.identity.types else ""
        raise Refused(400, "identifier", f"{type}: {error}{there}") from None


def _wanted(caller: Caller, names: list[str] | None) -> Fields:
    """The fields that are asked for: all that may be read, or those named. Raises Refused."""
    if names is None:
        return caller.key.allowed
    try:
        return Fields.of(name.strip() for given in names for name in given.split(","))
    except NoField as error:
        raise Refused(400, "fields", str(error)) from None


def _nobody(found: Nobody, asked_by: str) -> Refused:
    if found.why == "erased":
        return Refused(410, "erased", "who this was is forgotten")
    return Refused(404, "unknown", f"nobody is known by this {asked_by}")
