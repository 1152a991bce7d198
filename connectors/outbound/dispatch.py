"""Dispatch: commands to a provider, once.

One transaction moves a command to `handed over` in the ledger and commits its offset; only then is the provider called;
a second transaction writes what became of it and the receipt. What is found `handed over` after a crash is ambiguous:
where the provider takes a send id once it is handed over again; where receipts name the send they are waited for;
else marketing is not repeated (`unknown`), transactional is. No more than `at_once` sends of a partition are handed
over at a time, and no more than the channel's rate allows; the others wait in state, so a crash leaves few in doubt.
Consent and suppression are checked again at each hand-over against the newest profile.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from connectors.outbound import audiences, health, metrics
from connectors.outbound.channel import Channel, Outcome
from connectors.outbound.erasure import erased, follow, remember
from connectors.outbound.handles import HANDLE, ORPHAN, Handles
from connectors.outbound.ledger import EXPIRE, Ledger, is_receipt
from connectors.outbound.permission import forbidden, learn
from connectors.outbound.receipts import receipt
from connectors.outbound.rules import Rules
from connectors.outbound.state import DONE, HEALTH, LINE, OPEN, PLACE, RECIPIENT, Health, Line, Open
from processors.runtime.contract import Record, Turn
from processors.runtime.definitions import DefinitionsSource
from schemas import topics
from schemas.audiences import CATEGORY, LEAVE
from schemas.codec import Codec
from schemas.records import Event, LedgerEntry, SendCommand, Update
from schemas.services import SERVICES

#: wall seconds between the tries of a send that is certainly not taken; after the last it has failed
BACK_OFF = (5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200)
#: wall seconds for which the receipt of a send in doubt is waited for
DOUBT_SECONDS = 300
AT_ONCE = 20

_RETRY, _ASIDE, _DOUBT, _FREE, _FILL = "retry:", "aside:", "doubt:", "free:", "fill"


class DispatchStage:
    """Sends the commands of one channel and lane; it is also `Calling`.

    `pace` is line milliseconds per wall millisecond: providers live in wall time, wakes are in line time. `partitions`
    share the channel's rate. The marketing lane leaves to the transactional lane what that uses of it.
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
        partitions: int = 1,
    ) -> None:
        self.app = topics.dispatch_apps(channel.name)[transactional]
        self._lane = "transactional" if transactional else "marketing"
        self._ledger = Ledger(channel.name, self._lane, codec)
        self.inputs: tuple[str, ...] = (topics.outbound(channel.name, transactional), topics.UPDATES)
        self._handles = Handles(channel.name, codec, pace) if channel.traits.handles else None
        if not transactional:
            # one of the two lanes has to: what they share
            self.inputs += (self._ledger.topic,) + ((self._handles.topic,) if self._handles else ())
        self._codec = codec
        self._channel = channel
        self._repeat = transactional or channel.traits.doubt == "idempotent"
        self._wall = pace
        self._at_once = at_once
        self._rules = Rules(definitions, channel, pace, partitions)

    # --- turns

    def on_assigned(self, turn: Turn) -> None:
        for send_id, send in list(turn.scan(OPEN)):
            if send.phase == "handed":
                detail = "in doubt: the process ended while the message was at the provider"
                self._settle(turn, send_id, send, Outcome("ambiguous", detail))
        self._fill(turn)

    def on_record(self, record: Record, turn: Turn) -> None:
        if record.topic == topics.UPDATES:
            self._follow(self._codec.decode(Update, record.value), turn)
        elif self._handles is not None and record.topic == self._handles.topic:
            self._handles.on_record(record, turn)
        elif record.topic == self._ledger.topic:
            self._leave_room(record, turn)
        else:
            self._take(self._codec.decode(SendCommand, record.value), record.value or b"", turn)

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        kind = key[: key.find(":") + 1] or key
        name = key.removeprefix(kind)
        if kind == EXPIRE:
            self._ledger.forget(turn, name, due)
        elif kind in (HANDLE, ORPHAN):
            if self._handles is not None:
                self._handles.on_wake(kind, name, due, turn)
        elif kind == _FREE:
            if (turn.get(RECIPIENT, name) or 0) <= due * 1000:
                turn.put(RECIPIENT, name, None)
        elif kind == _FILL:
            self._fill(turn)
        else:
            self._wait_is_over(kind, name.rpartition(":")[2], turn)

    async def perform(self, request: Any) -> Outcome:
        command: SendCommand = request
        return await self._channel.hand_over(command)

    def on_result(self, key: str, result: Any, turn: Turn) -> None:
        send = turn.get(OPEN, key)
        if send is None or send.phase != "handed":
            return
        outcome: Outcome = result
        metrics.OUTCOMES.labels(self._channel.name, self._lane, outcome.kind).inc()
        before = turn.get(HEALTH, "") or Health()
        now = health.after(before, outcome, turn.now, self._wall)
        if now != before:
            turn.put(HEALTH, "", now)
        self._settle(turn, key, send, outcome)
        self._fill(turn)

    # --- one send

    def _take(self, command: SendCommand, raw: bytes, turn: Turn) -> None:
        """A command: in line behind those that wait."""
        send_id = command.send_id
        if turn.get(OPEN, send_id) is not None or turn.get(DONE, send_id) is not None:
            return
        if command.category == CATEGORY:
            # of a person that is erased, too, the network has to hear: it holds nothing but hashes
            if not audiences.first(turn, command):
                turn.put(OPEN, send_id, Open(raw, "waiting"))
                self._ledger.write(turn, command, "reserved", "", 0)
                return
        elif erased(turn, command):
            return
        else:
            remember(turn, command)
        self._enqueue(turn, send_id, Open(raw, "queued"))
        self._fill(turn)
        send = turn.get(OPEN, send_id)
        if send is not None and send.phase == "queued":
            self._ledger.write(turn, command, "reserved", "", 0)

    def _enqueue(self, turn: Turn, send_id: str, send: Open, first: bool = False) -> None:
        line = _line(turn)
        place = line.first - 1 if first else line.next
        turn.put(OPEN, send_id, replace(send, phase="queued"))
        turn.put(PLACE, str(place), send_id)
        turn.put(LINE, "", replace(line, first=min(place, line.first), next=max(place + 1, line.next)))

    def _fill(self, turn: Turn) -> None:
        """Hand over what is queued as long as there are free places, the rate allows and the provider works."""
        line, state = _line(turn), turn.get(HEALTH, "") or Health()
        self._show(turn.partition, line, state)
        if line.first == line.next:
            if line.held:
                turn.put(LINE, "", replace(line, held=False))
            return
        if state.until > turn.now:
            turn.wake(_FILL, state.until)
            return
        pace = self._rules.pace()
        # after a pause one message shows whether the provider works again
        most = 1 if state.until else self._at_once
        first, handed, free, held = line.first, line.handed, line.free, line.held
        while first < line.next and handed < most:
            if pace is not None and not pace.ready(free, turn.now):
                turn.wake(_FILL, pace.due(free))
                held = True
                break
            place = str(first)
            send_id = turn.get(PLACE, place)
            send = turn.get(OPEN, send_id) if send_id is not None else None
            if send is not None and self._hand_over(turn, first, send):
                handed += 1
                free = pace.taken(free, turn.now, held) if pace is not None else free
            turn.put(PLACE, place, None)
            first += 1
        turn.put(LINE, "", Line(first, line.next, handed, free, held and first < line.next))

    def _hand_over(self, turn: Turn, place: int, send: Open) -> bool:
        """Whether the message goes to the provider now; if not, it is set aside, or may not go at all any more."""
        command = self._codec.decode(SendCommand, send.command)
        if command.category != CATEGORY and (why := self._rules.stale(command, turn.now)):
            self._fail(turn, command, send.attempts, Outcome("failed", why))
            return False
        leaves = command.category == CATEGORY and command.template == LEAVE
        if not leaves and (why := forbidden(turn, command, self._rules.policy)):
            self._finish(turn, command, "withheld", why, send.attempts)
            self._report(turn, command, "Dropped", Outcome("failed", why))
            return False
        if self._set_aside(turn, place, command, send):
            return False
        attempts = send.attempts + 1
        turn.put(OPEN, command.send_id, replace(send, phase="handed", attempts=attempts))
        self._ledger.write(turn, command, "handed over", "", attempts)
        turn.call(command.send_id, command)
        return True

    def _set_aside(self, turn: Turn, place: int, command: SendCommand, send: Open) -> bool:
        """Whether the recipient gets no more messages now. Those set aside keep their order."""
        pace = self._rules.pace_per_recipient()
        if pace is None:
            return False
        free = turn.get(RECIPIENT, command.to) or 0
        if pace.ready(free, turn.now):
            free = pace.taken(free, turn.now, queued=True)
            turn.put(RECIPIENT, command.to, free)
            turn.wake(_FREE + command.to, -(-free // 1000))
            return False
        turn.put(OPEN, command.send_id, replace(send, phase="waiting"))
        turn.wake(f"{_ASIDE}{place + 10**12:020d}:{command.send_id}", pace.due(free))
        return True

    def _settle(self, turn: Turn, send_id: str, send: Open, outcome: Outcome) -> None:
        """Write what became of a hand-over; its place is free again."""
        line = _line(turn)
        turn.put(LINE, "", replace(line, handed=line.handed - 1))
        command = self._codec.decode(SendCommand, send.command)
        if outcome.kind == "ambiguous" and self._channel.traits.doubt == "echo":
            self._doubt(turn, command, send, outcome)
        elif outcome.kind in ("temporary", "away") or (outcome.kind == "ambiguous" and self._repeat):
            self._try_again(turn, command, send, outcome)
        elif outcome.kind == "failed":
            self._fail(turn, command, send.attempts, outcome)
        else:
            state = "unknown" if outcome.kind == "ambiguous" else outcome.kind
            self._finish(turn, command, state, outcome.detail, send.attempts, outcome.provider_id)
            if self._handles is not None and outcome.provider_id:
                self._handles.given(turn, command, outcome.provider_id)
            if outcome.kind == "accepted" or outcome.bounce:
                self._report(turn, command, "Sent" if outcome.kind == "accepted" else "Bounced", outcome)

    def _try_again(self, turn: Turn, command: SendCommand, send: Open, outcome: Outcome) -> None:
        away = outcome.kind == "away"
        send = replace(send, turned_away=send.turned_away + away)
        tries = send.attempts - send.turned_away
        if tries > len(BACK_OFF):
            detail = f"given up after {tries} attempts: {outcome.detail}"
            self._finish(turn, command, "failed", detail, send.attempts)
            if command.channel in SERVICES:
                self._report(turn, command, "Failed", Outcome("failed", detail))
            else:
                self._report(turn, command, "Bounced", Outcome("failed", detail, bounce="soft"))
            return
        self._ledger.write(turn, command, "deferred", outcome.detail, send.attempts)
        if away and outcome.retry_after:
            # the whole channel pauses: this message is the next one afterwards
            self._enqueue(turn, command.send_id, send, first=True)
            return
        seconds = max(BACK_OFF[min(send.attempts, len(BACK_OFF)) - 1], outcome.retry_after)
        turn.put(OPEN, command.send_id, replace(send, phase="waiting"))
        turn.wake(_RETRY + command.send_id, turn.now + int(seconds * 1000 * self._wall))

    def _doubt(self, turn: Turn, command: SendCommand, send: Open, outcome: Outcome) -> None:
        turn.put(OPEN, command.send_id, replace(send, phase="doubt"))
        self._ledger.write(turn, command, "in doubt", outcome.detail, send.attempts)
        turn.wake(_DOUBT + command.send_id, turn.now + int(DOUBT_SECONDS * 1000 * self._wall))

    def _wait_is_over(self, kind: str, send_id: str, turn: Turn) -> None:
        send = turn.get(OPEN, send_id)
        if send is None or send.phase != ("doubt" if kind == _DOUBT else "waiting"):
            return
        if kind == _DOUBT and not self._repeat:
            command = self._codec.decode(SendCommand, send.command)
            self._finish(turn, command, "unknown", "in doubt, and no receipt came", send.attempts)
            return
        self._enqueue(turn, send_id, send)
        self._fill(turn)

    def _fail(self, turn: Turn, command: SendCommand, attempts: int, outcome: Outcome) -> None:
        self._finish(turn, command, "failed", outcome.detail, attempts)
        self._report(turn, command, "Failed", outcome)

    def _finish(
        self, turn: Turn, command: SendCommand, state: str, detail: str, attempts: int, provider_id: str = ""
    ) -> None:
        self._ledger.finish(turn, command, state, detail, attempts, provider_id)
        following = audiences.following(turn, command) if command.category == CATEGORY else None
        if following is not None:
            turn.wake(_RETRY + following, turn.now)

    def _report(self, turn: Turn, command: SendCommand, what: str, outcome: Outcome) -> None:
        if command.category == CATEGORY:
            return  # nothing has happened to the person
        event = receipt(f"{self._channel.noun} {what}", command, outcome, turn.now)
        turn.send(topics.EVENTS, event.identifiers[0], self._codec.encode(event))

    # --- what others tell

    def _follow(self, update: Update, turn: Turn) -> None:
        if update.erasure is not None:
            follow(turn, update.person_id, update.erasure, self._ledger.topic, self._handles)
            self._fill(turn)
            return
        learn(turn, update)
        # most events are no receipts, and taking one apart costs more than all the rest here
        if update.event is not None and b'"send_id"' in update.event:
            event = self._codec.decode(Event, update.event)
            if is_receipt(event):
                self._told(turn, update.person_id, event)

    def _told(self, turn: Turn, person: str, event: Event) -> None:
        send = turn.get(OPEN, event.send_id or "")
        if send is not None and send.phase == "doubt":
            command = self._codec.decode(SendCommand, send.command)
            self._finish(turn, command, "accepted", f"in doubt, but there is a receipt: {event.name}", send.attempts)
        self._ledger.told(turn, person, event)

    def _leave_room(self, record: Record, turn: Turn) -> None:
        """What the transactional lane hands over takes its place in the rate of the channel."""
        pace = self._rules.pace()
        if pace is None or record.value is None:
            return
        entry = self._codec.decode(LedgerEntry, record.value)
        if entry.lane == "transactional" and entry.state == "handed over":
            line = _line(turn)
            turn.put(LINE, "", replace(line, free=pace.taken(line.free, entry.at, queued=False)))

    def _show(self, partition: int, line: Line, state: Health) -> None:
        waiting = line.next - line.first
        metrics.show(self._channel.name, self._lane, partition, waiting, state.why, bool(state.until))


def _line(turn: Turn) -> Line:
    return turn.get(LINE, "") or Line()
