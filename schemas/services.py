"""What journeys ask of services rather than tell people: each kind has topics, a ledger and a dispatch of its own.

These commands go the way of messages (`SendCommand`) and are none: consent, caps, quiet hours and holdouts say nothing
about them, and reports on channels don't count them.
"""

from __future__ import annotations

from typing import Final

#: steps `call`: signed webhooks
CALLS: Final = "step_call"
#: steps `task`: tasks of a call centre
TASKS: Final = "step_task"
SERVICES: Final = (CALLS, TASKS)
