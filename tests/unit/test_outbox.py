"""What may be published before a reply is committed."""

import asyncio

from shared.wire.publication import Publication, Receipt
from shared.wire.write_outcome import WriteOutcome
from tests.unit.test_prompt import claim
from worker.engine.interface import End, Meter, Part, Piece
from worker.outbox import Outbox

END = End("stop", cached_tokens=0, prompt_ms=0.0, generation_ms=0.0)


def outbox() -> Outbox:
    return Outbox(claim("Hi"), 0, Meter(), 9, lambda *_: None, lambda: None)


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


def published(box: Outbox, *words: str) -> list[Publication]:
    """A word each, of one token id; all have arrived but the last."""
    sent = []
    for number, word in enumerate(words):
        box.add(Piece((Part("text", word),), (number,)))
        publication = box.next_publication()
        assert publication is not None
        sent.append(publication)
        if len(sent) < len(words):
            box.arrived(publication, Receipt(outcome=WriteOutcome.OK, log_ids=(f"{number}-0",)))
    return sent


def next_texts(box: Outbox) -> list[str]:
    """What is sent from now on, each publication arrives."""
    sent = []
    while (publication := box.next_publication()) is not None:
        sent.append(f"{publication.pieces[0].text} {publication.log_ids}")
        box.arrived(publication, Receipt(outcome=WriteOutcome.OK, log_ids=publication.log_ids))
    return sent


async def test_what_redis_has_lost_is_published_again_under_its_ids() -> None:
    box = outbox()
    *_, last = published(box, "One", "two", "three")
    box.arrived(last, Receipt(outcome=WriteOutcome.BEHIND, progress=1))
    assert next_texts(box) == ["two ('1-0',)", "three ()"]
    box.add(Piece((Part("text", "."),), (3,), END))
    (rest,) = await box.close()
    assert (rest.text, box.position) == (".", 3)


async def test_a_reply_that_ends_waits_for_what_is_published_again() -> None:
    """The commit would write it as one piece, and who has read it would read it twice."""
    box = outbox()
    *_, last = published(box, "One", "two", "three", "four")
    box.arrived(last, Receipt(outcome=WriteOutcome.BEHIND, progress=1))
    box.add(Piece((Part("text", "."),), (4,), END))
    closing = asyncio.ensure_future(box.close())
    await asyncio.sleep(0)
    assert not closing.done()
    assert not box.is_done
    assert next_texts(box) == ["two ('1-0',)", "three ('2-0',)", "four ()"]
    (rest,) = await closing
    assert (rest.text, box.position, box.is_done) == (".", 4, True)


async def test_what_a_commit_finds_lost_is_published_again_too() -> None:
    box = outbox()
    *_, last = published(box, "One", "two", "three")
    box.arrived(last, Receipt(outcome=WriteOutcome.OK, log_ids=("2-0",)))
    box.add(Piece((Part("text", "."),), (3,), END))
    await box.close()
    again = asyncio.ensure_future(box.publish_lost(1))
    await asyncio.sleep(0)
    assert not again.done()
    assert not box.is_done
    assert next_texts(box) == ["two ('1-0',)", "three ('2-0',)"]
    assert await again
    assert (box.position, box.is_done) == (3, True)


async def test_a_turn_that_was_taken_away_publishes_nothing_again() -> None:
    box = outbox()
    *_, last = published(box, "One", "two")
    box.arrived(last, Receipt(outcome=WriteOutcome.OK, log_ids=("1-0",)))
    await box.close()
    again = asyncio.ensure_future(box.publish_lost(0))
    await asyncio.sleep(0)
    publication = box.next_publication()
    assert publication is not None
    box.arrived(publication, Receipt(outcome=WriteOutcome.FENCED))
    assert not await again
    assert box.next_publication() is None
    # A second replica takes over, which does not know yet that the turn was taken away.
    assert not await asyncio.wait_for(box.publish_lost(0), 5)
