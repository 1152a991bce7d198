"""Every kind of mistake is told with its place, what is wrong, and what would be valid."""

from __future__ import annotations

import pytest

from schemas.definitions.advice import advice
from tests.definitions.files import journey, problems, project

SEND = "- send: {template: hello, channels: [email]}"


def told(**files: str) -> list[str]:
    return [str(problem) for problem in problems(**files)]


@pytest.mark.parametrize(
    ("segment", "place", "message"),
    [
        ("whn: {did: A}", "1:1", "unknown key 'whn' (did you mean when?)"),
        ("name: a b\nwhen: {did: A}", "1:7", "'a b' can't be a name"),
        ("name: ~hidden\nwhen: {did: A}", "1:7", "'~hidden' can't be a name"),
        ("description: x", "1:1", "'when' is missing here"),
        ("when: {dd: A}", "1:7", "a condition is expected, not 'dd' (did you mean did?)"),
        ("when: {}", "1:7", "allowed: all, any, not, did, did_in_order, sum, average, min"),
        ("when: vip", "1:7", "a condition is expected, not 'vip'"),
        ("when:\n  all: []", "2:8", "at least 1 expected, there are 0"),
        ("when: {did: A, within: 180}", "1:24", "180 has no unit; write for example 180s"),
        ("when: {did: A, within: 0d}", "1:24", "must be longer than 0s"),
        ("when: {did: A, within: soon}", "1:24", "'soon' is not a duration"),
        ("when: {did: A, within: 1d, between: [2d, 1d]}", "1:7", "one window only, not within and between"),
        ("when: {did: A, between: [1d, 2d]}", "1:7", "between is [far, near]"),
        ("when: {did: A, from: soon}", "1:22", "'soon' is not a date"),
        ("when: {did: A, from: 2024-05-02, to: 2024-05-01}", "1:38", "to is not later than from"),
        ("when: {did: A, count: 3}", "1:23", "a mapping (key: value) is expected"),
        ("when: {did: A, count: {at_leats: 3}}", "1:24", "unknown key 'at_leats' (did you mean at_least?)"),
        ("when: {did: A, count: {at_least: 3, at_most: 2}}", "1:23", "nothing is at least 3 and at most 2"),
        ("when: {did: A, count: {exactly: 3, at_most: 2}}", "1:23", "exactly stands alone"),
        ("when: {did: A, count: {at_least: 1.5}}", "1:34", "a whole number is expected"),
        ("when: {did: A, where: event.properties.x >}", "1:23", "not a CEL condition"),
        ("when: {did: A, where: evnt.properties.x > 1}", "1:23", "there is no 'evnt' here (did you mean event?)"),
        ("when: {did: A, where: properties.x > 1}", "1:23", "did you mean event.properties.x?"),
        ("when: {did: A, where: event.price > 1}", "1:23", "did you mean event.properties.price?"),
        ("when: {did: A, where: entry.properties.x > 1}", "1:23", "there is no 'entry' here"),
        ("when: {cel: event.properties.x > 1}", "1:13", "cel has no place in a segment"),
        ("when: {trait: city}", "1:7", "say how the trait compares: equals, not_equals"),
        ("when: {trait: city, equal: x}", "1:21", "unknown key 'equal' (did you mean equals?)"),
        ("when: {trait: city, equals: [x]}", "1:29", "text, a number or true/false is expected"),
        ("when: {trait: city, one_of: x}", "1:29", "a list is expected, not 'x'"),
        ("when: {trait: expires, before: soon}", "1:32", "'soon' is neither a date nor a duration (write 2025-01-01"),
        ("when: {trait: birthday, anniversary: {}}", "1:38", "say within, after or both"),
        ("when: {trait: birthday, anniversary: {within: 36h}}", "1:38", "counted in whole days, at most 180d"),
        ("when: {time: {}}", "1:14", "say from, to or days"),
        ("when: {time: {from: 9}}", "1:21", "text is expected, not 9"),
        ("when: {time: {from: '9am'}}", "1:21", "'9am' is not a time of day; write for example \"09:00\""),
        ("when: {time: {from: '09:00', to: '09:00'}}", "1:14", "from and to are the same"),
        ("when: {time: {days: [monday]}}", "1:22", "'monday' is not allowed here (allowed: fri, mon"),
        ("when: {percent: 101}", "1:17", "less than or equal to 100"),
        ("when: {percent: [20, 10]}", "1:7", "percent is [from, up to], the smaller first"),
        ("when: {percent: ten}", "1:17", "a percentage or [from, up to] is expected, not 'ten'"),
        ("when: {trait: x, at_least: 5, at_most: 2}", "1:7", "nobody: trait x can't be at least 5 and at most 2"),
        ("when: {trait: x, exists: false, equals: a}", "1:7", "nobody: trait x is compared and must not exist"),
        ("when: {trait: x, one_of: [a, b], equals: c}", "1:7", "nobody: trait x can have none of the values"),
        ("when: {trait: x, equals: true, one_of: [1]}", "1:7", "nobody: trait x can have none of the values"),
        ("when:\n  all: [{trait: x, equals: a}, {trait: x, equals: b}]", "2:8", "nobody: trait x can have none"),
        ("when:\n  all: [{trait: x, equals: a}, {trait: x, not_equals: a}]", "2:8", "nobody: trait x can have none"),
        ("when:\n  all: [{in: vip}, {not: {in: vip}}]", "2:8", "nobody: the same condition is asked for and ruled out"),
        ("when:\n  all: [{in: vip}, {not: {any: [{in: vip}, {did: A}]}}]", "2:8", "nobody: the same condition"),
        (
            "when:\n  all: [{did: A, count: {at_least: 3}, within: 7d}, {not: {did: [A, B], within: 30d}}]",
            "2:8",
            "nobody: A is asked for 3 and allowed 0 times",
        ),
        (
            "when:\n  all: [{did: A, count: {at_least: 3}}, {did: A, count: {at_most: 2}}]",
            "2:8",
            "nobody: A is asked for 3 and allowed 2 times",
        ),
        ("when: {in: vp}", "1:12", "there is no segment 'vp' (did you mean vip?)"),
        ("name: wip\nwhen: {in: wipp}", "2:12", "there is no segment 'wipp' (allowed: vip)"),
        ("when: {in: 'list:my staff'}", "1:12", "'my staff' can't be a name"),
        ("when: {consent: emial}", "1:17", "there is no channel 'emial' (did you mean email?)"),
        ("when: {consent: {purpose: x}}", "1:17", "'channel' is missing here"),
        ("when: {reachable: fax}", "1:19", "there is no channel 'fax' (allowed: email, sms, web)"),
        ("when: {not: [{did: A}]}", "1:13", "a condition is expected, not a list"),
        ("when: {sum: {of: properties.total, event: A}}", "1:13", "say how it compares: equals, not_equals, one_of"),
        ("when: {sum: {event: A, at_least: 1}}", "1:13", "'of' is missing here"),
        ("when: {sum: {of: total, event: A, at_least: 1}}", "1:18", "did you mean properties.total?"),
        ("when: {sum: {of: item.price, event: A, at_least: 1}}", "1:18", "say which lines by each"),
        ("when: {average: {of: properties.x, event: A, at_least: 2, at_most: 1}}", "1:17", "nothing is at least 2"),
        ("when: {min: {of: properties.x, event: A, at_least: 2, within: 1d, to: 2024-01-01}}", "1:13", "one window"),
        ("when: {first: {event: A}}", "1:15", "say how it compares: within, between, from, to, before, after"),
        ("when: {first: {event: A, equals: 1}}", "1:15", "equals compares a property: say which by of"),
        ("when: {last: {event: A, at_least: 5}}", "1:14", "5 is not how long ago; write at_least: 30d"),
        ("when: {last: {event: A, before: soon}}", "1:33", "'soon' is neither a date nor a duration"),
        ("when: {did_in_order: [A]}", "1:22", "at least 2 expected, there are 1"),
        ("when: {did_in_order: A}", "1:22", "a list is expected, not 'A'"),
        ("when: {did_in_order: [A, 2]}", "1:26", "text is expected"),
        ("when: {did_in_order: [A, []]}", "1:26", "at least 1 expected, there are 0"),
        ("when: {did_in_order: [A, {did: B, whre: x}]}", "1:35", "unknown key 'whre' (did you mean where?)"),
        ("when: {did_in_order: [A, {did: B, where: event.x > 1}]}", "1:42", "did you mean event.properties.x?"),
        ("when: {did_in_order: [A, B], same: product_id}", "1:36", "did you mean properties.product_id?"),
        ("when: {did_in_order: [A, B], within: 1d, from: 2024-05-01}", "1:7", "one window only, not within and from"),
        ("when: {did: A, each: products}", "1:22", "an event has no 'products' (did you mean properties.products?)"),
        ("when: {did: A, where: item.price > 1}", "1:23", "there is no 'item' here"),
        ("when: {prefers: web}", "1:17", "there is no channel to send by 'web' (allowed: email, sms)"),
        ("when: {rfm: {}}", "1:13", "say recency, frequency, monetary or several of them"),
        ("when: {rfm: {recency: [4, 6]}}", "1:27", "less than or equal to 5"),
        ("when: {rfm: {recency: high}}", "1:23", "a score from 1 to 5 or a list of them is expected, not 'high'"),
        ("when: {rfm: {recence: 5}}", "1:14", "unknown key 'recence' (did you mean recency?)"),
        ("when: {predicts: {purchase: 30d}}", "1:18", "say how it compares: at_least, at_most or both"),
        ("when: {predicts: {at_least: 0.6}}", "1:18", "one of purchase, value, churn with a time ahead is expected"),
        ("when: {predicts: {churn: 1d, value: 1d, at_least: 1}}", "1:18", "is expected, not value and churn"),
        ("when: {predicts: {purchase: 30d, at_least: 60}}", "1:18", "between 0 and 1, so 60 % is 0.6"),
        ("when: {predicts: {purchase: 0d, at_least: 0.6}}", "1:29", "must be longer than 0s"),
        ("when: {predicts: {value: ever, at_least: 9}}", "1:26", "'ever' is not a duration"),
        ("when: {predicts: {value: 1d, at_least: 9, at_most: 3}}", "1:18", "nothing is at least 9 and at most 3"),
        ("when: {predicts: {purchse: 30d, at_least: 0.6}}", "1:19", "unknown key 'purchse' (did you mean purchase?)"),
        ("when: {did: A}\nsync: [sms]", "2:7", "channel 'sms' is no audience (an audience has kind: audience"),
        ("", "1:1", "the file is empty"),
        ("- a", "1:1", "a mapping (key: value) is expected, not a list"),
        ("when: [", "1:8", "not YAML"),
    ],
)
def test_segments(segment: str, place: str, message: str) -> None:
    found = told(segments__s=segment)
    assert len(found) == 1, found
    assert found[0].startswith(f"segments/s.yaml:{place}: ")
    assert message in found[0]


@pytest.mark.parametrize(
    ("steps", "place", "message"),
    [
        ("- wait: 5", "4:11", "5 has no unit"),
        ("- wait:", "4:5", "a duration is expected"),
        ("- wait: {until: birthday}", "4:19", "neither a time of day nor a date"),
        ("- wait: {until: '25:00'}", "4:19", "'25:00' is not a time of day"),
        ("- wait: {until: '09:00', days: [funday]}", "4:35", "'funday' is not allowed here"),
        ("- wait: {until: '09:00', before: 1d}", "4:11", "before and after belong to a date"),
        ("- wait: {until: traits.x, days: [mon]}", "4:35", "days belong to a time of day"),
        ("- wait: {days: [mon]}", "4:11", "a duration (for) or a time (until) is expected"),
        ("- wait: 1h\n  send: {template: hello}", "5:5", "'send' is a step of its own (begin it with '- ')"),
        ("- wiat: 1h", "4:5", "a step is expected, not 'wiat' (did you mean wait?)"),
        ("- exit", "4:5", "a step is expected, not 'exit'"),
        ("- wait_for: {evnt: A}", "4:15", "what happens is expected, not 'evnt' (did you mean event?)"),
        ("- wait_for: {segment: nope}", "4:25", "there is no segment 'nope'"),
        ("- wait_for: {event: A, as: entry}", "4:30", "'entry' already stands for something else"),
        ("- wait_for: {event: A, as: a.b}", "4:30", "can't be used in expressions"),
        ("- branch: []", "4:13", "at least 1 expected, there are 0"),
        ("- branch: [{otherwise: []}]", "4:13", "a branch needs at least one arm with when"),
        ("- branch: [{otherwise: []}, {when: {in: vip}, steps: []}]", "4:26", "otherwise comes last"),
        ("- branch: [{if: {in: vip}, steps: []}]", "4:14", "an arm is {when, steps} or {otherwise}, not 'if'"),
        ("- branch: [{when: {in: vip}}]", "4:14", "'steps' is missing here"),
        ("- branch: [{when: {in: vp}, steps: []}]", "4:26", "there is no segment 'vp'"),
        ("- branch: [{when: {cel: view.x == 1}, steps: []}]", "4:27", "there is no 'view' here"),
        ("- branch: [{when: {did: A, where: entry.name == 'x'}, steps: []}]", "4:37", "there is no 'entry' here"),
        ("- send: {template: helo, channels: [email]}", "4:22", "there is no template 'helo' (did you mean hello?)"),
        ("- send: {template: hello, channels: [telegram]}", "4:39", "there is no channel 'telegram'"),
        ("- send: {template: hello, channels: [web]}", "4:39", "a channel people visit"),
        ("- send: {template: hello, channels: cheepest}", "4:39", "(did you mean cheapest?)"),
        ("- send: {template: hello, until: opened}", "4:11", "until and within go together"),
        ("- send: {template: hello, until: seen, within: 1h}", "4:36", "'seen' is not allowed here"),
        ("- send: hello", "4:11", "a mapping (key: value) is expected"),
        ("- split: {a: 45, b: 45}\n  a: []\n  b: []", "4:12", "the shares add up to 90, 100 is expected"),
        ("- split: {a: 50, b: 50}\n  a: []", "4:12", "arm 'b' has no steps (write b: [...] beside split)"),
        ("- split: {a: 50, b: 50}\n  a: []\n  b: []\n  c: []", "7:5", "unknown key 'c'"),
        ("- split: {a: 50, holdout: 50}\n  a: []\n  holdout: []", "6:5", "unknown key 'holdout'"),
        ("- split: {a: 50, b: 50}\n  a: [{sent: x}]\n  b: []", "5:9", "a step is expected, not 'sent'"),
        ("- update: {cart_reminded: true}", "4:13", "write traits.cart_reminded: ..."),
        ("- update: {traits.name: '{{ foo }}'}", "4:13", "there is no 'foo' here"),
        ("- id: x\n  wait: 1h\n- id: x\n  wait: 1h", "6:9", "step id 'x' stands here twice, first in line 4"),
        ("- emit: {evnt: A}", "4:12", "unknown key 'evnt' (did you mean event?)"),
        ("- emit: {event: Journey Entry Requested}", "4:19", "is a name that Pathline uses itself"),
        ("- emit: {event: A, properties: {n: '{{ foo }}'}}", "4:34", "there is no 'foo' here"),
        ("- wait_for: {receipt: read}", "4:25", "'read' is not allowed here"),
        ("- wait_for: {receipt: opened, of: hi}", "4:37", "there is no step 'hi' (allowed: 1)"),
        (
            "- {id: ask, task: Call}\n- wait_for: {receipt: opened, of: ask}",
            "5:37",
            "step 'ask' sends no message, so no receipt comes of it (what became of a call or a task is an event",
        ),
        ("- wait_for: {event: A, then: []}\n  then: [{exit: }]", "5:11", "never reached: all that is waited for"),
        ("- exit: done\n- wait: 1h", "5:5", "never reached: the step before it always ends the journey"),
        (
            "- branch: [{when: {in: vip}, steps: [{exit: a}]}, {otherwise: [{exit: b}]}]\n- wait: 1h",
            "5:5",
            "never reached: the step before it always ends",
        ),
        (
            "- wait_for: {event: A}\n  timeout: 1h\n  then: [{exit: a}]\n  on_timeout: [{exit: b}]\n- wait: 1h",
            "8:5",
            "never reached: the step before it always ends",
        ),
        ("- wait_for: {event: A}\n  on_timeout: [{wait: 1h}]", "5:17", "never reached: there is no timeout"),
        (
            "- branch: [{when: {in: vip}, steps: []}, {when: {in: vip}, steps: []}]",
            "4:51",
            "never reached: an arm before it asks the same",
        ),
        ("- call: {url: x}", "4:17", "'x' is no URL"),
        ("- task: {}", "4:11", "'title' is missing here"),
        ("- start: other", "4:12", "there is no journey 'other'"),
        ("- start: {journey: j, properties: {x: '{{ y }}'}}", "4:37", "there is no 'y' here"),
        ("- repeat: {times: 3}", "4:13", "'steps' is missing here"),
        ("- repeat: {times: 0, steps: [{exit: }]}", "4:21", "must be greater than or equal to 1"),
        ("- repeat: {times: 100, steps: [{repeat: {times: 11, steps: [{exit: }]}}]}", "4:51", "1100 rounds with those"),
    ],
)
def test_steps(steps: str, place: str, message: str) -> None:
    found = told(journeys__j=journey(steps))
    assert len(found) == 1, found
    assert found[0].startswith(f"journeys/j.yaml:{place}: ")
    assert message in found[0]


@pytest.mark.parametrize(
    ("enter", "place", "message"),
    [
        ("{evnt: A}", "2:8", "what starts the journey is expected, not 'evnt' (did you mean event?)"),
        ("{segment: nope}", "2:18", "there is no segment 'nope'"),
        ("{left: nope}", "2:15", "there is no segment 'nope'"),
        ("{event: A, key: cart_id}", "2:24", "an event has no 'cart_id' (did you mean properties.cart_id?)"),
        ("{event: A, on_repeat: again}", "2:30", "'again' is not allowed here"),
        ("{event: A, existing: true}", "2:19", "unknown key 'existing'"),
        ("{event: A, max_age: 1y}", "2:28", "'1y' is not a duration"),
        ("{api: yes}", "2:14", "'yes' is not allowed here (allowed: True)"),
        ("{api: true, key: ticket}", "2:25", "an event has no 'ticket'"),
        ("[{event: A}, {left: nope}]", "2:28", "there is no segment 'nope'"),
        ("[]", "2:8", "at least 1 expected, there are 0"),
        ("vip", "2:8", "what starts the journey is expected, or a list of it, not 'vip'"),
        ("{schedule: FREQ=DAILY}", "2:8", "'of' is missing here"),
        ("{schedule: FREQ=DAILY, of: nope}", "2:35", "there is no segment 'nope'"),
        ("{schedule: often, of: vip}", "2:19", "'OFTEN' is not a rule; write for example FREQ=WEEKLY"),
        ("{schedule: FREQ=DAILY, of: vip, rate: many}", "2:46", "'many' is not a rate; write for example 30/s"),
        ("{schedule: FREQ=DAILY, of: vip, timezone: Mars}", "2:50", "there is no time zone 'Mars'"),
        ("{date: properties.x}", "2:15", "'properties.x' is no trait of the person (write for example traits.birth"),
        ("{date: {before: 7d}}", "2:15", "'trait' is missing here"),
        ("{date: {trait: x, every: 2h}}", "2:33", "a date comes again after a day at the earliest"),
        ("{date: {trait: x, every: yearly}}", "2:33", "'yearly' is not allowed here (did you mean year?)"),
        ("{date: {trait: x, before: 1d, after: 2d}}", "2:15", "before or after, not both"),
        ("{date: {trait: x, at: noon}}", "2:30", "'noon' is not a time of day"),
    ],
)
def test_entries(enter: str, place: str, message: str) -> None:
    found = told(journeys__j=journey(SEND, enter))
    assert len(found) == 1, found
    assert found[0].startswith(f"journeys/j.yaml:{place}: ")
    assert message in found[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("exit: done", "an event or a segment, or a list of them, is expected"),
        ("migrate: {steps: {old: 9}}", "text is expected"),
        ("migrate: {steps: {old: later}}", "there is no step 'later' (allowed: 1)"),
        ("migrate: {}", "this takes nobody over: name steps, or say others: exit"),
        ("migrate: {others: go}", "'go' is not allowed here (allowed: exit, stay)"),
        ("exit: [{left: nope}]", "there is no segment 'nope'"),
        ("goal: {within: 1d}", "a goal is an event or a segment"),
        ("category: promo", "'promo' is not allowed here"),
        ("priority: high", "a whole number is expected, not 'high'"),
        ("intent: '{{ cart }}'", "there is no 'cart' here"),
        ("intent: '{{ entry.cart_id }}'", "did you mean entry.properties.cart_id?"),
        ("intents: x", "unknown key 'intents' (did you mean intent?)"),
    ],
)
def test_the_rest_of_a_journey(more: str, message: str) -> None:
    found = told(journeys__j=journey(SEND, more=more))
    assert len(found) == 1, found
    assert found[0].startswith("journeys/j.yaml:5:")
    assert message in found[0]


@pytest.mark.parametrize(
    ("file", "text", "place", "message"),
    [
        ("project", "nam: x", "1:1", "unknown key 'nam' (did you mean name?)"),
        ("project", "timezone: Europe/Kiew", "1:11", "there is no time zone 'Europe/Kiew'"),
        ("project", "currency: hryvnia", "1:11", "'hryvnia' does not look like"),
        ("project", "holdout: {share: 100}", "1:18", "must be less than 100"),
        ("project", "holdout: {share: 5, except: transactionl}", "1:29", "(did you mean transactional?)"),
        ("project", "holdout: {share: 5, except: [marketing, gone]}", "1:29", "there is no category or journey 'gone'"),
        ("identity", "identifiers: {}", "1:14", "at least 1 expected"),
        ("identity", "identifiers: {email: {normalise: email}}", "1:23", "(did you mean normalize?)"),
        ("identity", "identifiers: {email: {normalize: mail}}", "1:34", "(did you mean email?)"),
        ("identity", "identifiers: {email: {limit: 0}}", "1:30", "must be greater than or equal to 1"),
        ("identity", "identifiers: {email: {shared: new}}", "1:31", "'new' is not allowed here"),
        ("identity", "identifiers: {email: {region: UA}}", "1:31", "region belongs to normalize: phone"),
        ("identity", "identifiers: {phone: {normalize: phone, region: XX}}", "1:49", "there is no region 'XX'"),
        ("identity", "identifiers: {email: {per: 30d}}", "1:28", "per belongs to a limit"),
        ("identity", "identifiers: {email: {limit: 5, per: 30}}", "1:38", "30 has no unit; write for example 30s"),
        ("identity", "identifiers: {email: {limit: 5, per: 0d}}", "1:38", "must be longer than 0s"),
        ("identity", "identifiers: {email: {limit: one}}", "1:30", "a whole number is expected"),
        ("identity", "identifiers: {phone: {ignore: [dots]}}", "1:31", "ignore belongs to normalize: email"),
        ("identity", "identifiers: {email: {normalize: email, ignore: [tags]}}", "1:50", "'tags' is not allowed here"),
        ("identity", "identifiers: {phone: {hash: sha256}}", "1:29", "true or false is expected"),
        ("identity", "identifiers: {email: {}}\nblocked: ['/(/']", "2:11", "is not a regular expression"),
        ("identity", "identifiers: {email: {}}\nhub: many", "2:6", "a whole number is expected"),
        ("events", "Order: {smae: properties.id}", "1:9", "unknown key 'smae' (did you mean same?)"),
        ("events", "Order: {same: order_id}", "1:15", "did you mean properties.order_id?"),
        ("events", "Order: {undo: [Order]}", "1:15", "'Order' can't undo itself"),
        ("channels", "email: {connecter: smtp}", "1:9", "unknown key 'connecter' (did you mean connector?)"),
        ("channels", "email: {consent: optin}", "1:18", "'optin' is not allowed here (did you mean opt_in?)"),
        ("channels", "email: {quiet: 21:00}", "1:16", "'21:00' is not a span of the day"),
        ("channels", "email: {caps: [{at_most: 1}]}", "1:16", "'per' is missing here"),
        ("channels", "email: {caps: [{at_most: 1, per: day}]}", "1:34", "'day' is not a duration"),
        (
            "channels",
            "email: {identifiers: [mail]}",
            "1:22",
            "there is no identifier type 'mail' (did you mean email?)",
        ),
        ("templates__hello", "subjekt: x\nbody: y", "1:1", "unknown part, channel or language 'subjekt'"),
        ("templates__hello", "subject: x\nbody: '{% if %}'", "2:7", "not a Liquid template"),
        ("templates__hello", "subject: x\nbody: |\n  a\n  {{ b", "4:1", "not a Liquid template"),
        (
            "templates__hello",
            "subject: x\nbody: '{{ event.name | shout }}'",
            "2:7",
            "there is no Liquid filter 'shout'",
        ),
        ("templates__hello", "subject: x\nbody: '{% include \"a\" %}'", "2:7", "not supported yet: {% include %}"),
        ("templates__hello", "subject: x\nbody: |\n  a\n  {{ name }}", "4:1", "there is no 'name' here"),
        ("templates__hello", "subject: x\nbody: '{{ person.city }}'", "2:7", "did you mean person.traits.city?"),
        ("templates__hello", "subject: 5\nbody: x", "1:10", "text is expected, not 5 (put it in quotes)"),
        ("channels", "email: {caps: [{at_most: 2, per: week}]}", "1:34", "or 2w; or calendar_day"),
        ("templates__hello", "name: hi\nsubject: x\nbody: x", "1:7", "the name of a template is the name of its file"),
        ("templates__hello", "subject: x\nbody: x\nuk: y", "3:5", "'uk' is a mapping of parts"),
        ("traits__spent", "name: spent", "1:1", "one of count, sum, average, min, max, distinct"),
        ("traits__spent", "count: {event: A}\nmin: {event: A, of: properties.x}", "1:1", "not count and min"),
        ("traits__spent", "name: email\ncount: {event: A}", "1:7", "'email' is a trait that people tell"),
        ("traits__spent", "sum: {event: A, of: item.price}", "1:21", "say which lines by each"),
        ("traits__spent", "cuont: {event: A}", "1:1", "did you mean count?"),
        ("traits__cart", "collect: {remove: A}", "1:10", "'add' is missing here"),
        ("traits__cart", "collect: {add: A, by: product_id}", "1:23", "did you mean properties.product_id?"),
        ("traits__cart", "collect: {add: A, by: item.id}", "1:23", "say which lines by each"),
        ("traits__cart", "collect: {add: A, at_most: 0}", "1:28", "greater than or equal to 1"),
        ("traits__cart", "collect: {add: [A, B], remove: B}", "1:32", "'B' adds already"),
        ("traits__cart", "collect: {add: A, remove: B, clear: B}", "1:37", "'B' removes already"),
        ("traits__cart", "collect: {add: A, where: item.price > 1}", "1:26", "there is no 'item' here"),
        ("traits__cart", "collect: {add: A, keep: [a b]}", "1:26", "'a b' can't be a name"),
    ],
)
def test_the_other_files(file: str, text: str, place: str, message: str) -> None:
    found = told(**{file: text, "segments__vip": "when: {trait: vip, equals: true}"})
    assert len(found) == 1, found
    assert found[0].startswith(f"{file.replace('__', '/')}.yaml:{place}: ")
    assert message in found[0]


def test_segments_that_refer_to_each_other_in_a_circle() -> None:
    found = told(segments__a="when: {in: b}", segments__b="when: {not: {in: c}}", segments__c="when: {in: a}")
    assert found == ["segments/a.yaml:1:12: segments refer to each other in a circle: a -> b -> c -> a"]


def test_a_branch_that_asks_for_a_circle_is_no_part_of_it() -> None:
    steps = "- branch: [{when: {all: [{in: a}, {did: A}]}, steps: [{exit: x}]}]"
    found = told(segments__a="when: {any: [{did: A}, {not: {all: [{in: a}, {did: B}]}}]}", journeys__j=journey(steps))
    assert found == ["segments/a.yaml:1:42: segments refer to each other in a circle: a -> a"]


def test_a_name_may_stand_once() -> None:
    assert told(segments__other="name: vip\nwhen: {did: A}") == [
        "segments/vip.yaml:1:1: there already is a segment 'vip' in segments/other.yaml"
    ]


def test_a_template_that_lacks_what_its_channel_needs() -> None:
    found = told(templates__hello="sms: {body: Hi}", journeys__j=journey(SEND))
    assert found == [
        "journeys/j.yaml:4:22: template 'hello' has no body for email",
    ]


def test_a_template_may_show_an_event_only_if_its_journey_caught_it() -> None:
    caught = "- wait_for: {event: View, as: view}\n  then: [{send: {template: hello, channels: [email]}}]"
    template = "subject: '{{ view.properties.name }}'\nbody: x"
    assert not told(templates__hello=template, journeys__j=journey(caught))
    assert told(templates__hello=template, journeys__j=journey(SEND)) == [
        "templates/hello.yaml:1:10: there is no 'view' here (allowed: entry, event, item, now, person)"
    ]


def test_all_problems_of_all_files_are_told_at_once_in_order() -> None:
    found = told(
        project="nam: x",
        segments__a="when: {dd: A}",
        segments__b="when:\n  any:\n    - {did: A, within: 1}\n    - {did: A, where: '>'}",
        journeys__j=journey("- wait: 5\n- send: {template: nope, channels: [fax]}"),
    )
    assert [line.split(" ")[0] for line in found] == [
        "journeys/j.yaml:4:11:",
        "project.yaml:1:1:",
        "segments/a.yaml:1:7:",
        "segments/b.yaml:3:24:",
    ]


@pytest.mark.parametrize(
    ("rule", "place", "message"),
    [
        ("- {utm: {sorce: x}}", "1:10", "unknown key 'sorce' (did you mean source?)"),
        ("- {source: a}", "1:3", "a rule needs one of utm, click_id, referrer"),
        ("- {utm: {}, source: a}", "1:9", "name a tag, for example utm: {source: newsletter}"),
        ("- {referer: x}", "1:4", "unknown key 'referer' (did you mean referrer?)"),
        ("- {click_id: []}", "1:14", "at least 1 expected"),
        ("google: gclid", "1:1", "a list is expected, not a mapping"),
    ],
)
def test_sources(rule: str, place: str, message: str) -> None:
    found = told(sources=rule)
    assert len(found) == 1, found
    assert found[0].startswith(f"sources.yaml:{place}: ")
    assert message in found[0]


@pytest.mark.parametrize(
    "segment",
    [
        "when:\n  all: [{did: A, within: 30d}, {not: {did: A, within: 7d}}]",
        "when:\n  all: [{did: A, where: event.properties.x > 1}, {not: {did: A, where: event.properties.x > 2}}]",
        "when:\n  all: [{did: A, count: {at_least: 3}}, {did: A, count: {at_most: 2}, within: 30d}]",
        "when:\n  all: [{did: A}, {not: {did: A, count: {at_least: 2}}}]",
        "when:\n  any: [{trait: x, equals: a}, {trait: x, equals: b}]",
        "when:\n  all: [{trait: x, one_of: [a, b]}, {trait: x, not_equals: a}, {trait: x, exists: true}]",
        "when:\n  all: [{trait: x, exists: false}, {trait: x, not_equals: a}]",
        "when: {trait: x, at_least: 2, at_most: 2}",
    ],
)
def test_what_somebody_can_meet_is_no_contradiction(segment: str) -> None:
    assert told(segments__s=segment) == []


@pytest.mark.parametrize(
    "steps",
    [
        "- branch: [{when: {percent: 5}, steps: [{exit: a}]}]\n- wait: 1h",
        "- split: {a: 90, holdout: 10}\n  a: [{exit: a}]\n- wait: 1h",
        "- wait_for: {event: A}\n  timeout: 1h\n  then: [{exit: a}]\n- wait: 1h",
        "- wait: 1h\n  late: skip\n- exit: a\n- wait: 1h",
    ],
)
def test_a_step_that_somebody_comes_to_is_reached(steps: str) -> None:
    assert told(journeys__j=journey(steps)) == []


def test_an_audience_that_is_declared_nowhere_is_a_note_and_one_that_is_misspelt_a_mistake() -> None:
    files = {"segments__s": "when: {did: A}\nsync: [google_ads]"}
    notes = advice(project(**files))
    assert "segment s is synced to nobody: channels.yaml has no google_ads (kind: audience)" in notes
    files["channels"] = "email: {}\nsms: {}\ngoogle_adds: {kind: audience, connector: webhook}"
    assert told(**files) == ["segments/s.yaml:2:7: there is no audience 'google_ads' (did you mean google_adds?)"]


def test_what_takes_an_order_back_needs_to_know_which() -> None:
    note = "Refunded takes no Ordered back: events.yaml has no `same` for Ordered, by which the two are joined"
    assert note in advice(project(events="Ordered: {revenue: properties.total, undo: Refunded}"))
    joined = project(events="Ordered: {same: properties.order_id, undo: Refunded}")
    assert not [said for said in advice(joined) if "takes" in said]


def test_the_name_of_a_file_has_to_be_a_name_unless_the_file_says_another() -> None:
    assert "segments/a b.yaml:1:1: 'a b' can't be a name" in told(**{"segments__a b": "when: {did: A}"})[0]
    assert "segments/~a.yaml:1:1: '~a' can't be a name" in told(**{"segments__~a": "when: {did: A}"})[0]
    assert "journeys/~j.yaml:1:1: '~j' can't be a name" in told(**{"journeys__~j": journey(SEND).partition("\n")[2]})[0]
    assert told(**{"segments__a b": "name: ab\nwhen: {did: A}"}) == []


WAIT_FOR = """
- wait_for: [{event: A, as: seen}, {event: B}, {event: C, as: got, then: [{wait: 1h}]}]
  timeout: 1h
  then: [AFTER]
  on_timeout: [LATE]
- wait: 1h
- LAST
"""
BOTH_WAYS = WAIT_FOR.replace("[AFTER]", "[]").replace("[LATE]", "[]")
MAIL = "send: {template: hello, channels: [email]}"


def waiting(last: str = "wait: 1h", after: str = "wait: 1h", late: str = "wait: 1h") -> str:
    steps = WAIT_FOR.replace("AFTER", f"{{{after}}}").replace("LATE", f"{{{late}}}").replace("LAST", last)
    return journey(steps.strip())


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        (waiting(late=MAIL), "seen"),
        (waiting(late="update: {traits.x: '{{ seen.name }}'}"), "seen"),
        (waiting(late="emit: {event: E, properties: {x: '{{ seen.name }}'}}"), "seen"),
        (waiting(after=MAIL), "got"),
        (
            journey(f"- {MAIL}\n" + WAIT_FOR.replace("[AFTER]", "[]").replace("[LATE]", "[]").replace("LAST", MAIL)),
            "got",
        ),
        (journey(f"- split: {{a: 50, b: 50}}\n  a: [{{wait_for: {{event: A, as: seen}}}}]\n  b: [{{{MAIL}}}]"), "seen"),
    ],
)
def test_what_is_shown_where_nothing_can_have_caught_it(steps: str, shown: str) -> None:
    """It would be a template error of everybody who comes there, seen at run time only."""
    found = told(journeys__j=steps, templates__hello=f"subject: Hi\nbody: 'It is {{{{ {shown}.name }}}}'\n")
    assert any(
        f"shows {shown!r}, which nothing on the way" in line or "is shown, which nothing" in line for line in found
    )


@pytest.mark.parametrize(
    "body", ["{% if seen %}{{ seen.name }}{% endif %}", "{{ seen.name | default: 'it' }}", "unseen"]
)
def test_what_asks_first_may_be_shown_anywhere(body: str) -> None:
    template = f'subject: Hi\nbody: "{body}"\n'
    checked = project(journeys__j=waiting(late=MAIL, last=MAIL), templates__hello=template)
    assert not [note for note in advice(checked) if "shows" in note]


def test_what_another_channel_or_language_shows_is_no_matter_here() -> None:
    body = "subject: Hi\nbody: a\nsms: {body: '{{ seen.name }}'}\n"
    assert told(journeys__j=waiting(late=MAIL), templates__hello=body) == []
    uk = "subject: Hi\nbody: a\nuk: {body: '{{ seen.name }}'}\n"
    assert len(told(journeys__j=waiting(late=MAIL), templates__hello=uk)) == 1


@pytest.mark.parametrize(
    ("steps", "missing"),
    [
        (waiting(after=MAIL), True),  # B came
        (waiting(last=MAIL), True),
        (journey(f"- wait_for: {{event: A, as: seen}}\n- {MAIL}"), False),
        (journey(f"- wait_for: {{event: A, as: seen}}\n  timeout: 1h\n  on_timeout: [{{exit: x}}]\n- {MAIL}"), False),
        (journey(f"- repeat: {{times: 2, steps: [{{{MAIL}}}, {{wait_for: {{event: A, as: seen}}}}]}}"), True),
        (journey(f"- repeat: {{times: 2, steps: [{{wait_for: {{event: A, as: seen}}}}, {{{MAIL}}}]}}"), False),
        (journey(f"- branch: [{{when: {{in: vip}}, steps: [{{wait_for: {{event: A, as: seen}}}}]}}]\n- {MAIL}"), True),
    ],
)
def test_advice_about_what_only_some_have_who_come_to_it(steps: str, missing: bool) -> None:
    checked = project(journeys__j=steps, templates__hello="subject: Hi\nbody: '{{ seen.name }}'\n")
    assert any("template hello shows seen" in note for note in advice(checked)) == missing


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (f"- split: {{a: 90, holdout: 10}}\n  a: [{{{MAIL}}}]\n- wait: 1h\n- {MAIL}", True),
        (f"- branch: [{{when: {{in: vip}}, steps: [{{split: {{a: 90, holdout: 10}}, a: []}}]}}]\n- {MAIL}", True),
        (f"- {MAIL}\n- split: {{a: 90, holdout: 10}}\n  a: [{{{MAIL}}}]\n- wait: 1h", False),
        (f"- split: {{a: 50, b: 50}}\n  a: [{{{MAIL}}}]\n  b: []\n- {MAIL}", False),
    ],
)
def test_advice_about_a_holdout_that_gets_something_all_the_same(steps: str, told: bool) -> None:
    notes = advice(project(journeys__j=journey(steps)))
    assert any("who draws holdout" in note for note in notes) == told
