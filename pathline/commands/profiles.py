"""`pathline profiles`: profiles over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer


def profiles(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8081,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Answer who a person is right now: traits, segments, consents, journeys, last events; keys are those of
    `pathline keys`."""
    from schemas.settings import Settings
    from sinks.profiles.run import run

    run(Settings(), port, host)
