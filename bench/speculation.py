"""What drafts from the conversation itself give, for texts in which much recurs and little does.

    python -m bench.speculation [--model FILE --rounds 5 --tokens 256 --texts 3]

The replies are given, and written by the model token by token: a small model would not write what a
large one does, and speed depends on nothing else. Both ways take turns, each text in each round:

- a retry with an edit: a passage of prose stands in the prompt, the reply changes every 30th word;
- code completion: the prompt is the beginning of a module, a test or a page's script, the reply
  what follows there;
- free talk: a conversation in which the reply repeats nothing on purpose;
- the model's own words: free talk as the model writes it, with a seed.

The last column is what no choice of how many tokens to draft could exceed: the ratio if it was
known beforehand which of the tokens found are right, at the costs of drafts that were seen here.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.tables import print_table, spread
from tests.servers import make_settings
from worker.engine.batcher import Batcher
from worker.engine.draft_costs import SIZES, DraftCosts
from worker.engine.drafter import MOST_DRAFTED, DecodedStep, Drafter, LookupDrafter
from worker.engine.interface import GenerationRequest, SamplingOptions
from worker.engine.lookup import Lookup
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine.pacer import PrefillPacer
from worker.engine.prefixes import common_prefix
from worker.engine.sampler import Sampler
from worker.engine.sequence import Sequence as Generation
from worker.engine.speculation import Speculation
from worker.engine_setup import model_path

ROOT: Final = Path(__file__).parents[1]
THREADS: Final = 2
WINDOW: Final = 4096
PROMPT: Final = 1200
"""Tokens of the prompts of code completion."""
EDITED: Final = 30
SOURCES: Final = (
    "worker/engine/kv_cache.py",
    "tests/unit/engine/test_batcher.py",
    "api/web/static/chat.js",
)
PROSE: Final = ("docs/security.md", "docs/scaling.md", "docs/architecture.md")
TALK: Final = (
    "My sister keeps bees behind the old station, and last week she asked me to help her. I had "
    "never stood so close to a hive. You learn quickly to breathe slowly and to move as if you "
    "were under water. She lifted one frame after another into the light, looking for the queen, "
    "and explained which cells held brood, which held pollen, and why the drones would all be "
    "gone before October. By noon my gloves were sticky and I had been stung twice, once through "
    "the sock. What surprised me most was the warmth: hold your palm over the open box and it "
    "feels like bread that has just left an oven. We carried nine combs to the kitchen, cut off "
    "the wax with a long knife and turned them in a drum until gold ran down its walls. There "
    "were jars everywhere, on chairs, along the stairs, even in the bath. In the evening she gave "
    "me two to take home, and made me promise to bring back the glass.",
    "If you only have four days in Lisbon, skip the tram everybody photographs and walk instead. "
    "Start early on the hill by the castle, before coaches arrive, then follow laundry and cats "
    "downhill until you smell grilled sardines. Lunch should cost less than ten euros and come "
    "with a tomato salad. The tile museum is worth a whole afternoon, mainly because of one "
    "enormous panel which shows how the city looked before the earthquake. On your second day "
    "take a ferry across the river: commuters read their newspapers while you get the best view "
    "for the price of a coffee. Rain is likely in March, so pack shoes that grip wet stone. For "
    "music, avoid places with printed menus in six languages and ask your landlady. Mine wrote an "
    "address on a paper bag; I found a garage with thirty folding chairs, a retired welder who "
    "sang like a wounded lion, and free olives.",
    "Nobody in our team wanted to touch that spreadsheet. It had grown for eleven years, passing "
    "through the hands of at least seven accountants, and somewhere inside lived a formula that "
    "decided how much each warehouse ordered. When Petra retired, she left a note: do not sort "
    "column K. Naturally somebody did. Within a month Leipzig received forty pallets of garden "
    "hoses while Bremen ran out of tape. My first idea was to rewrite everything over a weekend, "
    "which shows how young I was. Instead we printed it, taped the sheets to a corridor wall and "
    "drew arrows with markers for two whole weeks. People stopped on their way to lunch and told "
    "us stories: this number was a favour to a supplier, that one a guess from 2009. Half of what "
    "looked like logic turned out to be courtesy. The new program is smaller and nobody loves it, "
    "but orders arrive, and the wall is white again.",
)
SAMPLING: Final = SamplingOptions(seed=7, ignore_eos=True)
QUESTION: Final = "Tell me about something that happened to you or to somebody you know."


@dataclass(frozen=True, kw_only=True)
class Text:
    """A prompt and the reply to write; an empty reply is the model's own."""

    prompt: tuple[int, ...]
    reply: tuple[int, ...]


class Given(LlamaModel):
    """A model whose replies can be given."""

    reply: tuple[int, ...] = ()

    def make_sampler(self, options: SamplingOptions) -> Sampler:
        sampler = super().make_sampler(options)
        sampler.force(self.reply)
        return sampler


def retries(model: LlamaModel, tokens: int) -> Iterator[Text]:
    for path in PROSE:
        words = (ROOT / path).read_text().split(" ")[100 : 100 + tokens]
        edited = [word if n % EDITED else "certainly" for n, word in enumerate(words, start=1)]
        prompt = chat(model, f"Please improve this:\n\n{' '.join(words)}")
        yield Text(prompt=prompt, reply=encoded(model, " ".join(edited))[:tokens])


def completions(model: LlamaModel, tokens: int) -> Iterator[Text]:
    for path in SOURCES:
        token_ids = encoded(model, (ROOT / path).read_text())
        reply = token_ids[PROMPT : PROMPT + tokens]
        yield Text(prompt=token_ids[:PROMPT], reply=reply)


def talks(model: LlamaModel, tokens: int) -> Iterator[Text]:
    for n, text in enumerate(TALK):
        prompt = chat(model, TALK[n - 1], QUESTION)
        yield Text(prompt=prompt, reply=encoded(model, text)[:tokens])


def own_words(model: LlamaModel, tokens: int) -> Iterator[Text]:
    del tokens
    for text in TALK:
        yield Text(prompt=chat(model, text, QUESTION), reply=())


KINDS: Final[dict[str, Callable[[LlamaModel, int], Iterator[Text]]]] = {
    "retry with an edit": retries,
    "code completion": completions,
    "free talk": talks,
    "the model's own words": own_words,
}


def encoded(model: LlamaModel, text: str, *, special: bool = False) -> tuple[int, ...]:
    return tuple(model.tokenize(text, special=special))


def chat(model: LlamaModel, *messages: str) -> tuple[int, ...]:
    """A prompt in ChatML, as the bundled model knows it."""
    turns = (f"<|im_start|>user\n{message}<|im_end|>\n" for message in messages)
    return encoded(model, "".join(turns) + "<|im_start|>assistant\n", special=True)


class Switch:
    """A drafter that can be turned off, so that both ways find the same prompts in the cache."""

    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter
        self.is_on = False
        self.costs = DraftCosts()
        """Of the steps with as many replies as the last ones had."""

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        return self._drafter.drafts_for(replies, most) if self.is_on else [()] * len(replies)

    def record(self, step: DecodedStep) -> None:
        if step.num_drafted:
            self.costs.record(step.num_drafted, step.seconds)
        else:
            self.costs.record_plain(step.seconds)
        if self.is_on:
            self._drafter.record(step)


class Bench:
    """One batcher for all rounds of a kind of text.

    Args:
        tokens: of a reply that is the model's own.
    """

    def __init__(self, model: Given, tokens: int) -> None:
        model.wipe()
        self._model = model
        self._tokens = tokens
        self.drafts = Switch(LookupDrafter(model.is_end, Speculation()))
        self._batcher = Batcher(
            model, PrefillPacer(model.batch_size, 1.0), swap_bytes=1 << 31, drafter=self.drafts
        )

    def tokens_per_s(self, texts: Sequence[Text]) -> float:
        """Of each reply, from the first tokens to the last, while all are written together."""
        for text in texts:
            self._model.reply = text.reply
            length = len(text.reply) or self._tokens
            request = GenerationRequest(str(text.prompt), text.prompt, length, sampling=SAMPLING)
            self._batcher.submit(request, lambda _: None)
        generated = self._generated
        while self._generated < generated + len(texts):
            self._batcher.step()
        generated, began = self._generated, time.perf_counter()
        while self._batcher.has_work:
            self._batcher.step()
        return (self._generated - generated) / (time.perf_counter() - began) / len(texts)

    @property
    def _generated(self) -> int:
        return self._batcher.stats().generated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--texts", type=int, default=3)
    parser.add_argument("--together", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    path = options.model or model_path(make_settings("unix:///nowhere"))
    model = Given(ModelOptions(path, WINDOW, THREADS, slots=max(options.together)))
    rows = []
    for kind in options.kinds:
        texts = list(KINDS[kind](model, options.tokens))[: options.texts]
        for together in options.together:
            name = kind if together == 1 else f"{kind}, {together} replies"
            bench = Bench(model, options.tokens)
            rows.append(row_of(bench, name, groups(texts, together), options.rounds))
    print_table(["text", "plain, tok/s", "with drafts, tok/s", "ratio", "at best"], rows)
    model.close()


def groups(texts: Sequence[Text], size: int) -> list[list[Text]]:
    """Each text with those that follow it."""
    return [[texts[(n + k) % len(texts)] for k in range(size)] for n in range(len(texts))]


def row_of(bench: Bench, name: str, texts: Sequence[Sequence[Text]], rounds: int) -> list[str]:
    """Rounds in which both ways take turns; the drafter learns, as it does in a server."""
    for each in texts:
        bench.tokens_per_s(each)
    speeds: defaultdict[bool, list[float]] = defaultdict(list)
    for number in range(rounds):
        for is_on in (False, True) if number % 2 else (True, False):
            bench.drafts.is_on = is_on
            speeds[is_on].append(statistics.harmonic_mean(map(bench.tokens_per_s, texts)))
    ratios = [fast / slow for slow, fast in zip(speeds[False], speeds[True], strict=True)]
    best = "" if len(texts[0]) > 1 else best_of([text for [text] in texts], bench.drafts.costs)
    return [name, spread(speeds[False]), spread(speeds[True]), spread(ratios, 2), best]


def best_of(texts: Sequence[Text], costs: DraftCosts) -> str:
    """The ratio of all texts with perfect choices; empty where the replies are not given."""
    given = [text for text in texts if text.reply]
    return f"{len(given) / sum(steps_at_best(text, costs) for text in given):.2f}" if given else ""


def steps_at_best(text: Text, costs: DraftCosts) -> float:
    """Steps for a token of the reply if each one had the number of drafts that suits it best."""
    lookup, written, steps = Lookup(), 0, 0.0
    while written < len(text.reply):
        draft = lookup.find([*text.prompt, *text.reply[:written]], MOST_DRAFTED)
        found = draft.token_ids if draft is not None else ()
        right = common_prefix(found, text.reply[written:])
        size = max((0, *SIZES), key=lambda size: (1 + min(size, right)) / (1 + costs.of(size)))
        written += 1 + min(size, right)
        steps += 1 + costs.of(size)
    return steps / written


if __name__ == "__main__":
    main()
