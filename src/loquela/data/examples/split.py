"""Examples → splits: what could give an answer away stays on one side.

Joined are examples of one group (a source document), of one chunk, with the same question or one that is nearly the
same; whole components are then drawn by seed, each stratum giving its share. Examples that came with a split (made
from a corpus that was split) keep it; a component with any held-out example in it is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.corpus import SPLITS, Split
from loquela.artifacts.examples import Example
from loquela.artifacts.examples_facts import ExamplesSplitFacts
from loquela.core.digests import digest_bytes
from loquela.data.corpus.duplicates import folded
from loquela.data.corpus.near_duplicates import PERMUTATIONS, grams, near_duplicates, signature
from loquela.data.corpus.split import Splitter, Unit, assign, unit_interval
from loquela.data.corpus.strata import names_without_places
from loquela.data.corpus.union import Components
from loquela.data.shingles import Hashes
from loquela.recipe.examples_section import ExamplesSection

# Questions that share this much (word 5-grams) count as one.
NEAR_SIMILARITY = 0.8
# A component of more examples than this, and of more than twice the share that is held out, is learnt from.
LARGE_COMPONENT = 10


@dataclass(frozen=True)
class Head:
    """What the split needs to know of an example. Equal `keys` belong together; `given` is a split it came with.

    `group` is kept together as well, but for examples that came with a split: these were split by their documents
    already, if need be inside a group.
    """

    stratum: str
    keys: tuple[str, ...]
    given: Split | None = None
    group: str | None = None


def question_text(example: Example) -> str:
    """The first question with its input, or the text: what two examples are told to be about the same by."""
    if example.kind == "text":
        return example.text or ""
    if example.kind == "prompt_completion":
        return example.prompt or ""
    return next((message.content for message in example.messages if message.role == "user"), "")


def question_key(example: Example) -> str:
    """The same for every example that asks the same, whatever the case and white space."""
    return f"question {digest_bytes(folded(question_text(example)).encode('utf-8'))}"


def head_of(example: Example, stratify_by: str, given: Split | None) -> Head:
    """The head of an example."""
    lineage = example.lineage
    strata = {"source": lineage.source, "language": example.language or "", "kind": example.kind}
    keys = [question_key(example)]
    if lineage.document is not None:
        keys.append(f"document {lineage.document}")
    return Head(strata.get(stratify_by) or example.labels.get(stratify_by, ""), tuple(keys), given, example.group)


def draw_splits(
    heads: Sequence[Head], question: Callable[[int], str], section: ExamplesSection
) -> tuple[list[Split], ExamplesSplitFacts]:
    """The split of every example, by number; the same heads and seed give the same splits."""
    components = Components(np.arange(len(heads)))
    first: dict[str, int] = {}
    for number, head in enumerate(heads):
        for key in head.keys:
            components.join(number, first.setdefault(key, number))
    _join_groups(components, heads, of_split=False)
    near = _join_near(components, len(heads), question)
    of = components.smallest()
    roots, sizes = np.unique(of, return_counts=True)
    splits, too_large = _drawn(heads, roots, dict(zip(roots.tolist(), sizes.tolist(), strict=True)), of, section)
    moved = _fill_empty(splits, heads, of, section)
    facts = ExamplesSplitFacts(
        examples=len(heads),
        components=len(roots),
        largest_component=int(sizes.max()) if len(sizes) else 0,
        near_questions=near,
        too_large_to_hold_out=too_large,
        moved_to_fill_a_split=moved,
        drawn={split: splits.count(split) for split in SPLITS},
    )
    return splits, facts


def _join_groups(components: Components, heads: Sequence[Head], *, of_split: bool) -> None:
    """Join the examples of each group; those that came with a split only if `of_split`."""
    first: dict[str, int] = {}
    for number, head in enumerate(heads):
        if head.group is not None and (of_split or head.given is None):
            components.join(number, first.setdefault(head.group, number))


def _join_near(components: Components, count: int, question: Callable[[int], str]) -> int:
    """Join examples with nearly the same question; how many were joined to another."""
    shingles = [grams(question(number)) for number in range(count)]
    eligible = np.array([number for number in range(count) if len(shingles[number])], dtype=np.int64)
    if len(eligible) < 2:
        return 0
    signatures = np.zeros((count, PERMUTATIONS), dtype=np.uint32)
    for number in eligible.tolist():
        signatures[number] = signature(shingles[number])

    def grams_of(number: int) -> Hashes:
        return shingles[number]

    found = near_duplicates(signatures, eligible, NEAR_SIMILARITY, grams_of).cluster
    for number, other in enumerate(found.tolist()):
        components.join(number, other)
    return int(np.count_nonzero(found != np.arange(count)))


def _drawn(
    heads: Sequence[Head],
    roots: NDArray[np.int64],
    sizes: dict[int, int],
    of: NDArray[np.int64],
    section: ExamplesSection,
) -> tuple[list[Split], int]:
    fixed: dict[int, Split] = {}
    for head, root in zip(heads, of.tolist(), strict=True):
        if head.given is not None and fixed.get(root, "train") == "train":
            fixed[root] = head.given
    free = [root for root in roots.tolist() if root not in fixed]
    strata = [heads[root].stratum for root in free]
    if section.stratify_by == "source":
        names = names_without_places(strata)
        strata = [names[stratum] for stratum in strata]
    totals: dict[str, int] = {}
    for root, stratum in zip(free, strata, strict=True):
        totals[stratum] = totals.get(stratum, 0) + sizes[root]
    held = section.validation_fraction + section.test_fraction
    units = []
    for root, stratum in zip(free, strata, strict=True):
        units.append(Unit(stratum, sizes[root] > max(LARGE_COMPONENT, 2 * held * totals[stratum])))
    if held > 0 and units:
        splitter = Splitter(section.seed, section.validation_fraction, section.test_fraction)
        fixed.update(zip(free, assign(units, splitter), strict=True))
    drawn: list[Split] = [fixed.get(root, "train") for root in of.tolist()]
    return drawn, sum(unit.too_large for unit in units) if held > 0 else 0


def _fill_empty(splits: list[Split], heads: Sequence[Head], of: NDArray[np.int64], section: ExamplesSection) -> int:
    """Hold one whole group out for every wanted split that got no example; how many examples were moved.

    Groups are whole texts where there are several to choose from, else components. Nothing is moved where all there
    is belongs together. Where chance gave the only other group to the test, the validation takes it: it guides the run.
    """
    if "train" not in splits:
        _learn_again(splits, heads, of)
    whole = Components(of.copy())
    _join_groups(whole, heads, of_split=True)
    texts, before = whole.smallest(), splits.count("train")
    shares: dict[Split, float] = {"validation": section.validation_fraction, "test": section.test_fraction}
    for split, share in shares.items():
        if share > 0 and split not in splits:
            chosen = _fitting(splits, texts, share, section.seed) or _fitting(splits, of, share, section.seed)
            if not chosen and split == "validation":
                chosen = _drawn_for_the_test(splits, heads, of)
            for number in chosen:
                splits[number] = split
    return before - splits.count("train")


def _drawn_for_the_test(splits: Sequence[Split], heads: Sequence[Head], of: NDArray[np.int64]) -> list[int]:
    """The examples of the first component that chance, and not its source, gave to the test."""
    fixed = {root for head, root in zip(heads, of.tolist(), strict=True) if head.given is not None}
    tested = [root for root, split in zip(of.tolist(), splits, strict=True) if split == "test" and root not in fixed]
    return [number for number, root in enumerate(of.tolist()) if tested and root == tested[0]]


def _learn_again(splits: list[Split], heads: Sequence[Head], of: NDArray[np.int64]) -> None:
    """Where chance held everything out, take back what did not come with a split: it is then held out by size."""
    fixed = {root for head, root in zip(heads, of.tolist(), strict=True) if head.given is not None}
    for number, root in enumerate(of.tolist()):
        if root not in fixed:
            splits[number] = "train"


def _fitting(splits: Sequence[Split], of: NDArray[np.int64], share: float, seed: int) -> list[int]:
    """The examples of the group, all learnt from, whose size comes nearest to `share`; none of a single group."""
    members: dict[int, list[int]] = {}
    for number, root in enumerate(of.tolist()):
        members.setdefault(root, []).append(number)
    groups = [group for group in members.values() if all(splits[number] == "train" for number in group)]
    if len(groups) < 2:
        return []
    wanted = share * len(splits)
    order = range(len(groups))
    nearest = min(order, key=lambda place: (abs(len(groups[place]) - wanted), unit_interval(seed, "fill", place)))
    return groups[nearest]
