"""What a library must hold in the light of what was acknowledged."""

from soravec import Library
from tests.library.conftest import vectors_of


class Ledger:
    """Acknowledgements, line by line, as `driver` writes them."""

    def __init__(self, lines):
        self.there, self.forgotten, self.maybe = set(), set(), set()
        for line in lines:
            what, _, name = line.partition(" ")
            if what in ("indexed", "unchanged", "moved"):
                self.there.add(name)
                self.forgotten.discard(name)
            elif what == "forgetting":  # from here on it may be gone
                self.there.discard(name)
                self.maybe.add(name)
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
            wrong = _rows(library, ledger, whole[1]) or _vectors(library, ledger, *whole)
            if wrong:
                return wrong
            library.add(videos, progress=False)  # and it goes on from there
            if dict(_paths(library)) != whole[1]:
                return "it does not go on"
            return f"verify at the end: {problems}" if (problems := library.verify()) else None
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the violation
        return f"{type(error).__name__}: {error}"


def _paths(library):
    return library.catalogue.rows(
        "SELECT p.path, v.video_id FROM paths p JOIN videos v ON v.key = p.video_key"
    )


def _rows(library, ledger, identities):
    rows = _paths(library)
    stored = dict(rows)
    if not ledger.there <= set(stored):
        return f"lost: {sorted(ledger.there - set(stored))}"
    if len(rows) != len(stored):
        return "doubled"
    if any(identities[name] != video_id for name, video_id in rows):
        return "another identity"
    if back := ledger.forgotten & set(stored):
        return f"forgotten, and there: {back}"
    return None


def _vectors(library, ledger, vectors, identities):
    for name in sorted(ledger.there):
        hits = library.search(video=name, k=1)
        if not hits or hits[0].score < 0.99:
            return f"not found: {name}"
    if not library.catalogue.spaces():
        return None
    if (problems := library.verify()) and ledger.there:
        return f"verify: {problems}"
    gone = {identities[name] for name in ledger.forgotten}
    for key, vector in vectors_of(library).items() if ledger.there else ():
        if key[0] in gone:
            return "a forgotten video has vectors"
        if vectors[key] @ vector < 0.9999:
            return "another vector"
    return None
