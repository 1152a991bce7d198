"""A channel whose provider the development mailbox plays: messages go there as they are, instead of anywhere else."""

from __future__ import annotations

import orjson

from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.http import Client, parts_of, text_of
from schemas.records import SendCommand

_SECONDS = 5.0


class StandIn:
    """Puts messages into the mailbox at `catcher`; addresses that contain `bounce` are dead there."""

    def __init__(self, name: str, noun: str, traits: Traits, catcher: str) -> None:
        self.name = name
        self.noun = noun
        self.traits = traits
        self._url = f"{catcher}/caught/{name}"
        self._client = Client(_SECONDS)

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Give one message to the mailbox; see `Channel`."""
        try:
            parts = parts_of(command)
            message = {"to": command.to, "send_id": command.send_id, "text": text_of(parts), "parts": parts}
        except ValueError as error:
            return Outcome("failed", str(error))
        answer = await self._client.post(self._url, orjson.dumps(message), {"Content-Type": "application/json"})
        if isinstance(answer, Outcome):
            return answer
        if answer.status_code == 410:
            return Outcome("refused", "410 no such address", bounce="hard")
        return Outcome("accepted" if answer.is_success else "away", f"{answer.status_code} by the mailbox")
