"""SMS, to a message centre on loopback: ours for development, and one that somebody else wrote."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import smpp34

from connectors.outbound.channel import Outcome
from connectors.outbound.sms import Centre, SmppSettings, Sms, centre_of
from connectors.outbound.smsc import MessageCentre
from connectors.receipts import Incoming
from schemas.records import SendCommand
from tests.connectors.dispatching import command

NUMBER = "+380501234567"


def sms(text: str = "Hello Ann", to: str = NUMBER, send_id: str = "s1") -> SendCommand:
    return command(send_id, to=to, channel="sms", content=orjson.dumps({"text": text}))


def channel(port: int, **settings: Any) -> Sms:
    return Sms(Centre("127.0.0.1", port, "shop", "secret"), SmppSettings(**{"timeout": 60, **settings}))


class Ours:
    """The centre of the mailbox, and what it kept."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, str, int]] = []

    def keep(self, *message: Any) -> str:
        self.kept.append(message)
        return str(len(self.kept))


@asynccontextmanager
async def centre(ours: Ours) -> AsyncIterator[int]:
    server = await MessageCentre(ours.keep, delay=0).listen("127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(to: Sms) -> AsyncIterator[list[Incoming]]:
    told: list[Incoming] = []

    async def take(incoming: Incoming) -> None:
        told.append(incoming)

    task = asyncio.ensure_future(to.listen(take))
    await until(lambda: to._session is not None)
    yield told
    task.cancel()
    await to.close()


@pytest.mark.parametrize(
    ("text", "segments"),
    [("Hello Ann", 1), ("Grüße, 5 €: [ja]", 1), ("Привіт, Анно!", 1), ("a" * 500, 4), ("ж" * 300, 5), ("b€" * 120, 3)],
)
@pytest.mark.parametrize("long", ["udh", "payload"])
def test_a_message_arrives_as_it_was_written(text: str, segments: int, long: str) -> None:
    async def test() -> None:
        ours = Ours()
        async with centre(ours) as port:
            outcome = await channel(port, long=long, sender="Shop").hand_over(sms(text))
        assert outcome.kind == "accepted", outcome
        assert outcome.provider_id
        assert ours.kept == [("Shop", NUMBER, text, segments if long == "udh" else 1)]

    run(test)


def test_a_receipt_comes_once_a_message_and_names_it() -> None:
    async def test() -> None:
        ours = Ours()
        async with centre(ours) as port:
            to = channel(port)
            async with listening(to) as told:
                whole = await to.hand_over(sms("a" * 400))
                lost = await to.hand_over(sms(to="+380500000002"))
                await until(lambda: len(told) == 2)
                await asyncio.sleep(0.05)
        delivered, failed = told
        assert (delivered.name, delivered.provider_id) == ("SMS Delivered", whole.provider_id)
        assert delivered.address == NUMBER
        assert delivered.at is not None
        assert (failed.name, failed.provider_id) == ("SMS Failed", lost.provider_id)
        assert failed.properties == {"state": "UNDELIV", "error_code": "005", "reason": "UNDELIV err 005"}

    run(test)


def test_a_number_that_does_not_exist_is_a_hard_bounce_and_a_busy_centre_wants_a_pause() -> None:
    async def test() -> None:
        async with centre(Ours()) as port:
            to = channel(port)
            dead = await to.hand_over(sms(to="+380500000001"))
            assert (dead.kind, dead.bounce) == ("refused", "hard")
            busy = await to.hand_over(sms(to="+380500000003"))
            assert (busy.kind, busy.retry_after) == ("away", 1.0)
            assert (await to.hand_over(sms(to="+380500000003"))).kind == "accepted"

    run(test)


def test_content_that_is_no_message_and_addresses_that_are_no_numbers_fail_alone() -> None:
    async def test() -> None:
        async with centre(Ours()) as port:
            to = channel(port)
            assert (await to.hand_over(sms(" "))).kind == "failed"
            assert (await to.hand_over(sms(to="ann@example.com"))).kind == "failed"

    run(test)


def test_a_centre_that_is_away_is_away_and_one_that_comes_back_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.outbound.sms.RECONNECT", (0.01,))

    async def test() -> None:
        ours = Ours()
        async with centre(ours) as port:
            to = channel(port)
            assert (await to.hand_over(sms())).kind == "accepted"
            await to.close()
        assert (await to.hand_over(sms())).kind == "away"
        server = await MessageCentre(ours.keep).listen("127.0.0.1", port)
        assert (await to.hand_over(sms())).kind == "accepted"
        server.close()

    run(test)


@pytest.mark.parametrize("hangs_up", [True, False])
def test_a_centre_that_says_nothing_about_a_message_leaves_it_in_doubt(hangs_up: bool) -> None:
    from connectors.outbound.smpp import answer_to, read_pdu

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer_to(await read_pdu(reader), system_id="mute"))
        await read_pdu(reader)
        if hangs_up:
            writer.close()
        else:
            with contextlib.suppress(Exception):
                await read_pdu(reader)

    async def test() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        outcome = await channel(server.sockets[0].getsockname()[1], timeout=0.3).hand_over(sms())
        assert outcome.kind == "ambiguous"
        server.close()

    run(test)


def test_what_could_not_be_kept_is_delivered_again() -> None:
    """The centre hears of a receipt that it was taken only once it was."""

    async def test() -> None:
        async with foreign() as (server, port):
            to, tries = channel(port), 0
            told: list[Incoming] = []

            async def take(incoming: Incoming) -> None:
                nonlocal tries
                tries += 1
                if tries == 1:
                    raise OSError("Kafka is away")
                told.append(incoming)

            task = asyncio.ensure_future(to.listen(take))
            esme = await server.next()
            for expected in (False, True):
                answer = await esme.deliver_sm(
                    source_addr="380501234567",
                    destination_addr="555",
                    esm_class=0x04,
                    short_message=b"id:77 stat:DELIVRD err:000",
                )
                assert answer.is_success is expected
            assert [incoming.provider_id for incoming in told] == ["77"]
            task.cancel()
            to._session.close()  # type: ignore[union-attr]

    run(test)


# --- a centre that somebody else wrote -------------------------------------------------------------------------------


@asynccontextmanager
async def foreign() -> AsyncIterator[tuple[Any, int]]:
    with contextlib.closing(_free_port()) as sock:
        port = sock.getsockname()[1]
    server = smpp34.Server(host="127.0.0.1", port=port, system_id="SMSC")
    await server.start()
    yield server, port
    stopped = server.stop()
    if asyncio.iscoroutine(stopped) or hasattr(stopped, "__await__"):
        await stopped


def _free_port() -> Any:
    import socket

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


async def submitted(server: Any, to: Sms, message: SendCommand, answer: Callable[[Any], object]) -> tuple[Any, Outcome]:
    """What a foreign centre was given, and what we made of its answer."""
    sending = asyncio.ensure_future(to.hand_over(message))
    while True:
        event = await server.next()
        if isinstance(event, smpp34.SubmitSmEvent):
            answer(event)
            return event, await sending


def test_another_centre_reads_our_messages_and_we_its_answers() -> None:
    async def test() -> None:
        async with foreign() as (server, port):
            to = channel(port, sender="380670000000")
            given, outcome = await submitted(server, to, sms("Ціна 5 €"), lambda e: e.accept(message_id="A1F"))
            assert (given.source_addr, given.destination_addr) == ("380670000000", "380501234567")
            assert given.short_message.decode("utf-16-be") == "Ціна 5 €"
            assert (given.data_coding, given.registered_delivery) == (8, 1)
            assert (outcome.kind, outcome.provider_id) == ("accepted", "A1F")
            _, refused = await submitted(server, to, sms(), lambda e: e.reject(smpp34.ESME_RINVDSTADR))
            assert (refused.kind, refused.bounce) == ("refused", "hard")
            _, busy = await submitted(server, to, sms(), lambda e: e.reject(smpp34.ESME_RTHROTTLED))
            assert (busy.kind, busy.retry_after) == ("away", 1.0)
            to._session.close()  # type: ignore[union-attr]

    run(test)


@pytest.mark.parametrize(
    ("answer", "receipt_ids", "receipt"),
    [
        ("a1f", "decimal", "2591"),
        ("00000A1F", "decimal", "0000002591"),
        ("A1F", "decimal", "2591"),
        ("0000002591", "hex", "a1f"),
        ("2591", "hex", "00000A1F"),
        ("a1f", "same", "a1f"),
        ("x-7", "decimal", "x-7"),
    ],
)
def test_a_receipt_finds_its_message_however_the_centre_writes_numbers(
    answer: str, receipt_ids: str, receipt: str
) -> None:
    async def test() -> None:
        async with foreign() as (server, port):
            to = channel(port, receipt_ids=receipt_ids)
            told: list[Incoming] = []

            async def take(incoming: Incoming) -> None:
                told.append(incoming)

            task = asyncio.ensure_future(to.listen(take))
            esme = await server.next()
            sending = asyncio.ensure_future(to.hand_over(sms()))
            while not isinstance(event := await server.next(), smpp34.SubmitSmEvent):
                pass
            event.accept(message_id=answer)
            text = f"id:{receipt} stat:DELIVRD err:000".encode()
            await esme.deliver_sm(source_addr="380501234567", destination_addr="555", short_message=text, esm_class=4)
            assert [t.provider_id for t in told] == [(await sending).provider_id]
            task.cancel()
            to._session.close()  # type: ignore[union-attr]

    run(test)


RECEIPT = b"id:0000002591 sub:001 dlvrd:001 submit date:2611281200 done date:2611281201 stat:DELIVRD err:000 text:Hi"


@pytest.mark.parametrize(
    ("delivery", "settings", "expected"),
    [
        ({"short_message": RECEIPT, "esm_class": 4}, {}, ("SMS Delivered", "0000002591")),
        ({"short_message": RECEIPT, "esm_class": 4}, {"receipt_ids": "decimal"}, ("SMS Delivered", "A1F")),
        ({"short_message": b"id:A1F stat:EXPIRED err:000", "esm_class": 4}, {}, ("SMS Failed", "A1F")),
        (
            {"short_message": b"", "esm_class": 4, "tlvs": [(0x1E, b"A1F\0"), (0x427, b"\x02"), (0x1400, b"own")]},
            {},
            ("SMS Delivered", "A1F"),
        ),
        ({"short_message": b"id:A1F stat:ACCEPTD err:000", "esm_class": 4}, {}, None),
        ({"short_message": b"Yes please", "esm_class": 0}, {}, ("SMS Replied", "")),
        ({"short_message": "Так".encode("utf-16-be"), "esm_class": 0, "data_coding": 8}, {}, ("SMS Replied", "")),
    ],
)
def test_what_another_centre_delivers_is_understood(
    delivery: dict[str, Any], settings: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    async def test() -> None:
        async with foreign() as (server, port):
            to = channel(port, **settings)
            told: list[Incoming] = []

            async def take(incoming: Incoming) -> None:
                told.append(incoming)

            task = asyncio.ensure_future(to.listen(take))
            esme = await server.next()
            fields = {**delivery, "tlvs": [smpp34.Tlv(*tlv) for tlv in delivery.get("tlvs", [])]}
            answer = await esme.deliver_sm(source_addr="380501234567", destination_addr="555", **fields)
            assert answer.is_success
            assert [(t.name, t.provider_id) for t in told] == ([expected] if expected else [])
            assert all(t.address == NUMBER for t in told)
            task.cancel()
            to._session.close()  # type: ignore[union-attr]

    run(test)


def test_who_answers_stop_is_unsubscribed() -> None:
    async def test() -> None:
        async with foreign() as (server, port):
            to = channel(port)
            told: list[Incoming] = []

            async def take(incoming: Incoming) -> None:
                told.append(incoming)

            task = asyncio.ensure_future(to.listen(take))
            esme = await server.next()
            await esme.deliver_sm(source_addr="380501234567", destination_addr="555", short_message=b" Stop! ")
            assert [t.name for t in told] == ["SMS Replied", "Unsubscribed"]
            assert len({t.key for t in told}) == 2
            task.cancel()
            to._session.close()  # type: ignore[union-attr]

    run(test)


@pytest.mark.parametrize("url", ["", "http://x", "smpp://"])
def test_a_url_that_is_none_of_a_centre(url: str) -> None:
    with pytest.raises(ValueError, match="smpp://"):
        centre_of(url)


def test_a_url_of_a_centre() -> None:
    found = centre_of("smpps://shop:p%40ss@smsc.example")
    assert (found.host, found.port, found.system_id, found.password, found.tls) == (
        "smsc.example",
        3550,
        "shop",
        "p@ss",
        True,
    )
