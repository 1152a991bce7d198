"""What is fixed about the meaning of segments, seen through `pathline simulate`."""

from __future__ import annotations

from tests.line.project import Lab, at, granted, identify, track


def test_a_window_is_left_exactly_when_its_length_has_passed(lab: Lab) -> None:
    lab.segment("recent", "did: Order Completed\nwithin: 30d")
    done = lab.simulate([track("Order Completed", at())], at(days=31))
    assert done.changes("recent") == [(at(), "entered", "event"), (at(days=30), "left", "timer")]


def test_an_event_at_the_very_end_of_the_window_is_applied_before_the_timer(lab: Lab) -> None:
    lab.segment("recent", "did: Order Completed\nwithin: 30d")
    orders = [track("Order Completed", at()), track("Order Completed", at(days=30))]
    done = lab.simulate(orders, at(days=59))
    assert done.changes("recent") == [(at(), "entered", "event")]


def test_two_within_a_window_needs_the_two_newest(lab: Lab) -> None:
    lab.segment("twice", "did: Order Completed\ncount: {at_least: 2}\nwithin: 10d")
    orders = [track("Order Completed", at(days=d)) for d in (0, 6, 12)]
    done = lab.simulate(orders, at(days=40))
    assert done.changes("twice") == [
        (at(days=6), "entered", "event"),
        (at(days=10), "left", "timer"),
        (at(days=12), "entered", "event"),
        (at(days=16), "left", "timer"),
    ]


def test_at_most_and_exactly(lab: Lab) -> None:
    lab.segment("few", "did: Order Completed\ncount: {at_most: 1}\nwithin: 10d")
    lab.segment("one", "did: Order Completed\ncount: {exactly: 1}\nwithin: 10d")
    orders = [track("Order Completed", at(days=d)) for d in (0, 1)]
    done = lab.simulate(orders, at(days=40))
    assert done.changes("few") == [
        (at(), "entered", "event"),
        (at(days=1), "left", "event"),
        (at(days=10), "entered", "timer"),
    ]
    assert done.changes("one") == [
        (at(), "entered", "event"),
        (at(days=1), "left", "event"),
        (at(days=10), "entered", "timer"),
        (at(days=11), "left", "timer"),
    ]


def test_between_holds_what_is_neither_too_new_nor_too_old(lab: Lab) -> None:
    lab.segment("middle", "did: Order Completed\nbetween: [5d, 2d]")
    done = lab.simulate([track("Order Completed", at())], at(days=10))
    assert done.changes("middle") == [(at(days=2), "entered", "timer"), (at(days=5), "left", "timer")]


def test_absence_is_entered_at_the_first_event_and_again_when_the_window_ends(lab: Lab) -> None:
    lab.segment("quiet", "not: {did: Order Completed, within: 40d}")
    events = [track("Page Seen", at()), track("Order Completed", at(days=1))]
    done = lab.simulate(events, at(days=60))
    assert done.changes("quiet") == [
        (at(), "entered", "event"),
        (at(days=1), "left", "event"),
        (at(days=41), "entered", "timer"),
    ]


def test_where_compares_numbers_and_a_missing_property_is_no_match(lab: Lab) -> None:
    lab.segment("big", "did: Order Completed\nwhere: event.properties.total * 2 > 41")
    events = [
        track("Order Completed", at(), "a", properties={"total": 20}),
        track("Order Completed", at(), "b", properties={"total": 20.6}),
        track("Order Completed", at(), "c"),
        track("Order Completed", at(), "d", properties={"total": "many"}),
    ]
    done = lab.simulate(events, at(days=1))
    members = {p["identifiers"][0] for p in done.people if "big" in p["segments"]}
    assert members == {"user_id:b"}


def test_a_list_of_events_counts_any_of_them(lab: Lab) -> None:
    lab.segment("active", "did: [Order Completed, Product Viewed]\ncount: {at_least: 2}")
    done = lab.simulate([track("Order Completed", at()), track("Product Viewed", at(hours=1))], at(days=1))
    assert done.changes("active") == [(at(hours=1), "entered", "event")]


def test_traits_are_the_latest_by_event_time(lab: Lab) -> None:
    lab.segment("kyiv", "trait: city\nequals: Kyiv")
    events = [
        identify(at(hours=2), traits={"city": "Lviv"}),
        identify(at(hours=1), traits={"city": "Kyiv"}),
        identify(at(hours=3), traits={"city": "Kyiv"}),
    ]
    done = lab.simulate(events, at(days=1))
    assert done.changes("kyiv") == [
        (at(hours=1), "entered", "event"),
        (at(hours=2), "left", "event"),
        (at(hours=3), "entered", "event"),
    ]
    assert done.people[0]["traits"] == {"city": "Kyiv"}


def test_trait_operators(lab: Lab) -> None:
    wanted = {
        "not_equals": ("Lviv", True),
        "one_of": (["Odesa", "Kyiv"], True),
        "exists": (True, True),
        "contains": ("yi", True),
    }
    for op, (value, _) in wanted.items():
        lab.segment(f"city_{op}", f"trait: city\n{op}: {value}")
    lab.segment("old", "trait: age\nat_least: 40")
    lab.segment("young", "trait: age\nat_most: 39")
    done = lab.simulate([identify(at(), traits={"city": "Kyiv", "age": 40})], at(days=1))
    assert set(done.people[0]["segments"]) == {f"city_{op}" for op in wanted} | {"old"}


def test_segments_of_segments(lab: Lab) -> None:
    lab.segment("buyers", "did: Order Completed\nwithin: 10d")
    lab.segment("kyiv", "trait: city\nequals: Kyiv")
    lab.segment("kyiv_buyers", "all:\n  - in: buyers\n  - in: kyiv")
    lab.segment("others", "not: {in: kyiv_buyers}")
    events = [identify(at(), traits={"city": "Kyiv"}), track("Order Completed", at(days=1))]
    done = lab.simulate(events, at(days=20))
    assert done.changes("kyiv_buyers") == [(at(days=1), "entered", "event"), (at(days=11), "left", "timer")]
    assert done.changes("others") == [
        (at(), "entered", "event"),
        (at(days=1), "left", "event"),
        (at(days=11), "entered", "timer"),
    ]


def test_a_late_event_counts_by_its_own_time(lab: Lab) -> None:
    lab.segment("recent", "did: Order Completed\nwithin: 30d")
    done = lab.simulate([track("Page Seen", at(days=20)), track("Order Completed", at())], at(days=40))
    assert done.changes("recent") == [(at(), "entered", "event"), (at(days=30), "left", "timer")]


def test_consents_by_channel_and_purpose(lab: Lab) -> None:
    lab.segment("mailable", "consent: email")
    lab.segment("promo", "consent: {channel: email, purpose: promotions}")
    lab.segment("pushable", "consent: push")
    events = [
        identify(at(), traits={"email": "a@example.com"}, context=granted("email")),
        identify(at(hours=1), traits={"email": "a@example.com"}, context=granted(refused=("promotions",))),
        track("Unsubscribed", at(hours=2), properties={"email": "a@example.com"}, context={"channel": "email"}),
    ]
    done = lab.simulate(events, at(days=1))
    assert done.changes("mailable") == [(at(), "entered", "event"), (at(hours=2), "left", "event")]
    assert done.changes("promo") == [(at(), "entered", "event"), (at(hours=1), "left", "event")]
    assert done.changes("pushable") == [(at(), "entered", "event")]


def test_reachable_is_a_known_address_whatever_the_consent(lab: Lab) -> None:
    lab.segment("by_sms", "reachable: sms")
    lab.segment("by_email", "reachable: email")
    done = lab.simulate([identify(at(), traits={"phone": "050 123 45 67"})], at(days=1))
    assert done.people[0]["segments"] == ["by_sms"]
    assert done.people[0]["identifiers"] == ["phone:+380501234567", "user_id:u1"]


def test_a_merge_moves_history_and_tells_both_sides(lab: Lab) -> None:
    lab.segment("seen", "did: Product Viewed")
    lab.segment("both", "all:\n  - did: Product Viewed\n  - did: Order Completed")
    events = [
        track("Product Viewed", at(), None, anonymousId="cookie"),
        track("Order Completed", at(hours=1), "u1"),
        identify(at(hours=2), "u1", anonymousId="cookie"),
    ]
    done = lab.simulate(events, at(days=1))
    assert len(done.people) == 1
    assert done.people[0]["identifiers"] == ["anonymous_id:cookie", "user_id:u1"]
    survivor = done.people[0]["person_id"]
    changes = [
        (m["at"], m["person_id"] == survivor, m["change"], m["cause"])
        for m in done.memberships
        if m["segment"] == "seen"
    ]
    assert sorted(changes) == sorted(
        [
            (at(), False, "entered", "event"),
            (at(hours=2), False, "left", "merge"),
            (at(hours=2), True, "entered", "merge"),
        ]
    )
    assert [(m["at"], m["cause"]) for m in done.memberships if m["segment"] == "both"] == [(at(hours=2), "merge")]


def test_memberships_alternate_and_stand_in_order_of_time(lab: Lab) -> None:
    lab.segment("twice", "did: Order Completed\ncount: {at_least: 2}\nwithin: 3d")
    orders = [track("Order Completed", at(days=d), f"u{d % 3}") for d in range(40)]
    done = lab.simulate(
        orders + [track("Order Completed", at(days=d, hours=5), "u1") for d in range(0, 40, 7)], at(days=60)
    )
    times = [m["at"] for m in done.memberships]
    assert times == sorted(times)
    for person in {m["person_id"] for m in done.memberships}:
        changes = [m["change"] for m in done.memberships if m["person_id"] == person]
        assert changes == ["entered", "left"] * (len(changes) // 2)


def test_limits_blocked_values_and_duplicates(lab: Lab) -> None:
    lab.segment("twice", "did: Order Completed\ncount: {at_least: 2}")
    events = [
        identify(at(), "u1", anonymousId="shared"),
        identify(at(hours=1), "u2", anonymousId="shared"),
        track("Order Completed", at(hours=2), "null", anonymousId="x"),
        track("Order Completed", at(hours=3), "null", anonymousId="y"),
        track("Order Completed", at(hours=4), "u1", messageId="same"),
        track("Order Completed", at(hours=4), "u1", messageId="same"),
        track("Order Completed", at(hours=5), "null"),
    ]
    done = lab.simulate(events, at(days=1))
    by_identifier = {i: p["person_id"] for p in done.people for i in p["identifiers"]}
    assert by_identifier["anonymous_id:shared"] == by_identifier["user_id:u1"] != by_identifier["user_id:u2"]
    assert by_identifier["anonymous_id:x"] != by_identifier["anonymous_id:y"]
    assert [(r["a"], r["b"]) for r in done.links] == [("user_id:u2", "anonymous_id:shared")]
    assert "limit" in done.links[0]["reason"]
    assert not done.memberships
    assert "no usable identifier" in done.output


def test_the_order_of_lines_in_the_file_does_not_matter_for_times_that_differ(lab: Lab) -> None:
    lab.segment("twice", "did: Order Completed\ncount: {at_least: 2}\nwithin: 3d")
    events = [track("Order Completed", at(days=d)) for d in range(6)]
    forwards = lab.simulate(events, at(days=20))
    backwards = lab.simulate(events[::-1], at(days=20))
    assert forwards.memberships == backwards.memberships


def test_repeated_orders_count_once_and_a_full_refund_takes_them_back(lab: Lab) -> None:
    lab.files(
        {
            "events.yaml": """
            Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Order Refunded]}
        """
        }
    )
    lab.segment("buyers", "did: Order Completed")
    lab.segment("twice", "did: Order Completed\ncount: {at_least: 2}")
    order = {"order_id": "o1", "total": 100}
    events = [
        track("Order Completed", at(), properties=order, context={"channel": "web"}),
        track("Order Completed", at(hours=1), properties=order, context={"channel": "store"}),
        track("Order Refunded", at(hours=2), properties=order),
    ]
    done = lab.simulate(events, at(days=1))
    assert done.changes("twice") == []
    assert done.changes("buyers") == [(at(), "entered", "event"), (at(hours=2), "left", "event")]


def test_a_machine_that_opens_a_mail_is_nobody_who_opened_it(lab: Lab) -> None:
    lab.segment("openers", "did: Email Opened")
    opened = [
        track("Email Opened", at(), properties={"machine": True}),
        track("Email Opened", at(hours=1)),
    ]
    assert lab.simulate(opened, at(days=1)).changes("openers") == [(at(hours=1), "entered", "event")]


def test_a_list_of_the_project_is_there_before_anything_happens(lab: Lab) -> None:
    lab.files({"lists/vip.csv": "email,name\na@example.com,Ann\n", "lists/bots.txt": "user_id:u2\n"})
    lab.segment("vips", "all: [{in: list:vip}, {not: {in: list:bots}}]")
    lab.segment("bots", "in: list:bots")
    events = [
        track("Page Seen", at()),
        identify(at(hours=1), traits={"email": "a@example.com"}),
        track("Page Seen", at(hours=2), user="u2"),
    ]
    done = lab.simulate(events, at(days=1))
    assert done.changes("vips") == [(at(hours=1), "entered", "merge")]
    assert done.changes("bots") == [(at(hours=2), "entered", "event")]
    assert len(done.people) == 2


def test_staff_is_in_no_segment_and_gets_nothing(lab: Lab) -> None:
    lab.files({"project.yaml": "name: shop\nexclude: {any: [{in: list:staff}, {trait: bot, equals: true}]}"})
    lab.files({"lists/staff.txt": "user_id:u2\n"})
    lab.segment("seen", "did: Page Seen")
    lab.journey("hello", "enter: {event: Page Seen}\nsteps: [{wait: 1h}, {send: {template: hello, channels: [email]}}]")
    people, context = ("u1", "u2", "u3"), granted("email")
    events = [identify(at(), user, traits={"email": f"{user}@example.com"}, context=context) for user in people]
    events += [track("Page Seen", at(hours=1), user=user) for user in people]
    events += [identify(at(hours=1, minutes=30), user="u3", traits={"bot": True})]
    done = lab.simulate(events, at(days=1))
    assert [send["to"] for send in done.sends] == ["u1@example.com"]
    assert [change["change"] for change in done.memberships] == ["entered", "entered", "left"]
    told = [(decision["reason"], decision["detail"]) for decision in done.decisions]
    assert ("not entered", "excluded by project.yaml") in told
    assert ("exited", "excluded by project.yaml") in told


def test_scores_are_of_the_events_given_where_the_project_has_no_bounds(lab: Lab) -> None:
    lab.files(
        {"events.yaml": "Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Refund]}"}
    )
    lab.segment("big", "rfm: {monetary: 5}")
    lab.segment("fresh", "rfm: {recency: 5}")
    totals = {"u1": 10, "u2": 20, "u3": 30, "u4": 40, "u5": 50, "u6": 99}
    orders = [
        track("Order Completed", at(days=day), user=user, properties={"order_id": user, "total": total})
        for day, (user, total) in enumerate(totals.items())
    ]
    orders += [track("Refund", at(days=7), user="u6", properties={"order_id": "u6"})]
    done = lab.simulate(orders, at(days=9))
    assert "monetary: [20, 30, 40, 50]" in done.output
    assert "of 5 people" in done.output
    assert [person["identifiers"] for person in done.people if "big" in person["segments"]] == [["user_id:u5"]]
    # the bound lies a second behind the age of u5 at the end
    assert (at(days=9, seconds=1), "left", "timer") not in done.changes("fresh")
    lab.files({"rfm_bounds.yaml": "recency: [4d, 3d, 2d, 1d]\nfrequency: [2, 3, 4, 5]\nmonetary: [1, 2, 3, 30]"})
    done = lab.simulate(orders, at(days=9))
    assert len(done.changes("big")) == 5, "u3 to u6 enter, u6 leaves with its refund"
    assert (at(days=5), "left", "timer") in done.changes("fresh")
