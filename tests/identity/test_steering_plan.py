"""The plan of changed rules says what the graph then does."""

from __future__ import annotations

from hypothesis import given, settings

from pathline.steering.planning import plan
from processors.graph.model import NODES
from tests.graph.rules import rules
from tests.graph.test_review import Graph, changes


@given(changes())
@settings(max_examples=60, deadline=None)
def test_a_plan_says_what_the_review_does(case) -> None:  # type: ignore[no-untyped-def]
    before, after, taken, _ = case
    graph = Graph(before)
    graph.take(*taken)
    nodes, persons, refused = dict(graph.line.states("graph", NODES)), graph.persons(), graph.refused()
    planned = plan(nodes, after)
    assert dict(graph.line.states("graph", NODES)) == nodes
    graph.change(after)
    graph.take(taken[0])
    graph.finish()
    assert (planned.persons_before, planned.persons_after) == (len(persons), len(graph.persons()))
    assert planned.refused == len(graph.refused().keys() - refused.keys())
    assert planned.counted == len(refused.keys() - graph.refused().keys())
    were, will = (
        {one: person for person, group in groups.items() for one in group} for groups in (persons, graph.persons())
    )
    assert planned.moved == sum(were[one] != will[one] for one in were)
    assert {one.person_id for one in planned.splits} == {
        person for person, group in persons.items() if len({will[one] for one in group}) > 1
    }
    assert {one.person_id for one in planned.merges} == {
        person for person, group in graph.persons().items() if len({were[one] for one in group}) > 1
    }


def test_a_plan_names_whom_it_would_merge_and_split() -> None:
    graph = Graph(rules(user_id={"limit": 1}, anonymous_id={}))
    graph.take(("user_id:1", "anonymous_id:k", 1), ("user_id:2", "anonymous_id:k", 2))
    (merge,) = plan(dict(graph.line.states("graph", NODES)), rules(user_id={}, anonymous_id={})).merges
    assert list(merge.parts.values()) == [["anonymous_id:k", "user_id:1"], ["user_id:2"]]
    newest = rules(user_id={"limit": 1}, anonymous_id={"shared": "newest"})
    (split,) = plan(dict(graph.line.states("graph", NODES)), newest).splits
    assert list(split.parts.values()) == [["anonymous_id:k"], ["user_id:1"]]
