"""What programs ask journeys for: ordinary track events with names that are reserved for it."""

from __future__ import annotations

from typing import Final

#: A person is to enter the journey named by the property `journey`; the event is the entry event.
ENTRY_REQUESTED: Final = "Journey Entry Requested"

#: Events of these names come from Pathline's own parts only.
RESERVED: Final = frozenset({ENTRY_REQUESTED})
