"""What may be published before a reply is committed."""

from shared.wire.publication import Receipt
from shared.wire.write_outcome import WriteOutcome
from tests.unit.test_prompt import claim
from worker.engine.interface import End, Meter, Part, Piece
from worker.outbox import Outbox

END = End("stop", cached_tokens=0, prompt_ms=0.0, generation_ms=0.0)


def outbox() -> Outbox:
    return Outbox(claim("Hi"), 0, Meter(), 9, lambda _: None, lambda: None)


async def test_the_last_piece_is_left_to_the_commit() -> None:
    """Another start could not continue behind it: it may end with half a stop string."""
    box = outbox()
    box.add(Piece((Part("text", "Hello"),), (1, 2)))
    first = box.next_publication()
    assert first is not None
    box.add(Piece((Part("text", " EN"),), (3,), END))
    assert box.next_publication() is None
    box.arrived(first, Receipt(outcome=WriteOutcome.OK))
    (rest,) = await box.close()
    assert (rest.text, rest.token_ids) == (" EN", (3,))


def test_ids_without_a_part_wait_for_what_they_mean() -> None:
    box = outbox()
    box.add(Piece((), (1,)))
    assert box.next_publication() is None
    box.add(Piece((Part("reasoning", "Hm"),), (2,)))
    publication = box.next_publication()
    assert publication is not None
    assert [(piece.kind, piece.token_ids) for piece in publication.pieces] == [
        ("reasoning", (1, 2))
    ]


async def test_a_text_without_ids_that_was_published_is_not_left_to_the_commit() -> None:
    """It moves the position by nothing."""
    box = outbox()
    box.add(Piece((Part("text", "Hello"),), ()))
    first = box.next_publication()
    assert first is not None
    box.arrived(first, Receipt(outcome=WriteOutcome.OK))
    box.add(Piece((Part("text", "."),), (1,), END))
    (rest,) = await box.close()
    assert rest.text == "."


async def test_what_redis_has_lost_is_published_again_under_its_ids_and_before_the_rest() -> None:
    box = outbox()
    sent = []
    for number, word in enumerate(("One", "two", "three")):
        box.add(Piece((Part("text", word),), (number,)))
        publication = box.next_publication()
        assert publication is not None
        sent.append(publication)
        if number < 2:
            box.arrived(publication, Receipt(outcome=WriteOutcome.OK, log_ids=(f"{number}-0",)))
    box.arrived(sent[2], Receipt(outcome=WriteOutcome.BEHIND, progress=1))
    again = box.next_publication()
    assert again is not None
    assert (again.at, again.pieces, again.log_ids) == (1, sent[1].pieces, ("1-0",))
    box.arrived(again, Receipt(outcome=WriteOutcome.OK, log_ids=again.log_ids))
    (rest,) = await box.close()
    assert (rest.text, box.position) == ("three", 2)
