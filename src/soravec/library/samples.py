"""Words that lie beside a clip in a tar, in the WebDataset layout.

Members that share all of a name up to its first dot are one sample: `000001.mp4`, `000001.txt`,
`000001.json`, `000001.cls`. See https://github.com/webdataset/webdataset.
"""

import json
import logging
from pathlib import Path
from typing import Any

from soravec.errors import VideoError
from soravec.video import archive_of, find_input, tar_members

MAX_BYTES = 2**20
"""A larger member is no caption."""

_JSON_KEYS = {
    "caption": "caption",
    "text": "caption",
    "title": "title",
    "label": "label",
    "class": "label",
    "tag": "tag",
    "tags": "tag",
}
_SUFFIX_KINDS = {"txt": "caption", "text": "caption", "caption": "caption", "cls": "label"}

logger = logging.getLogger(__name__)


def sample_words(clip: Path) -> list[tuple[str, str]]:
    """Return (kind, text) of what lies beside a clip in its tar; nothing for a plain file.

    `.txt` is a caption, `.cls` a label, and of `.json` the keys caption, text, title, label, class
    and tags are taken, a text or a list of texts. What cannot be read is logged and passed over.
    """
    archive = archive_of(clip)
    if archive is None:
        return []
    name = clip.relative_to(archive).as_posix()
    key = _key(name)
    found: list[tuple[str, str]] = []
    for member in tar_members(archive):
        suffix = member[len(key) + 1 :].lower()
        if _key(member) != key or suffix not in (*_SUFFIX_KINDS, "json"):
            continue
        try:
            found += _words(suffix, _content(archive / member))
        except (VideoError, OSError, ValueError, RecursionError) as error:
            logger.warning("%s/%s: passed over (%s)", archive, member, error)
    return list(dict.fromkeys(found))


def _key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _content(path: Path) -> str:
    where = find_input(path)
    if where.size_bytes > MAX_BYTES:
        raise ValueError(f"{where.size_bytes} bytes are too many for a caption")
    return where.head(MAX_BYTES).decode("utf-8-sig")


def _words(suffix: str, content: str) -> list[tuple[str, str]]:
    if suffix != "json":
        return _texts(_SUFFIX_KINDS[suffix], content)
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return [pair for key, kind in _JSON_KEYS.items() for pair in _texts(kind, value.get(key))]


def _texts(kind: str, value: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # a value of JSON
    values = value if isinstance(value, list) else [value]
    texts = [str(v).strip() for v in values if isinstance(v, str | int) and not isinstance(v, bool)]
    return [(kind, text) for text in texts if text]
