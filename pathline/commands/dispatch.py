"""`pathline dispatch`: one worker that sends for a channel."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from pathline.errors import UserError


class Lane(StrEnum):
    """Marketing and transactional messages have topics, groups and workers of their own."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


def dispatch(
    channel: Annotated[str, typer.Argument(help="Channel, for example email.")],
    connector: Annotated[str, typer.Option(help="Who delivers, as in channels.yaml; default: as usual by name.")] = "",
    lane: Annotated[Lane, typer.Option(help="Which messages of the channel.")] = Lane.MARKETING,
) -> None:
    """Run one worker that hands a channel's messages to its provider and reports what became of them."""
    # the app is made when its module is imported, as Faust wants it
    os.environ["PATHLINE_CHANNEL"] = channel
    os.environ["PATHLINE_CONNECTOR"] = connector
    os.environ["PATHLINE_LANE"] = lane
    from pydantic import ValidationError

    from processors.runtime.worker import run

    try:
        from connectors.outbound.app import app
    except ValidationError:
        raise
    except ValueError as error:  # a channel without connector, or without a server to send by
        raise UserError(str(error)) from error
    run(app)
