"""Who sends web push, and the key that proves it (VAPID, RFC 8292): dispatch signs, browsers subscribe by it."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from pydantic import Field

from connectors.settings import ConnectorSettings

#: subscriptions come from browsers, so from anybody: nothing is posted anywhere else
SERVICES = "googleapis.com,push.services.mozilla.com,notify.windows.com,push.apple.com"


class WebPushSettings(ConnectorSettings, env_prefix="PATHLINE_WEBPUSH_"):
    """Who sends, and for how long a browser may be away."""

    subject: str = Field("", description="mailto: or https: of who sends, for push services; empty: the mailbox.")
    private_key: str = Field("", description="VAPID key, PEM file or Base64; empty: one made once in home/vapid.pem.")
    ttl: int = Field(86_400, ge=0, le=2_419_200, description="Seconds a message waits for a browser that is away.")
    services: str = Field(SERVICES, description="Hosts of push services, with all below them, separated by commas.")
    timeout: float = Field(10.0, gt=0, description="Seconds an answer may take.")


def key_of(own: WebPushSettings, home: Path) -> Vapid02:
    """The private key: that of the settings, else one in the home that is made once. Raises ValueError."""
    try:
        if own.private_key and not Path(own.private_key).exists():
            return Vapid02.from_string(own.private_key)
        path = Path(own.private_key) if own.private_key else _made(home)
        return Vapid02.from_pem(path.read_bytes())
    except (ValueError, binascii.Error, OSError, TypeError) as error:
        raise ValueError(f"PATHLINE_WEBPUSH_PRIVATE_KEY is no P-256 key: {error}") from error


def public_key(key: Vapid02) -> str:
    """What a browser needs to subscribe: `applicationServerKey`."""
    point = key.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def _made(home: Path) -> Path:
    path = home / "vapid.pem"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        made = Vapid02()
        made.generate_keys()
        draft = home / f"vapid.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_bytes(made.private_pem())
        try:
            # link fails when another process was first, so that all end up with one key
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path
