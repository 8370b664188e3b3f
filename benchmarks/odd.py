"""What becomes of files that break readers: no crash, no hang, every frame that there is.

    python benchmarks/odd.py --data DIR [--write docs/odd.md]

Each file of DIR/odd is read in a child process with a deadline: what `probe` says, how many frames
`EveryFrame` gives, with which warnings, or which error. Beside it stands what a plain loop over
PyAV gives for the same stream. Prints a Markdown table; exits with 1 if a file crashes the reader,
hangs, raises anything but an error of Soravec, or yields other frames than PyAV where PyAV decodes
all of it.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEADLINE_SECONDS = 1800.0
"""One file has 21,766 frames in 4K, which are decoded twice."""

HEAD = """# Odd files

What the reader makes of 92 real files that break readers. `frames` is what `EveryFrame` gives;
`PyAV` is what a plain loop over the same stream gives, with a `+` where it ended in an error.
Printed by `python benchmarks/odd.py --data DIR`, 2026-11-23, {versions}.

| file | what is odd | frames | PyAV | what Soravec says |
| --- | --- | --- | --- | --- |"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SORAVEC_DATA"))
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    parser.add_argument("--one", type=Path, help="examine one file and print JSON (the child)")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(examined(arguments.one)))
        return 0
    if arguments.data is None:
        parser.error("--data names no folder")
    from soravec.video import decoder_version

    lines, faults = [HEAD.format(versions=decoder_version())], []
    print(lines[0])
    for row in manifest(arguments.data / "odd"):
        result = in_child(arguments.data / "odd" / row["file"])
        lines.append(_line(row, result))
        print(lines[-1], flush=True)
        faults += [f"{row['file']}: {fault}" for fault in faults_of(result)]
    if arguments.write:
        arguments.write.write_text("\n".join(lines) + "\n")
    print("\n".join(faults) or "no faults", file=sys.stderr)
    return 1 if faults else 0


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def in_child(path: Path, *, deadline_seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
    """Return what `examined` finds, or how the child ended."""
    command = [sys.executable, __file__, "--one", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=deadline_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return {"crash": f"still running after {deadline_seconds:.0f} s"}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return {"crash": f"exit code {done.returncode} {' '.join(last)}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def examined(path: Path) -> dict[str, Any]:
    """Probe, read all frames, and count those of a plain loop over PyAV."""
    from soravec.errors import SoravecError
    from soravec.video import EveryFrame, VideoReader, probe

    result: dict[str, Any] = {"frames": 0, "warnings": []}
    try:
        probe(path)
        with VideoReader(path) as reader:
            result["stream"] = _stream_index(reader)
            last = float("-inf")
            for batch in reader.read(EveryFrame(), size=(64, 64)):
                result["frames"] += len(batch)
                for seconds in batch.seconds:
                    result["ascending"] = bool(result.get("ascending", True) and seconds > last)
                    last = float(seconds)
            result["warnings"] = list(dict.fromkeys([*reader.info.warnings, *reader.warnings]))
    except SoravecError as error:
        result["error"] = f"{type(error).__name__}: {str(error).removeprefix(f'{path}: ')}"
    result["pyav_frames"], result["pyav_error"] = _plain(path, result.get("stream"))
    return result


def _stream_index(reader: Any) -> int | None:
    """Return which stream the reader chose; None for a picture."""
    opened = getattr(reader._source, "opened", None)  # noqa: SLF001
    return None if opened is None else int(opened.stream.index)


def _plain(path: Path, index: int | None) -> tuple[int, str | None]:
    """Return how many frames PyAV gives before it ends or raises, and what it raises."""
    import av

    count = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0] if index is None else container.streams[index]
            stream.codec_context.thread_count = 1
            for _ in container.decode(stream):
                count += 1
    except (av.FFmpegError, OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        return count, type(error).__name__
    return count, None


def faults_of(result: dict[str, Any]) -> Iterator[str]:
    """Say what must not be: a crash, times that go back, or fewer or more frames than there are."""
    if "crash" in result:
        yield result["crash"]
        return
    if not result.get("ascending", True):
        yield "the times do not ascend"
    decodes_fully = result["pyav_error"] is None and result["pyav_frames"] > 0
    if decodes_fully and result["frames"] != result["pyav_frames"]:
        yield f"{result['frames']} frames, PyAV gives {result['pyav_frames']}"
    if result["frames"] < result["pyav_frames"] and not decodes_fully:
        yield f"{result['frames']} frames, PyAV gives {result['pyav_frames']} before it fails"


def _line(row: dict[str, str], result: dict[str, Any]) -> str:
    odd = ", ".join(filter(None, (row["container"], row["codec"], *row["tags"].split(";"))))
    said = result.get("crash") or result.get("error") or "; ".join(result["warnings"])
    plain = f"{result.get('pyav_frames', '')}{'+' * (result.get('pyav_error') is not None)}"
    name = "/".join(row["file"].split("__")[-2:])
    cells = (name, odd, str(result.get("frames", "")), plain, said)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
