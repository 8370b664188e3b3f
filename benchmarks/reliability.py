"""Write docs/reliability.md from `benchmarks/results/hostile.json` and `sandbox.json`.

Nothing is tested here: `make hostile` runs the tests that write the first, `make bench` the second.

    python benchmarks/reliability.py
"""

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "reliability.md"

HEAD = """# Reliability

What was done to Soravec, how often, and how often a promise of [SECURITY.md](../SECURITY.md) was broken.
Written by `benchmarks/reliability.py` from what `make hostile` counts: edit neither. The generators are
seeded, so that a case has a number and comes back. In CI a shorter form runs with every change. Dates and
numbers of cases tell which form a row is of: the long one has 20,000 mutated files and 300 kills. Each row
names the commit that was tried.

"""

WHAT = {
    "mutated media": "bit flips, truncation, boxes and elements that lie, splices; 25 kinds of file",
    "sound media": "the same files before they are mutated: all must be read",
    "bombs": "pixels, frame rates, tracks, samples, times and compressed headers beyond all measure",
    "streams that never end": "devices, pipes, a server that does not stop",
    "playlists, scripts and names": "HLS, DASH, concat, SDP, QuickTime references, names with protocols",
    "SSRF: forms of private addresses": "decimal, octal, mapped, translated, special ranges",
    "SSRF: redirects, rebinding, proxies, passwords": "and a public address that must be reached",
    "names that lead elsewhere": "members of tars, links, models",
    "archives that are bombs": "sizes that lie, many members, names without end",
    "odd real files through the sandbox": "as many frames and the same features as without it",
    "faults of children among sound files": "SIGSEGV, abort, hang, loop, memory, descriptors",
    "kill -9 of the process tree": "while adding, forgetting, repairing, optimising and indexing",
    "disk full": "from any change on",
    "I/O errors": "from any change on",
    "read-only": "from the beginning, or from any change on",
    "power loss": "unsynced writes dropped at any change, names kept or dropped",
    "one writer, eight readers": "what a reader sees is whole",
    "answers of children": "each part replaced by what it must not be",
    "properties: manifests": "",
    "properties: configs": "of models and of training",
    "properties: model folders": "with the right sums",
    "properties: ONNX and safetensors": "",
    "properties: queries": "words, identities and filters",
    "privacy: forget": "words, identity, vector and features, looked for in every byte of the folder",
    "privacy: passwords in URLs": "in results, catalogue, logs and output",
}


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    facts = json.loads((RESULTS / "hostile.json").read_text())
    machine = facts["machine"]
    lines = [
        f"*{machine['cores']} cores, {machine['system']}, Python {machine['python']}.*\n",
        "| test | cases | broken | date | commit |",
        "| --- | --- | --- | --- | --- |",
    ]
    tests = sorted(facts["tests"], key=lambda name: (*WHAT, name).index(name))
    for name in tests:
        found = facts["tests"][name]
        what = f": {WHAT[name]}" if WHAT.get(name) else ""
        lines.append(
            f"| {name}{what} | {found['cases']:,} | {found['violations']} | {found['date']} |"
            f" {found['commit']} |"
        )
    lines.append("\n## What became of the cases\n")
    for name in tests:
        if facts["tests"][name]["facts"]:
            told = sorted(facts["tests"][name]["facts"].items(), key=lambda fact: -fact[1])
            lines.append(f"- **{name}**: " + "; ".join(f"{fact} {n:,}" for fact, n in told))
    PAGE.write_text(HEAD + "\n".join(lines) + "\n" + sandbox())


def sandbox():
    """Return what the sandbox costs."""
    path = RESULTS / "sandbox.json"
    if not path.exists():
        return ""
    lines = [
        "\n## What the sandbox costs\n",
        "`index` of clean files beside `index --trusted`, taking turns in one run; medians.\n",
        "| files | with | without | ratio of speeds |",
        "| --- | --- | --- | --- |",
    ]
    for row in json.loads(path.read_text())["rows"]:
        speeds = row["times_real_time"]
        ours, free = speeds["soravec"], speeds["soravec-trusted"]
        name = f"{row['corpus']}: {row['sampling']}"
        lines.append(f"| {name} | {ours:.0f}x real time | {free:.0f}x | {ours / free:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
