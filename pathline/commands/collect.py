"""`pathline collect`: the HTTP collector."""

from __future__ import annotations

from typing import Annotated

import typer

from pathline.errors import UserError


def collect(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Take events over HTTP as Segment's libraries send them; write keys come from PATHLINE_WRITE_KEYS."""
    from connectors.inbound.collector.run import run
    from schemas.settings import Settings

    settings = Settings()
    keys = [key for key in (key.strip() for key in settings.write_keys.split(",")) if key]
    if not keys:
        raise UserError("PATHLINE_WRITE_KEYS is empty: nobody could send. Set one or more keys, separated by commas.")
    run(settings, port, keys, host=host)
