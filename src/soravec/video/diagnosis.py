"""Why a file cannot be read, judged by its first bytes and by what FFmpeg said."""

import av

from soravec.errors import EncryptedVideo, NotAllowed, UnreadableVideo, VideoError
from soravec.video.inputs import Input

_MAX_BOXES = 10_000


def explained(where: Input, error: BaseException) -> VideoError:
    """Choose our error for one that PyAV raised, looking at the first bytes of the file."""
    name = where.name
    try:
        head = where.head(64 * 1024)
    except PermissionError:
        return UnreadableVideo(name, "permission denied", "Check the permissions of the file.")
    except (OSError, ValueError) as reading:
        return UnreadableVideo(name, f"it cannot be read ({reading})", "Check the disk.")
    if _looks_encrypted(head):
        return encrypted(name)
    kind = _refused_kind(head)
    if kind is not None:
        return NotAllowed(name, f"it is {kind}, not a video file", "Give the video file itself.")
    return UnreadableVideo(name, *_cause_and_remedy(where, head, error))


def _cause_and_remedy(where: Input, head: bytes, error: BaseException) -> tuple[str, str]:
    if not head:
        return "the file is empty", "Copy or download it again."
    if isinstance(error, av.PatchWelcomeError):
        cause = "damaged, or of a version that this FFmpeg does not read yet"
        return cause, "Copy it again, or convert it with the program that wrote it."
    lack = _lack_of_mp4(where, head)
    if lack is not None:
        return lack
    said = str(getattr(error, "strerror", None) or error or type(error).__name__)
    cause = f"damaged, truncated, or not a video (FFmpeg: {said.splitlines()[0]})"
    return cause, "Play it elsewhere to check it, and copy it again."


def encrypted(name: str) -> EncryptedVideo:
    """Return the error for a protected file."""
    remedy = "Decrypt it with its owner's key first."
    return EncryptedVideo(name, "the video is encrypted", remedy)


def _looks_encrypted(head: bytes) -> bool:
    """Whether MP4 protection boxes or a Matroska encryption entry lie in the header."""
    if head[4:8] in (b"ftyp", b"styp", b"moov"):
        return any(box in head for box in (b"encv", b"sinf", b"schmcenc", b"schmcbcs", b"pssh"))
    is_matroska = head.startswith(b"\x1a\x45\xdf\xa3")
    return is_matroska and b"\x47\xe1" in head[:4096] and b"\x50\x35" in head[:4096]


def _refused_kind(head: bytes) -> str | None:
    """Name the kind of a file that is refused on purpose, by its first bytes."""
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:2048]
    if text.startswith((b"#EXTM3U", b"ffconcat", b"v=0\r\n", b"v=0\n")) or b"<MPD" in text:
        return "a playlist"
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\x00", b"MM\x00*")) or (
        head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    ):
        return "a picture"
    if head[257:262] == b"ustar":
        return "a tar"
    return None


def _lack_of_mp4(where: Input, head: bytes) -> tuple[str, str] | None:
    """Return cause and remedy where an MP4 has no index; None where that is not what is wrong."""
    if head[4:8] not in (b"ftyp", b"styp", b"moof", b"sidx", b"mdat", b"free", b"wide"):
        return None
    kinds = _boxes(where)
    if b"moov" in kinds:
        return None
    if b"moof" in kinds:
        cause = "a fragment of an MP4 without the header that belongs to it"
        return cause, "Put the initialization segment before it: cat init.mp4 part.m4s > whole.mp4"
    cause = "an MP4 without its index (moov): the recording or the download was not finished"
    return cause, "Copy it again, or have the index rebuilt by the maker's recovery tool."


def _boxes(where: Input) -> list[bytes]:
    """Return the kinds of the boxes at the top of an MP4, as far as they can be followed."""
    kinds: list[bytes] = []
    try:
        with where.open() as file:
            at = 0
            while len(kinds) < _MAX_BOXES and len(header := file.read(16)) >= 8:
                size = int.from_bytes(header[:4])
                size = int.from_bytes(header[8:16]) if size == 1 else size
                kinds.append(header[4:8])
                if size < 8:  # 0 means to the end of the file
                    break
                at += size
                file.seek(at)
    except OSError:
        pass
    return kinds
