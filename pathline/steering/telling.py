"""Assertions on their way to the graph."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import Producer

from pathline.errors import UserError
from pathline.steering.known import Following
from processors.graph.model import NODES, Node
from schemas.codec import Codec
from schemas.definitions.model import IdentityRules
from schemas.identifiers import Refused, normalise, split
from schemas.kafka import producer_config
from schemas.records import Assertion, LinkEnvelope
from schemas.settings import Settings
from schemas.topics import LINKS

#: How long the graph may take to answer before the command says that it did not, in seconds.
ANSWER_SECONDS = 10.0


def usable(rules: IdentityRules, *given: str) -> list[str]:
    """Identifiers as the line writes them. Raises UserError for what can't be one, and for the same one twice."""
    found = [_usable(rules, identifier) for identifier in given]
    if len(set(found)) < len(found):
        raise UserError(f"{given[0]} and {given[1]} are the same identifier, {found[0]}: an assertion takes two.")
    return found


def tell(settings: Settings, codec: Codec, assertion: Assertion) -> Mapping[str, Node]:
    """Send an assertion and wait for the graph; what it knows of the identifiers then, empty if it did not answer in
    time. Raises KafkaException."""
    following = Following(settings)
    try:
        producer = Producer(producer_config(settings.brokers))
        envelope = LinkEnvelope(kind="assertion", assertion=assertion)
        producer.produce(LINKS, codec.encode(envelope), b"links")
        if producer.flush(ANSWER_SECONDS):
            raise TimeoutError("Kafka did not acknowledge the assertion; say it again")
        ends = {assertion.a, assertion.b} - {""}

        def answered(changed: Mapping[str, Node]) -> bool:
            return all(end in changed and _told(changed[end], assertion) for end in ends)

        changed = following.until(NODES, answered, ANSWER_SECONDS)
        return {end: changed[end] for end in ends} if answered(changed) else {}
    finally:
        following.close()


def _told(node: Node, assertion: Assertion) -> bool:
    return any((said.verb, said.at) == (assertion.verb, assertion.at) for said in node.assertions.values())


def _usable(rules: IdentityRules, identifier: str) -> str:
    type, value = split(identifier)
    if not value:
        raise UserError(f"{identifier!r} is no identifier: write type:value, such as email:ann@example.com.")
    try:
        return f"{type}:{normalise(rules, type, value)}"
    except Refused as reason:
        known = f"; known are {', '.join(rules.types)}" if type not in rules.types else ""
        raise UserError(f"{identifier}: {reason}{known}") from reason
