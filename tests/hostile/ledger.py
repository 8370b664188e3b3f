"""What a library must hold in the light of what was acknowledged."""

from soravec import Library
from tests.library.conftest import vectors_of


class Ledger:
    """Acknowledgements, line by line, as `driver` writes them."""

    def __init__(self, lines):
        self.there, self.forgotten = set(), set()
        for line in lines:
            what, _, name = line.partition(" ")
            if what in ("indexed", "unchanged", "moved"):
                self.there.add(name)
                self.forgotten.discard(name)
            elif what == "forgetting":  # from here on it may be gone
                self.there.discard(name)
            elif what == "forgotten":
                self.forgotten.add(name)


def wrong_with_library(path, lines, videos, whole):
    """Return what is wrong with a library, or None.

    Args:
        path: Where it lies.
        lines: What was acknowledged.
        videos: The folder of all videos.
        whole: Vectors by identity, and identities by path, of a library of them all.
    """
    ledger = Ledger(lines)
    if not (path / "catalogue.db").exists():
        there = ledger.there
        return f"no library, but {len(there)} were acknowledged" if there else None
    try:
        with Library(path, create=False) as library:
            wrong = _rows(library, ledger, *whole) or _vectors(library, ledger, *whole)
            if wrong:
                return wrong
            library.add(videos, progress=False)  # and it goes on from there
            if dict(_paths(library)) != whole[1]:
                return "it does not go on"
            if vectors_of(library).keys() != whole[0].keys():
                return "other vectors at the end"
            return f"verify at the end: {problems}" if (problems := library.verify()) else None
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the violation
        return f"{type(error).__name__}: {error}"


def _paths(library):
    return library.catalogue.rows(
        "SELECT p.path, v.video_id FROM paths p JOIN videos v ON v.key = p.video_key"
    )


def _rows(library, ledger, vectors, identities):
    """Look at the catalogue before anything mends."""
    stored = dict(_paths(library))
    if not ledger.there <= set(stored):
        return f"lost: {sorted(ledger.there - set(stored))}"
    if any(identities[name] != video_id for name, video_id in stored.items()):
        return "another identity"
    if back := ledger.forgotten & set(stored):
        return f"forgotten, and there: {back}"
    segments = library.catalogue.rows(
        "SELECT v.video_id, s.ordinal FROM segments s JOIN videos v ON v.key = s.video_key"
    )
    if len(segments) != len(set(segments)):
        return "segments are doubled"
    ids = set(stored.values())
    if {one for one in segments if one[0] in ids} != {key for key in vectors if key[0] in ids}:
        return "a video is torn: it has some of its segments only"
    return None


def _vectors(library, ledger, vectors, identities):
    """Ask, which mends; then every vector must be there once, and no others."""
    stored = dict(_paths(library))
    for name in sorted(stored):
        hits = library.search(video=name, k=1)
        if not hits or hits[0].score < 0.99 or hits[0].path != name:
            return f"not found: {name}: {hits}"
    if not stored:
        return None
    if problems := library.verify():
        return f"verify: {problems}"
    found, ids = vectors_of(library), set(stored.values())  # each ordinal once
    if found.keys() != {key for key in vectors if key[0] in ids}:
        return f"vectors of others, or not all: {len(found)} for {len(ids)} videos"
    if any(vectors[key] @ vector < 0.9999 for key, vector in found.items()):
        return "another vector"
    return None
