"""The frame features of one video: from a library where they are, else read by a confined child."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from soravec.errors import SoravecError, VideoError
from soravec.library.batch import embed_files
from soravec.library.identity import located, stamp
from soravec.library.library import DEFAULT_MODEL, Library
from soravec.runtime.encoder import Encoder, load
from soravec.types import FrameFeatures
from soravec.video import LIMITS, Limits


class Read(NamedTuple):
    """A video, as it was read."""

    features: FrameFeatures
    """With the path that was asked for."""
    encoder: Encoder
    """The model that they are of."""
    is_stored: bool
    """Whether they were in the library."""


def read_features(
    video: str | Path,
    library: Library | None = None,
    *,
    encoder: Encoder | None = None,
    limits: Limits = LIMITS,
    trusted: bool = False,
) -> Read:
    """Return the features of a video, decoding it only where they are not stored.

    Args:
        video: A file, a clip in a tar, or a folder of frames.
        library: Where it may be. A file that has changed since is read anew.
        encoder: The model that reads it; None for that of the library, else `sora-mini`.
        limits: What is refused of a video that is read.
        trusted: Decode in a child that is not confined (`soravec.sandbox`).

    Raises:
        SoravecError: It cannot be read; the message says why and what to do.
        LibraryError: What is stored of it is damaged.
    """
    if encoder is None:
        encoder = load(DEFAULT_MODEL) if library is None else library.encoder()
    if library is not None and library.catalogue.spaces():
        stored = _stored(video, library, encoder.feature_id)
        if stored is not None:
            return Read(_named(stored, video), encoder, True)
    (read,) = embed_files([video], encoder, limits=limits, trusted=trusted)
    if read.features is None:
        raise SoravecError(read.message)
    return Read(_named(read.features, video), encoder, False)


def _stored(video: str | Path, library: Library, feature_id: str) -> FrameFeatures | None:
    try:
        key = library.catalogue.known_file(stamp(located(video)))
    except (OSError, VideoError):  # whoever reads it says why
        return None
    if key is None:
        return None
    video_id = library.catalogue.video_id(key)
    is_there = library.files.has(video_id, feature_id)
    return library.files.read(video_id, feature_id) if is_there else None


def _named(features: FrameFeatures, video: str | Path) -> FrameFeatures:
    return replace(features, info=replace(features.info, path=str(video)))
