"""Search by tags: what the model itself calls a segment, so that words find video untagged.

A tag is a direction in the space, the row of a linear head: looking for one is a search by vector,
and every stored segment can answer, whatever was known when it was indexed.
"""

import numpy as np

from soravec.errors import ModelError
from soravec.library.catalogue import Catalogue
from soravec.library.filters import Filter, allowed_by
from soravec.library.schema import Space
from soravec.library.store import VectorStore
from soravec.library.words import terms_of
from soravec.runtime.folder import find_model
from soravec.runtime.heads import TAGS_HEAD, Head, head_names, read_head
from soravec.types import Hit

LEAST_PROBABILITY = 0.02
"""What is less likely is no answer where there are few classes."""
LEAST_LIFT = 2.0
"""Where there are many, what is less than so many times as likely as by chance."""
CANDIDATES_PER_HIT = 4
MIN_CANDIDATES = 100


def tag_head(space: Space) -> Head | None:
    """Return the tags of the model that made a space; None where it has none, or is gone."""
    try:
        folder = find_model(space.model_path).path
    except ModelError:
        return None
    if TAGS_HEAD not in head_names(folder):
        return None
    head = read_head(folder, TAGS_HEAD)
    return head if head.config.space_id == space.space_id else None


def classes_asked(head: Head, text: str) -> list[tuple[int, ...]]:
    """Return, for every term, the classes that are called so; empty where one is called nothing.

    The whole text may be one name (`grand piano`); else each of its words is one.
    """
    whole = head.called(text.strip().strip('"'))
    if whole:
        return [whole]
    each = [head.called(term) for term in terms_of(text)]
    return each if all(each) else []


def least_probability(num_classes: int) -> float:
    """Return the probability below which a class out of so many is no answer.

    >>> least_probability(3), least_probability(1000)
    (0.02, 0.002)
    """
    return min(LEAST_PROBABILITY, LEAST_LIFT / num_classes)


def search_tags(
    catalogue: Catalogue,
    store: VectorStore,
    space: Space,
    head: Head,
    text: str,
    *,
    k: int,
    where: Filter,
) -> list[Hit]:
    """Return the `k` segments that the model is surest to call what `text` says, best first.

    The score is the probability: the sum over the classes of a name, the least over several names.
    """
    asked = classes_asked(head, text)
    if not asked:
        return []
    least = least_probability(len(head.classes))
    allowed = allowed_by(catalogue, where)
    wanted = max(MIN_CANDIDATES, CANDIDATES_PER_HIT * k)
    found: dict[tuple[int, int], tuple[float, str]] = {}
    for index in sorted({index for classes in asked for index in classes}):
        rows = store.search(head.weight[index], wanted, allowed, everywhere=True)
        if not len(rows):
            continue
        scores = head.scores(rows.vectors)  # (N, K)
        each = np.stack([scores[:, list(classes)].sum(axis=1) for classes in asked])
        for row, (key, ordinal) in enumerate(
            zip(rows.video_keys.tolist(), rows.ordinals.tolist(), strict=True)
        ):
            likeliest = [classes[int(scores[row, list(classes)].argmax())] for classes in asked]
            names = ", ".join(dict.fromkeys(head.classes[one] for one in likeliest))
            found[key, ordinal] = float(each[:, row].min()), names
    best = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))
    hits = []
    for (key, ordinal), (score, names) in best[:k]:
        segments = catalogue.segments_of(key, space.space_id)
        if score < least or ordinal >= len(segments):
            continue
        segment, video_id = segments[ordinal], catalogue.video_id(key)
        hits.append(
            Hit(
                path=catalogue.path_of(key),
                start_seconds=segment.start_seconds,
                end_seconds=segment.end_seconds,
                score=score,
                video_id=video_id,
                segment_id=f"{video_id}:{ordinal}",
                text=names,
            )
        )
    return hits
