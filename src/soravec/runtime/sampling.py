"""Which pictures of a file are read: what is asked for, or what `auto` chooses and why."""

from typing import Literal, NamedTuple

from soravec.errors import QueryError
from soravec.video import LIMITS, Limits, Place, keyframe_spacing

Sampling = Literal["auto", "uniform", "keyframes"]
"""How pictures are chosen: at the model's rate, keyframes alone, or whichever suits the file."""

KEYFRAMES_SUIT_SECONDS = 2.0
"""The widest spacing of keyframes at which `auto` reads them alone: docs/performance.md has the
loss by spacing."""


class Choice(NamedTuple):
    """What is read of a file."""

    sampling: Literal["uniform", "keyframes"]
    stand_alone: bool
    """Whether pictures that are not sampled are passed over, each standing alone."""
    reason: str
    """Why, where `auto` chose; else empty."""


def choose_sampling(place: Place, asked: Sampling, *, limits: Limits = LIMITS) -> Choice:
    """Return what is read of a file; `auto` looks at its packets.

    - Every picture is a keyframe (Motion JPEG, ProRes, DV): those at the model's rate, and those
      just before them where the CNN reads differences, each decoded alone.
    - There are several keyframes, at most KEYFRAMES_SUIT_SECONDS apart: they alone.
    - Else, or where nothing says: everything is decoded, which is what `uniform` does.

    Raises:
        QueryError: There is no such sampling.
        VideoError: The file cannot be used.
    """
    if asked not in ("auto", "uniform", "keyframes"):
        raise QueryError(f"no sampling '{asked}': choose auto, uniform or keyframes")
    if asked != "auto":
        return Choice(asked, stand_alone=False, reason="")
    spacing = keyframe_spacing(place, limits=limits)
    if spacing.stand_alone:
        return Choice("uniform", stand_alone=True, reason="every picture stands alone")
    if spacing.num_keyframes > 1 and spacing.widest_seconds <= KEYFRAMES_SUIT_SECONDS:
        apart = f"keyframes are at most {spacing.widest_seconds:.2g} s apart"
        return Choice("keyframes", stand_alone=False, reason=apart)
    if spacing.widest_seconds == float("inf"):
        return Choice("uniform", stand_alone=False, reason="nothing says where keyframes are")
    apart = f"keyframes are up to {spacing.widest_seconds:.2g} s apart"
    return Choice("uniform", stand_alone=False, reason=apart)
