"""Looking after a library: what is wrong with it, building vectors anew, forgetting for good."""

import logging
import re
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from soravec.errors import LibraryError, ModelError
from soravec.library.catalogue import Catalogue
from soravec.library.durable import remove_folder, remove_others, remove_rest, sync_folder
from soravec.library.features import FeatureFiles
from soravec.library.lance import LanceStore
from soravec.library.maps import read_map, remove_map
from soravec.library.schema import Space
from soravec.library.store import opened
from soravec.library.stores import Stores
from soravec.library.vectors import VectorIndex
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import HEADS_FOLDER, head_names, read_head, remove_head

OURS = re.compile(r"vectors(\.[0-9a-f]{8})?(\.old)*")
"""The names of folders of vectors."""

logger = logging.getLogger(__name__)


class Upkeep:
    """What is done to a library now and then; all but `problems` by the one who writes.

    Args:
        path: The library.
        catalogue: Its truth.
        files: What vectors are rebuilt from.
        stores: Its vectors.
        encoder_of: Gives the model of a space, or raises ModelError.
    """

    def __init__(
        self,
        path: Path,
        catalogue: Catalogue,
        files: FeatureFiles,
        stores: Stores,
        encoder_of: Callable[[Space], Encoder],
    ) -> None:
        self._path = path
        self._catalogue = catalogue
        self._files = files
        self._stores = stores
        self._encoder_of = encoder_of

    def problems(self) -> list[str]:
        """Return what is wrong, in sentences."""
        found = [row[0] for row in self._catalogue.rows("PRAGMA integrity_check")]
        found = [f"catalogue: {text}" for text in found if text != "ok"]
        for space in self._catalogue.spaces():
            lost = self._lost_features(space).values()
            found += [f"features of video {name}: missing or damaged" for name in lost]
            try:
                if not self.index(space, self._stores.open(space)).is_true():
                    found.append(f"vectors of {space.model_name}: behind the catalogue")
            except (LibraryError, ModelError) as error:
                found.append(str(error))
        found += [str(error) for _, error in self._damaged_heads()]
        return found + [str(error) for error in self._damaged_maps()]

    def index(self, space: Space, store: LanceStore) -> VectorIndex:
        """Return the vectors of a space as the catalogue's index."""
        return VectorIndex(self._catalogue, self._files, opened(store), self._encoder_of(space))

    def repair(self) -> int:
        """Build the vectors of all spaces anew; return how many videos have vectors again.

        They lie in another folder, of which readers learn when it is whole; a name that was used
        before would be remembered by LanceDB.
        """
        for name, _ in self._damaged_heads():  # what was said of the label is in the catalogue
            remove_head(self._path, name)
        if self._damaged_maps():
            remove_map(self._path)
        spaces = self._catalogue.spaces()
        lost = [self._lost_features(space) for space in spaces]
        anew = f"vectors.{uuid4().hex[:8]}"
        try:
            built = [self._built(*each, anew) for each in zip(spaces, lost, strict=True)]
        except BaseException:
            with suppress(OSError):  # else the next run removes it
                remove_folder(self._path / anew)
            raise
        with self._catalogue.transaction():
            self._catalogue.put_vectors_folder(anew)
            for space, gone, (keys, version) in zip(spaces, lost, built, strict=True):
                for key in gone:
                    self._catalogue.drop_embedding(key, space.space_id)
                self._catalogue.mark_pending(space.space_id)
                self._catalogue.mark_indexed(space.space_id, keys, version)
        self._stores.close()
        self.keep_vectors()
        return sum(len(keys) for keys, _ in built)

    def keep_vectors(self) -> None:
        """Remove what a repair had made, or was making, and the catalogue does not name.

        Raises:
            LibraryError: It cannot be removed.
        """
        try:
            for space in self._catalogue.spaces()[:1]:
                remove_others(self._path, OURS, space.vectors_folder)
        except OSError as error:
            raise LibraryError(f"{self._path}: old vectors cannot be removed ({error})") from error

    def forget(self, video_key: int) -> None:
        """Remove a video for good.

        First it goes from newer versions of the vectors, which readers do not look at yet, then
        from the catalogue, with which they do; then from all that is older.
        """
        changed = []
        for space in self._catalogue.spaces():
            store = self._stores.open(space)
            was_true = store.version() == space.vectors_version
            store.remove([video_key])
            store.optimise(rewrite=True)
            store.sync()
            if was_true:  # else the next run sees that something is amiss
                changed.append((space.space_id, store.version()))
        with self._catalogue.transaction():
            self._catalogue.forget(video_key)
            for space_id, version in changed:
                self._catalogue.mark_indexed(space_id, [], version)
        self.finish_forgetting()

    def finish_forgetting(self) -> None:
        """Remove what is left of videos that were forgotten, also by one who was killed at it."""
        if not self._catalogue.is_forgetting():
            return
        self.keep_vectors()
        self._forget_heads()
        remove_map(self._path)
        if left := [one for one in self._path.iterdir() if self._is_old(one.name)]:
            raise LibraryError(f"{left[0]}: cannot be removed, and holds what was forgotten")
        for space in self._catalogue.spaces():
            store = self._stores.open(space)
            was_true = store.version() == space.vectors_version
            store.prune()
            if was_true and store.version() != space.vectors_version:
                with self._catalogue.transaction():
                    self._catalogue.mark_indexed(space.space_id, [], store.version())
        for video_id in self._catalogue.forgetting():
            if self._catalogue.video_key(video_id) is None:  # else it was indexed again since
                self._files.forget(video_id)
            with self._catalogue.transaction():
                self._catalogue.forgot(video_id)
        self._catalogue.compact()

    def _forget_heads(self) -> None:
        """Remove what was learned, maybe from a video that is forgotten: it is learned again."""
        try:
            remove_folder(self._path / HEADS_FOLDER)
            remove_rest(self._path / HEADS_FOLDER)
            sync_folder(self._path)
        except OSError as error:
            raise LibraryError(f"{self._path}: cannot be written ({error.strerror})") from error

    def _damaged_heads(self) -> list[tuple[str, ModelError]]:
        found = []
        for name in head_names(self._path):
            try:
                read_head(self._path, name)
            except ModelError as error:
                found.append((name, error))
        return found

    def _damaged_maps(self) -> list[LibraryError]:
        try:
            read_map(self._path)
        except LibraryError as error:
            return [error]
        return []

    def _is_old(self, name: str) -> bool:
        current = [space.vectors_folder for space in self._catalogue.spaces()]
        return OURS.fullmatch(name) is not None and name not in current

    def _built(self, space: Space, lost: Container[int], folder: str) -> tuple[list[int], int]:
        """Return the keys of the videos whose vectors a folder now holds, and its version.

        Where the model is gone there are none: the vectors come back with it.
        """
        place = replace(space, vectors_folder=folder)
        store = LanceStore(self._path / folder, space.space_id, space.dim)
        try:
            index = self.index(place, store)
        except ModelError as error:
            if len(self._catalogue.spaces()) == 1:
                raise
            logger.warning("no vectors of %s were built: %s", space.model_name, error)
            return [], store.version()
        return index.build(without=lost), store.version()

    def _lost_features(self, space: Space) -> dict[int, str]:
        """Return the identities, by key, of the videos whose features are missing or damaged."""
        sql = "SELECT video_key FROM embeddings WHERE space_id = ?"
        keys = [key for (key,) in self._catalogue.rows(sql, (space.space_id,))]
        ids = {key: self._catalogue.video_id(key) for key in keys}
        return {k: name for k, name in ids.items() if self._files.is_lost(name, space.feature_id)}
