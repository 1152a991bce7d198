"""`pathline mailbox`: plays the providers of all channels for development, and keeps what comes in."""

from __future__ import annotations

from typing import Annotated

import typer


def mailbox(
    smtp_port: Annotated[int, typer.Option(help="Port for SMTP.")] = 2525,
    smpp_port: Annotated[int, typer.Option(help="Port for SMPP.")] = 2775,
    port: Annotated[int, typer.Option(help="Port of the page and its JSON.")] = 8025,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Catch messages instead of delivering them, and show them on a page; `pathline up` runs one."""
    from connectors.outbound.catcher import run
    from schemas.settings import Settings

    run(Settings().home / "mailbox", smtp_port, port, smpp_port, host)
