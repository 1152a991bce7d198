"""The line's own secret, for what others must not be able to make: links in messages, promo codes."""

from __future__ import annotations

import os
import secrets

from schemas.settings import Settings


def secret_of(settings: Settings) -> bytes:
    """The secret: from the settings, or in a file of the line's home that is made once. Raises OSError."""
    if settings.secret:
        return settings.secret.encode()
    home = settings.home
    path = home / "secret"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"secret.{os.getpid()}"
        draft.write_text(secrets.token_hex(32))
        draft.chmod(0o600)
        try:
            # link fails when another process was first, so that all end up with one secret
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
