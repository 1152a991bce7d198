"""Commands to audiences of advertising networks, as they stand in `outbound.<channel>`.

They are SendCommands of the category `CATEGORY`: `step` is the audience, which is named as its segment, `template` what
to do, `content` a JSON list of `{type, hash}`, the hash being the SHA-256 (hexadecimal) of the normalised address.
"""

from __future__ import annotations

from typing import Final

CATEGORY: Final = "audience"
JOIN: Final = "join"
LEAVE: Final = "leave"
