"""What a worker's cache has dropped, as it reports it: it is not the home of these any more."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdHomes:
    """What a worker's cache has dropped.

    Args:
        conversations: their ids, or those that stateless turns had.
        prefixes: what the next requests of stateless turns' clients begin with.
    """

    conversations: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
