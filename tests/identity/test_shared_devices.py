"""A device that several people use: who owns what it does, by the policy of its identifier type."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identifiers import person_id
from tests.graph.rules import assignments, graph, link, refusals, rules, shop
from tests.identity.crowd import Town

ANNA, BORIS = person_id("user_id:anna"), person_id("user_id:boris")
TABLET = person_id("anonymous_id:tablet")


def evening(shared: str) -> Town:
    """Someone browses, Anna logs in and goes on, then Boris does the same, and Anna once more."""
    town = Town(shop(shared))
    town.post("1 nobody yet", 1, anonymous_id="tablet")
    town.post("2 anna in", 2, anonymous_id="tablet", user_id="anna")
    town.post("3 after anna", 3, anonymous_id="tablet")
    town.post("4 boris in", 4, anonymous_id="tablet", user_id="boris")
    town.post("5 after boris", 5, anonymous_id="tablet")
    town.post("6 anna in", 6, anonymous_id="tablet", user_id="anna")
    town.post("7 after anna", 7, anonymous_id="tablet")
    return town


def test_keep_the_first_owner_stays() -> None:
    town = evening("keep")
    assert town.events() == {
        ANNA: ["1 nobody yet", "2 anna in", "3 after anna", "5 after boris", "6 anna in", "7 after anna"],
        BORIS: ["4 boris in"],
    }
    assert refusals(town.line) == {("user_id:boris", "anonymous_id:tablet"): "limit: user_id 1"}


def test_newest_what_follows_a_login_belongs_to_whoever_logged_in() -> None:
    town = evening("newest")
    assert town.events() == {
        ANNA: ["1 nobody yet", "2 anna in", "3 after anna", "6 anna in", "7 after anna"],
        BORIS: ["4 boris in", "5 after boris"],
    }
    assert refusals(town.line) == {("user_id:boris", "anonymous_id:tablet"): "superseded: user_id 1"}
    assert town.complete()


def test_newest_an_event_that_arrives_late_belongs_to_the_owner_of_its_time() -> None:
    town = evening("newest")
    town.post("late, after boris", 5, anonymous_id="tablet", received_at=9)
    town.post("late, before all", 0, anonymous_id="tablet", received_at=9)
    assert "late, after boris" in town.events()[BORIS]
    assert "late, before all" in town.events()[ANNA]


def test_newest_a_repeated_login_of_the_same_person_is_no_news() -> None:
    town = Town(shop("newest"))
    for at in range(5):
        town.post(f"login {at}", at + 1, anonymous_id="tablet", user_id="anna")
    assert len(town.line.outputs["identity.links"]) == 1


def test_newest_the_last_login_counts_also_when_it_was_known_before_the_other_owner() -> None:
    town = Town(shop("newest"))
    town.post("anna first", 1, anonymous_id="tablet", user_id="anna")
    town.post("anna last", 8, anonymous_id="tablet", user_id="anna")
    town.post("boris between", 5, anonymous_id="tablet", user_id="boris", received_at=9)
    town.post("nobody at 6", 6, anonymous_id="tablet", received_at=10)
    town.post("nobody at 9", 9, anonymous_id="tablet", received_at=10)
    assert town.events() == {ANNA: ["anna first", "anna last", "nobody at 9"], BORIS: ["boris between", "nobody at 6"]}


def test_newest_what_an_earlier_owner_did_goes_along_when_that_person_is_merged() -> None:
    town = Town(shop("newest"))
    town.post("mail", 1, anonymous_id="tablet", email="anna@example.com", user_id=None)
    town.post("by anna", 2, anonymous_id="tablet")
    town.post("boris in", 3, anonymous_id="tablet", user_id="boris")
    town.post("by boris", 4, anonymous_id="tablet")
    assert "by anna" in town.events()[BORIS]
    town.post("anna identified", 5, email="anna@example.com", user_id="anna")
    assert town.events() == {ANNA: ["anna identified", "by anna", "mail"], BORIS: ["boris in", "by boris"]}
    assert town.complete()


def test_separate_an_ambiguous_device_is_a_person_of_its_own_from_then_on() -> None:
    town = evening("separate")
    assert town.events() == {
        ANNA: ["1 nobody yet", "2 anna in", "3 after anna", "6 anna in"],
        BORIS: ["4 boris in"],
        TABLET: ["5 after boris", "7 after anna"],
    }
    assert refusals(town.line) == {
        ("user_id:anna", "anonymous_id:tablet"): "separate: user_id 1",
        ("user_id:boris", "anonymous_id:tablet"): "separate: user_id 1",
    }
    assert town.complete()


def test_too_many_devices_of_one_person_are_not_ambiguous() -> None:
    town = Town(rules(user_id={"limit": 1}, anonymous_id={"limit": 1, "shared": "separate"}))
    town.post("first device", 1, user_id="anna", anonymous_id="a")
    town.post("second device", 2, user_id="anna", anonymous_id="b")
    town.post("on the first", 3, anonymous_id="a")
    assert refusals(town.line) == {("user_id:anna", "anonymous_id:b"): "limit: anonymous_id 1"}
    assert town.events() == {ANNA: ["first device", "on the first", "second device"]}


def test_a_number_that_changed_hands_before_1970_is_placed_like_any_other() -> None:
    line = graph(rules(user_id={"limit": 1}, phone={"limit": 1, "per": 10}))
    for at, user in ((-50, "anna"), (-30, "boris"), (-5, "clara"), (40, "dora")):
        link(line, f"user_id:{user}", "phone:1", at)
    assert [(period.since, period.person_id) for period in assignments(line)["phone:1"].periods] == [
        (0, person_id("user_id:clara")),
        (40, person_id("user_id:dora")),
    ]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=1, max_size=8),
    st.lists(st.integers(0, 10), min_size=1, max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_newest_at_any_time_the_owner_is_who_was_seen_last(logins: list[tuple[str, int]], instants: list[int]) -> None:
    line = graph(rules(None, user_id={"limit": 1}, anonymous_id={"shared": "newest"}))
    for user, at in logins:
        link(line, f"user_id:{user}", "anonymous_id:tablet", at)
    periods = assignments(line)["anonymous_id:tablet"].periods
    for instant in instants:
        # at one instant the smaller value decides
        earlier = [login for login in logins if login[1] <= instant]
        first = min(at for _, at in logins)
        last = max((at for _, at in earlier), default=first)
        owner = min(user for user, at in logins if at == last)
        filed = next(period for period in reversed(periods) if period.since <= max(instant, 0))
        assert filed.person_id == person_id(f"user_id:{owner}")
