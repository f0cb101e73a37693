"""What share of their prompts conversations find in the cache, by how a model remembers.

    python -m bench.cached_share

24 conversations on 8 slots go on, three at a time, with windows that are trimmed and evaluated
ahead: with one persona for all, with one for each, and with edits (a tenth of the turns replaces
the one before). The models are tiny and have random weights: shares depend on lengths and on what
of a cache can be used, not on what is said. Slots are copied where they lie, or through the host.
"""

import argparse
import random
import tempfile
from pathlib import Path
from typing import Final

from bench.tables import print_table
from tests.e2e.fleet import Cache, Fleet, Lengths, go_on_for
from tests.tiny_architectures import write

SLOTS: Final = 8
SESSIONS: Final = [str(number) for number in range(24)]
LENGTHS: Final = Lengths(window=2000, persona=300, prompt=(10, 80), reply=60)
ROUNDS: Final = 100
SEEDS: Final = range(3)
WINDOWS: Final = {"gemma3": 512, "gpt-oss": 128}
"""Those of the real ones."""
LIVES: Final = {"one persona": (1, 0.0), "one each": (24, 0.0), "one persona, edits": (1, 0.1)}
"""How many personas there are, and what share of the turns are edits."""


def share(path: Path, personas: int, edited: float, device_copies: bool | None) -> float:
    """Of all prompt tokens of some lives, those that were not evaluated: the mean."""
    shares = []
    for seed in SEEDS:
        fleet = Fleet(
            path,
            random.Random(seed),
            slots=SLOTS,
            personas=personas,
            lengths=LENGTHS,
            swap_bytes=1 << 28,
            cache=Cache(device_copies=device_copies),
        )
        go_on_for(fleet, SESSIONS, ROUNDS, edited=edited)
        shares.append(fleet.cached_share)
        fleet.close()
    return sum(shares) / len(shares)


def row(folder: Path, architecture: str, device_copies: bool | None) -> list[str]:
    window = WINDOWS.get(architecture)
    path = write(architecture, folder / f"{architecture}.gguf", window=window)
    name = architecture if window is None else f"{architecture}, window {window}"
    if device_copies is False:
        name += ", copied through the host"
    shares = (share(path, *life, device_copies) for life in LIVES.values())
    return [name, *(f"{one:.3f}" for one in shares)]


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    kinds: list[tuple[str, bool | None]] = [("llama", None)]
    kinds += [(name, copies) for name in WINDOWS for copies in (None, False)]
    kinds += [("jamba", None)]
    with tempfile.TemporaryDirectory() as folder:
        print_table(["cached share", *LIVES], (row(Path(folder), *kind) for kind in kinds))


if __name__ == "__main__":
    main()
