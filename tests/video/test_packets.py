from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soravec.video.editing.audio import placed
from soravec.video.editing.encoders import Timed
from soravec.video.editing.nal import as_annex_b, free_id, parameter_sets, units
from soravec.video.editing.packets import PacketTable, plan_copy
from soravec.video.editing.splice import with_dts


def table(text, *, leading_may_go=False, discarded=()):
    """Read packets in the order of decoding, such as `I0 P3 B1 B2`; I stands by itself."""
    names = text.split()
    pts = np.array([int(name[1:]) for name in names], np.int64)
    joins = np.array([name[0] == "I" for name in names])
    gone = np.isin(pts, list(discarded))
    return PacketTable(
        time_base=Fraction(1, 25),
        pts=pts,
        duration=np.ones(len(pts), np.int64),
        joins=joins,
        breaks=np.zeros(len(pts), np.bool_),
        shown=~gone,
        discarded=gone,
        leading_may_go=leading_may_go,
        own_sets=False,
        is_constant=True,
        reaches_end=True,
    )


CLOSED = "I0 P3 B1 B2 I4 P7 B5 B6 I8 P11 B9 B10"
OPEN = "I0 P3 B1 B2 I6 B4 B5 P9 B7 B8 I12 B10 B11"


@pytest.mark.parametrize(
    ("packets", "first", "end", "copied"),
    [
        (CLOSED, 0, 12, list(range(12))),
        (CLOSED, 1, 12, list(range(4, 12))),
        (CLOSED, 1, 7, [4]),
        (CLOSED, 4, 8, [4, 5, 6, 7]),
        (CLOSED, 0, 10, list(range(9))),
        (CLOSED, 5, 8, None),
        (OPEN, 0, 13, list(range(13))),
        (OPEN, 1, 13, None),
        ("I0 P1 P2 I3 P4 P5", 1, 5, [3, 4]),
    ],
)
def test_what_is_copied(packets, first, end, copied):
    plan = plan_copy(table(packets), first, end)
    assert (None if plan is None else copied_pts(table(packets), plan)) == copied


def test_pictures_before_an_open_keyframe_are_left_to_the_head():
    packets = table(OPEN, leading_may_go=True)
    plan = plan_copy(packets, 1, 13)
    assert copied_pts(packets, plan) == [6, 7, 8, 9, 10, 11, 12]
    assert (plan.first_pts, plan.last_pts) == (6, 12)


def test_what_an_edit_list_leaves_out_is_not_copied():
    packets = table(CLOSED, discarded=(5, 11))
    assert copied_pts(packets, plan_copy(packets, 0, 12)) == [0, 1, 2, 3, 4]


def copied_pts(packets, plan):
    indices = [i for i in range(plan.begin, plan.end) if i not in plan.left_out]
    return sorted(int(packets.pts[i]) for i in indices)


@st.composite
def streams(draw):
    """Groups of pictures in an order of decoding, open or closed."""
    names, at = [], 0
    for _ in range(draw(st.integers(1, 4))):
        is_open = bool(names) and draw(st.booleans())
        num_leading = draw(st.integers(0, 3)) if is_open else 0
        key = at + num_leading
        names.append(f"I{key}")
        names += [f"B{at + k}" for k in range(num_leading)]
        at = key + 1
        for _ in range(draw(st.integers(0, 3))):
            num_b = draw(st.integers(0, 3))
            names.append(f"P{at + num_b}")
            names += [f"B{at + k}" for k in range(num_b)]
            at += num_b + 1
    return " ".join(names), at


@given(streams(), st.data(), st.booleans())
def test_whatever_is_copied_is_whole_and_together(stream, data, leading_may_go):
    text, num = stream
    first = data.draw(st.integers(0, num - 1))
    end = data.draw(st.integers(first + 1, num))
    packets = table(text, leading_may_go=leading_may_go)
    plan = plan_copy(packets, first, end)
    if plan is None:
        return
    copied = copied_pts(packets, plan)
    assert copied == list(range(copied[0], copied[-1] + 1))
    assert first <= copied[0] <= copied[-1] < end
    assert text.split()[plan.begin][0] == "I"
    assert leading_may_go or not plan.left_out


class FakePacket:
    pts = dts = duration = None


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.integers(0, 3), st.randoms())
def test_times_of_decoding_ascend_and_come_in_time(steps, depth, random):
    pts = np.cumsum([0, *steps]).tolist()
    order = sorted(range(len(pts)), key=lambda i: i + random.uniform(0, depth))
    late = max(place - i for place, i in enumerate(order))
    timed = [Timed(FakePacket(), pts[i], 1) for i in order]
    packets = [t.packet for t in with_dts(timed, max(late, depth), 1)]
    assert [p.pts for p in packets] == [pts[i] for i in order]
    assert all(p.dts <= p.pts for p in packets)
    assert all(a.dts < b.dts for a, b in zip(packets, packets[1:], strict=False))


@given(
    st.lists(st.tuples(st.integers(-20, 80), st.integers(1, 20)), max_size=6),
    st.integers(1, 60),
)
def test_sound_fills_its_place_and_no_more(pieces, num_samples):
    pieces = sorted(pieces)
    wanted = np.zeros(num_samples, np.float32)
    covered = 0
    for begin, length in pieces:
        for at in range(max(begin, covered), min(begin + length, num_samples)):
            wanted[at] = 1000 * (begin + 21) + at - begin
        covered = max(covered, min(begin + length, num_samples))
    given_pieces = [
        (begin, (1000.0 * (begin + 21) + np.arange(length, dtype=np.float32))[None])
        for begin, length in pieces
    ]
    got = np.concatenate(
        list(placed(iter(given_pieces), num_samples, num_channels=1, slack=0)), axis=1
    )
    assert np.array_equal(got[0], wanted)


def test_rounded_times_do_not_tear_sound():
    ones = np.ones((2, 100), np.float32)
    got = list(placed([(0, ones), (101, ones), (199, ones)], 300, num_channels=2, slack=3))
    assert sum(block.shape[1] for block in got) == 300
    assert all(block.all() for block in got)


def test_units_with_lengths_and_with_start_codes():
    assert list(units(b"\0\0\0\2\x67\x42\0\0\0\1\x68", 4)) == [b"\x67\x42", b"\x68"]
    assert list(units(b"\0\0\0\1\x67\x42\0\0\1\x68", 0)) == [b"\x67\x42", b"\x68"]


def test_a_number_that_no_parameter_set_bears():
    # Sequence set 0: 67 64 00 1f, then the code 1; picture set 31: the code of 32.
    sets = [b"\x67\x64\x00\x1f\x80", b"\x68\x04\x00"]
    assert parameter_sets("h264", as_annex_b(sets)) == sets
    assert free_id(sets) == 30
