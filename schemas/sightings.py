"""Which sightings of a link matter where a limit has a period: the graph is told of these and keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.definitions.model import IdentifierType

#: A period is looked at in so many spans, of each of which the first sighting matters.
SPANS = 16
#: So many sightings of one link are kept: the oldest and the newest.
KEPT = 256


def span(*types: IdentifierType | None) -> int | None:
    """Milliseconds of one span for a link between identifiers of these types; None when no limit has a period."""
    periods = [type.per for type in types if type is not None and type.per is not None]
    return max(min(periods) // SPANS, 1) if periods else None


def thinned(seen: Sequence[int], span: int) -> list[int]:
    """Those of these instants (oldest first) that matter."""
    found = [at for number, at in enumerate(seen) if not number or at // span != seen[number - 1] // span]
    return found if len(found) <= KEPT else [found[0], *found[1 - KEPT :]]
