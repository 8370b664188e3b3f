"""What a library holds, in numbers."""

from dataclasses import dataclass
from pathlib import Path

from soravec.library.catalogue import Catalogue
from soravec.library.schema import Space


@dataclass(frozen=True, slots=True)
class LibrarySummary:
    """What a library holds."""

    path: str
    model: str
    """Model of the space that is searched."""
    space_id: str
    videos: int
    """Videos of which at least one file is there."""
    absent: int
    """Videos whose files are gone; their features are kept."""
    segments: int
    video_seconds: float
    failures: int
    size_bytes: int


def summarised(catalogue: Catalogue, space: Space, folder: Path) -> LibrarySummary:
    """Return what a library holds in one of its spaces."""
    here = "v.key IN (SELECT video_key FROM paths)"
    ((videos, seconds),) = catalogue.rows(
        f"SELECT count(*), coalesce(sum(duration_seconds), 0) FROM videos v WHERE {here}"
    )
    ((absent,),) = catalogue.rows(f"SELECT count(*) FROM videos v WHERE NOT {here}")
    ((segments,),) = catalogue.rows(
        "SELECT count(*) FROM segments WHERE space_id = ?"
        " AND video_key IN (SELECT video_key FROM paths)",
        (space.space_id,),
    )
    ((failures,),) = catalogue.rows("SELECT count(*) FROM failures")
    return LibrarySummary(
        path=str(folder),
        model=space.model_name,
        space_id=space.space_id,
        videos=videos,
        absent=absent,
        segments=segments,
        video_seconds=seconds,
        failures=failures,
        size_bytes=sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()),
    )
