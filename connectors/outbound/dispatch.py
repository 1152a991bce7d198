"""Dispatch: commands to a provider, once.

One transaction moves a command to `handed over` in the ledger and commits its offset; only then is the provider called;
a second transaction writes what became of it and the receipt. What is found `handed over` after a crash is ambiguous:
marketing is not repeated (`unknown`), transactional is. No more than `at_once` sends of a partition are handed over at
a time, the others wait in state, so a crash leaves few in doubt. Consent and suppression are checked again at each
hand-over against the newest profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from connectors.outbound.channel import Channel, Outcome
from connectors.outbound.erasure import erased, follow, remember
from connectors.outbound.receipts import receipt
from connectors.outbound.state import ALLOWED, DONE, LINE, OPEN, PLACE, Allowed, Done, Line, Open
from processors.runtime.contract import BadRecord, Record, Turn
from processors.runtime.definitions import DefinitionsSource
from schemas import consent, topics
from schemas.codec import Codec
from schemas.definitions.model import Project
from schemas.records import LedgerEntry, SendCommand, Update

#: wall seconds between the tries of a send that is certainly not taken; after the last it has failed
BACK_OFF = (5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200)
#: repeated commands are known for this long, milliseconds of line time
KEEP_DONE_MS = 30 * topics.DAY_MS
AT_ONCE = 20

_RETRY, _EXPIRE = "retry:", "expire:"


class DispatchStage:
    """Sends the commands of one channel and lane; it is also `Calling`.

    `pace` is line milliseconds per wall millisecond: providers recover in wall time, wakes are in line time.
    """

    def __init__(
        self,
        definitions: DefinitionsSource,
        codec: Codec,
        channel: Channel,
        *,
        transactional: bool = False,
        pace: float = 1.0,
        at_once: int = AT_ONCE,
    ) -> None:
        self.app = topics.dispatch_apps(channel.name)[transactional]
        self._ledger = topics.ledger(channel.name)
        self.inputs: tuple[str, ...] = (topics.outbound(channel.name, transactional), topics.UPDATES)
        self._definitions = definitions
        self._codec = codec
        self._channel = channel
        self._repeat = transactional
        self._pace = pace
        self._at_once = at_once

    # --- turns

    def on_assigned(self, turn: Turn) -> None:
        for send_id, send in list(turn.scan(OPEN)):
            if send.phase == "handed":
                detail = "in doubt: the process ended while the message was at the provider"
                self._settle(turn, send_id, send, Outcome("ambiguous", detail))
        self._fill(turn, _line(turn))

    def on_record(self, record: Record, turn: Turn) -> None:
        if record.topic == topics.UPDATES:
            self._follow(self._codec.decode(Update, record.value), turn)
            return
        command = self._codec.decode(SendCommand, record.value)
        if turn.get(OPEN, command.send_id) is not None or turn.get(DONE, command.send_id) is not None:
            return
        if erased(turn, command):
            return
        assert record.value is not None
        remember(turn, command)
        self._enqueue(turn, command.send_id, Open(record.value, "queued"))

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        if key.startswith(_EXPIRE):
            send_id = key.removeprefix(_EXPIRE)
            done = turn.get(DONE, send_id)
            if done is not None and done.expires <= due:
                turn.put(DONE, send_id, None)
            return
        send_id = key.removeprefix(_RETRY)
        send = turn.get(OPEN, send_id)
        if send is not None and send.phase == "waiting":
            self._enqueue(turn, send_id, msgspec.structs.replace(send, phase="queued"))

    async def perform(self, request: Any) -> Outcome:
        command: SendCommand = request
        return await self._channel.hand_over(command)

    def on_result(self, key: str, result: Any, turn: Turn) -> None:
        send = turn.get(OPEN, key)
        if send is None or send.phase != "handed":
            return
        self._settle(turn, key, send, result)
        self._fill(turn, _line(turn))

    # --- one send

    def _enqueue(self, turn: Turn, send_id: str, send: Open) -> None:
        line = _line(turn)
        turn.put(OPEN, send_id, send)
        turn.put(PLACE, str(line.next), send_id)
        self._fill(turn, msgspec.structs.replace(line, next=line.next + 1))

    def _fill(self, turn: Turn, line: Line) -> None:
        """Hand over what is queued while there are free places; takes and leaves the line in state."""
        first, handed = line.first, line.handed
        while first < line.next and handed < self._at_once:
            place = str(first)
            send_id = turn.get(PLACE, place)
            send = turn.get(OPEN, send_id) if send_id is not None else None
            if send_id is not None and send is not None and self._hand_over(turn, send_id, send):
                handed += 1
            turn.put(PLACE, place, None)
            first += 1
        turn.put(LINE, "", Line(first, line.next, handed))

    def _hand_over(self, turn: Turn, send_id: str, send: Open) -> bool:
        """Whether the message goes to the provider now; if not, it may not go at all any more."""
        command = self._codec.decode(SendCommand, send.command)
        forbidden = self._forbidden(turn, command)
        if forbidden:
            self._finish(turn, command, "withheld", forbidden, send.attempts)
            return False
        attempts = send.attempts + 1
        turn.put(OPEN, send_id, msgspec.structs.replace(send, phase="handed", attempts=attempts))
        self._write(turn, command, "handed over", "", attempts)
        turn.call(send_id, command)
        return True

    def _settle(self, turn: Turn, send_id: str, send: Open, outcome: Outcome) -> None:
        """Write what became of a hand-over; its place is free again."""
        line = _line(turn)
        turn.put(LINE, "", msgspec.structs.replace(line, handed=line.handed - 1))
        command = self._codec.decode(SendCommand, send.command)
        if outcome.kind == "temporary" or (outcome.kind == "ambiguous" and self._repeat):
            if send.attempts <= len(BACK_OFF):
                self._wait(turn, command, send, outcome)
                return
            outcome = Outcome("failed", f"given up after {send.attempts} attempts: {outcome.detail}", bounce="soft")
        state = "unknown" if outcome.kind == "ambiguous" else outcome.kind
        self._finish(turn, command, state, outcome.detail, send.attempts, outcome.provider_id)
        if outcome.kind == "accepted" or outcome.bounce:
            event = receipt(self._channel.noun, command, outcome, turn.now)
            turn.send(topics.EVENTS, event.identifiers[0], self._codec.encode(event))

    def _wait(self, turn: Turn, command: SendCommand, send: Open, outcome: Outcome) -> None:
        pause = int(BACK_OFF[send.attempts - 1] * 1000 * self._pace)
        turn.put(OPEN, command.send_id, msgspec.structs.replace(send, phase="waiting"))
        self._write(turn, command, "deferred", outcome.detail, send.attempts)
        turn.wake(_RETRY + command.send_id, turn.now + pause)

    def _finish(
        self, turn: Turn, command: SendCommand, state: str, detail: str, attempts: int, provider_id: str = ""
    ) -> None:
        expires = turn.now + KEEP_DONE_MS
        turn.put(OPEN, command.send_id, None)
        turn.put(DONE, command.send_id, Done(state, expires))
        turn.wake(_EXPIRE + command.send_id, expires)
        self._write(turn, command, state, detail, attempts, provider_id)

    def _write(
        self, turn: Turn, command: SendCommand, state: str, detail: str, attempts: int, provider_id: str = ""
    ) -> None:
        entry = LedgerEntry(
            send_id=command.send_id,
            person_id=command.person_id,
            channel=command.channel,
            state=state,
            at=turn.now,
            provider_id=provider_id,
            detail=detail,
            attempts=attempts,
        )
        turn.send(self._ledger, command.send_id, self._codec.encode(entry), partition=turn.partition)

    # --- what people allow

    def _follow(self, update: Update, turn: Turn) -> None:
        if update.erasure is not None:
            follow(turn, update.person_id, update.erasure, self._ledger)
            self._fill(turn, _line(turn))
            return
        # at a move the profile goes to another person; what was known here stays the measure for what is on its way
        if update.profile is None or update.kind == "move":
            return
        try:
            allowed = msgspec.json.decode(update.profile, type=Allowed)
        except msgspec.DecodeError as error:
            raise BadRecord(f"the profile can't be read: {error}") from error
        if turn.get(ALLOWED, update.person_id) != allowed:
            turn.put(ALLOWED, update.person_id, allowed)

    def _forbidden(self, turn: Turn, command: SendCommand) -> str:
        """Why the message may not go now, empty when it may. Without a profile the decision of the journey stands."""
        known = turn.get(ALLOWED, command.person_id)
        if known is None:
            return ""
        if consent.suppression(known.suppressed, command.to, command.category):
            return f"suppressed: {command.to} for {known.suppressed[command.to]}"
        policy = "none" if command.category == "transactional" else self._policy(command)
        may, why = consent.allowed(known.consents, policy, command.channel, command.purpose, command.to)
        return "" if may else f"no consent: {why}"

    def _policy(self, command: SendCommand) -> str:
        """What silence means for the channel, by the version the command was decided under, else by the latest."""
        for project in self._projects(command.version):
            if command.channel in project.channels:
                return project.channels[command.channel].consent
        return "opt_in"

    def _projects(self, version: str) -> Iterator[Project]:
        with suppress(LookupError):
            yield self._definitions.project(version)
        latest = self._definitions.latest()
        if latest is not None:
            yield latest


def _line(turn: Turn) -> Line:
    return turn.get(LINE, "") or Line()
