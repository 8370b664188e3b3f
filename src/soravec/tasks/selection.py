"""Which pieces of a video stand best for all of it. Pure arithmetic.

Facility location: every frame is worth as much as the piece that was chosen likest to it is like
it, a monotone submodular function of the set that is chosen (Lin, Bilmes, "A class of submodular
functions for document summarization", 2011), and each piece is worth a little for its quality
alone. Gains are divided by costs (Lin, Bilmes, "Multi-document summarization via budgeted
maximization of submodular functions", 2010), and looked at again only where they may be the largest
(Leskovec et al., "Cost-effective outbreak detection in networks", 2007).

Departure: what repeats a chosen piece cannot be chosen at all, so their bounds do not hold.
"""

import heapq
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

QUALITY_WEIGHT = 0.1
"""Of the quality of what is chosen, beside what it stands for."""


def choose_pieces(  # noqa: PLR0913  # the parts of one objective
    covered: Float,
    weights: Float,
    quality: Float,
    costs: Float,
    budget: float,
    repeats: Callable[[int, int], bool],
    chosen: Iterable[int] = (),
) -> list[int]:
    """Return the pieces to take, the most telling first.

    Args:
        covered: (P, T) how like each piece is to each frame, in [0, 1].
        weights: (T,) how much each frame counts.
        quality: (P,) in [0, 1].
        costs: (P,) seconds.
        budget: Seconds that all may cost together.
        repeats: Says whether the first piece shows again what the second one shows.
        chosen: Pieces that are taken already, and paid.
    """
    taken = list(chosen)
    seen = np.zeros(covered.shape[1], np.float32)
    for piece in taken:
        seen = np.maximum(seen, covered[piece])
    share = weights / max(float(weights.sum()), 1e-9)
    worth = QUALITY_WEIGHT * quality / max(len(costs), 1)

    def gain(piece: int) -> float:
        new = float(np.maximum(covered[piece] - seen, 0) @ share)
        return (new + float(worth[piece])) / max(float(costs[piece]), 1e-6)

    queue = [(-gain(piece), piece, len(taken)) for piece in set(range(len(costs))) - set(taken)]
    heapq.heapify(queue)
    left = budget
    while queue:
        _, piece, when = heapq.heappop(queue)
        if costs[piece] > left + 1e-6:
            continue
        if when < len(taken):
            heapq.heappush(queue, (-gain(piece), piece, len(taken)))
        elif not any(repeats(piece, other) for other in taken):
            taken.append(piece)
            left -= float(costs[piece])
            seen = np.maximum(seen, covered[piece])
    return taken


def share_out(lengths: NDArray[np.float64], budget: float) -> NDArray[np.float64]:
    """Return seconds for each of some pieces, all the same where they are long enough.

    >>> share_out(np.array([1.0, 5.0, 9.0]), 9.0).tolist()
    [1.0, 4.0, 4.0]
    """
    order = np.argsort(lengths, kind="stable")
    given = np.zeros_like(lengths)
    left = budget
    for number, piece in enumerate(order):
        given[piece] = min(float(lengths[piece]), left / (len(order) - number))
        left -= float(given[piece])
    return given
