"""Every error that Soravec raises on purpose, in one tree.

```
SoravecError
├── VideoError            a file that cannot be used (has .path)
│   ├── MissingVideo      no such file                          (FileNotFoundError)
│   ├── NoVideoStream     opened, but holds no moving picture
│   ├── UnreadableVideo   damaged, truncated, or not video
│   ├── EncryptedVideo    protected; the key is not ours
│   ├── TooLarge          beyond a limit on pixels, rate, length, streams or packets
│   └── NotAllowed        a container or protocol that is not opened
├── ModelError            a model folder that cannot be used    (ValueError)
│   └── SpaceMismatch     vectors of two models were to be compared
├── LibraryError          a library that cannot be used
│   └── LibraryBusy       another process is writing to it
├── QueryError            a request that makes no sense         (ValueError)
├── ManifestError         a list of labelled clips that cannot be used (ValueError)
├── TrainingError         a configuration or data that cannot be learned from (ValueError)
├── WorkerError           a child process that died or overran its deadline
└── MissingExtra          an optional dependency is not installed (ImportError)
```

A message says what, where and what to do: `clip.mp4: no video stream (found: audio). ...`
"""

from collections.abc import Sequence
from pathlib import Path


class SoravecError(Exception):
    """Base of every error raised on purpose; its text fits on one line."""


class VideoError(SoravecError):
    """A video file that cannot be used.

    Args:
        path: The file, as the caller named it.
        cause: What is wrong, without a final full stop.
        remedy: What to do about it, as a sentence.
    """

    def __init__(self, path: str | Path, cause: str, remedy: str) -> None:
        self.path = str(path)
        self.cause = cause
        self.remedy = remedy
        super().__init__(f"{path}: {cause}. {remedy}")


class MissingVideo(VideoError, FileNotFoundError):
    """The file does not exist or is not a regular file."""


class NoVideoStream(VideoError):
    """The container opened, but holds no moving picture."""


class UnreadableVideo(VideoError):
    """The file is damaged, truncated, or not a video at all."""


class EncryptedVideo(VideoError):
    """The stream is encrypted and the key is not in the file."""


class TooLarge(VideoError):
    """Beyond a limit on pixels, frame rate, length, streams or packets (`soravec.video.limits`)."""


class NotAllowed(VideoError):
    """The container or protocol is not on the list of those that are opened."""


class ModelError(SoravecError, ValueError):
    """A model folder that is missing, damaged or of another format."""


class SpaceMismatch(ModelError):
    """Vectors of two different spaces were about to be compared."""


class LibraryError(SoravecError):
    """A library that is missing, damaged or of another format."""


class LibraryBusy(LibraryError):
    """Another process holds the library open for writing."""


class QueryError(SoravecError, ValueError):
    """A request that makes no sense as it stands."""


class ManifestError(SoravecError, ValueError):
    """A list of labelled clips with rows that cannot be used; names every one of them.

    Args:
        path: The manifest, as the caller named it.
        problems: One sentence per bad row, with its number.
    """

    def __init__(self, path: str | Path, problems: Sequence[str]) -> None:
        self.path = str(path)
        self.problems = tuple(problems)
        super().__init__(f"{path}: " + "; ".join(problems))


class TrainingError(SoravecError, ValueError):
    """A configuration that makes no sense, or data that nothing can be learned from."""


class WorkerError(SoravecError):
    """A child process that died or overran its deadline."""


class MissingExtra(SoravecError, ImportError):
    """An optional dependency is not installed."""
