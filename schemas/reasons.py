"""Reasons of decisions: the field `reason` of `Decision`, in the warehouse and in `decisions.jsonl`.

`FIXED` are those of the definition language, which people and programs may rely on. The others complete the story of an
instance for the warehouse (without them nobody could tell where it is, or who was held out), so that each step it comes
to leaves a trace; readers that promise the fixed reasons only, such as `simulate`, leave them out.
"""

from __future__ import annotations

from typing import Final

SENT: Final = "sent"
NO_CONSENT: Final = "no consent"
UNREACHABLE: Final = "unreachable"
SUPPRESSED: Final = "suppressed"
CAPPED: Final = "capped"
QUIET_HOURS: Final = "quiet hours"
HOLDOUT: Final = "holdout"
DUPLICATE_INTENT: Final = "duplicate intent"
LOST_PRIORITY: Final = "lost priority"
EXITED: Final = "exited"
MERGED: Final = "merged"
WITHDRAWN: Final = "withdrawn"
LATE: Final = "late"
TEMPLATE_ERROR: Final = "template error"
ENTERED: Final = "entered"
NOT_ENTERED: Final = "not entered"

ISSUED: Final = "issued"
NO_CODE: Final = "no code"
REDEEMED: Final = "redeemed"

#: an audience of an advertising network
JOINED: Final = "joined"
LEFT: Final = "left"
#: a service was called, people were given a task: what the steps `call` and `task` do
CALLED: Final = "called"
TASKED: Final = "task given"

FINISHED: Final = "finished"
GOAL: Final = "goal"
#: the arm of a split, its name as the detail; without a step it is the project's control group
ARM: Final = "arm"
#: the arm of a split that has won, its name as the detail, for those who come since
WINNER: Final = "winner"
#: the arm that gets nothing
HELD_OUT: Final = "holdout"
#: stays at a step until the decision's `due`, or, without one, until something happens
WAITING: Final = "waiting"
#: the arm of a branch, as its number, `otherwise`, or `none`
BRANCH: Final = "branch"
#: traits were set, as JSON in the detail
UPDATED: Final = "updated"
#: a step has done something that is no message, in words in the detail
DONE: Final = "done"
#: an instance went over to a newer version of its journey; its step there is the decision's
MIGRATED: Final = "migrated"
#: where an instance is, rather than what was decided about it
TRACES: Final = frozenset({WAITING, BRANCH, UPDATED, DONE, MIGRATED})
#: the detail of whatever does not happen to people whom the project excludes
EXCLUDED: Final = "excluded by project.yaml"

FIXED: Final = frozenset(
    {
        *(SENT, NO_CONSENT, UNREACHABLE, SUPPRESSED, CAPPED, QUIET_HOURS, HOLDOUT, DUPLICATE_INTENT, LOST_PRIORITY),
        *(ISSUED, NO_CODE, REDEEMED, CALLED, TASKED),
        *(JOINED, LEFT),
        *(EXITED, MERGED, WITHDRAWN, LATE, TEMPLATE_ERROR, ENTERED, NOT_ENTERED),
    }
)
