"""Write docs/performance.md, its plots and the README's table from `benchmarks/results/*.json`.

Nothing is measured here: `make bench` runs the scripts that write those files, then this.

    python benchmarks/performance.py
"""

import argparse
import json
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
import numpy as np

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"
README = ROOT / "README.md"
BEGIN, END = "<!-- speed: benchmarks/performance.py -->", "<!-- /speed -->"
PEERS = {"torchcodec": "torchcodec", "pyav": "PyAV", "opencv": "OpenCV"}
COLOURS = {
    "soravec": "#1b6ca8",
    "limit": "#b9c6d0",
    "torchcodec": "#d98b3a",
    "pyav": "#c9a66b",
    "opencv": "#d9cfc0",
}

plt.rcParams["svg.hashsalt"] = "soravec"  # the same file for the same figures

HEAD = """# Performance

The tables and plots on this page are written by `benchmarks/performance.py` from the files in
`benchmarks/results/`, which `make bench` makes: edit neither. Each measurement is a process of its
own; what is compared takes turns in one run; medians. The page says what the limit of the machine is
and how far from it Soravec stays.

"""

INDEXING = """## From file to stored row

How many times faster than real time `Library.add` is: decoding, cuts, frames just before the sampled
ones (the bundled CNN reads differences; of keyframes, those soon after), CNN, RNN, catalogue and
vectors on disk, by supervised workers, their start included. The peers are what an engineer writes
in an afternoon: the same frames decoded by a thread per core, scaled while decoding where the library
can, the same CNN in eager PyTorch, float32, in batches of 16; no cuts, no vectors of segments, nothing
stored; by keyframes, nothing but these. Soravec's engine computes in bfloat16 where the processor can,
as it does by default. The **limit** is the same frames decoded, scaled and converted by plain PyAV, a
process per core, plus the same batches through the engine, a process per core, and nothing else. It
decodes every picture, as the peers do: Soravec may pass it where many pictures are asked for by nobody
and no other leans on them ([video](video.md)).

Files are drawn, 25 frames/s, a scene of 6 s after the other under a moving camera; one file per core,
for keyframes alone three per core. The start of the workers, of LanceDB and of the engine is in
Soravec's time and not in the others', so that shorter work comes less near to the limit.

"""


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    IMAGES.mkdir(exist_ok=True)
    parts = [HEAD]
    sections = {
        "speed": indexing,
        "resnet50": larger,
        "cnn": arithmetic,
        "eight_bits": eight_bits,
        "fast": fast,
        "shortcuts": shortcuts,
        "search": searching,
        "growth": growing,
        "training": training,
        "start": starting,
    }
    for name, section in sections.items():
        if name in found:
            parts.append(section(found[name]))
    PAGE.write_text("".join(parts))
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + "\n" + summary(found) + END + rest.split(END)[1])


def indexing(facts):
    """Return the section on indexing, and draw it."""
    lines = [measured_on(facts), table_head("", "Soravec", *PEERS.values(), "limit")]
    for row in facts["rows"]:
        speeds = row["times_real_time"]
        ours = speeds["soravec"]
        others = [
            f"{speeds[peer]:.0f} ({ours / speeds[peer]:.1f}x)" if peer in speeds else "cannot"
            for peer in PEERS
        ]
        share = f"{speeds['limit']:.0f} ({ours / speeds['limit']:.0%})"
        lines.append(line(f"{row['corpus']}: {row['sampling']}", f"{ours:.0f}", *others, share))
    lines.append(
        "\nTimes real time; in brackets how many times as fast Soravec is, and what share of the"
        " limit it reaches.\n\n![The same as bars](images/speed.svg)\n\n"
    )
    bars(facts["rows"], IMAGES / "speed.svg")
    return INDEXING + "\n".join(lines)


def bars(rows, path):
    """Draw the speeds of every kind of file, uniform and by keyframes."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 5))
    for axis, sampling in zip(axes, ("uniform", "keyframes"), strict=True):
        chosen = [row for row in rows if row["sampling"] == sampling]
        for place, (way, colour) in enumerate(COLOURS.items()):
            heights = np.arange(len(chosen)) + (place - 2) * 0.16
            values = [row["times_real_time"].get(way, 0) for row in chosen]
            axis.barh(heights, values, 0.15, color=colour, label=way)
        axis.set_yticks(range(len(chosen)), [row["corpus"] for row in chosen], fontsize=8)
        axis.set_xscale("log")
        axis.set_xlabel("times real time")
        axis.set_title("2 frames/s" if sampling == "uniform" else "keyframes alone")
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, path)


def larger(facts):
    """Return the section on a large CNN."""
    row = facts["rows"][0]
    speeds = row["times_real_time"]
    base = speeds["torchcodec"]
    lines = [
        "## A large CNN, and INT8\n\nResNet-50 (random weights: speed does not ask what they are),"
        f" {row['corpus']}. INT8 is made on request, `soravec models quantize MODEL -o DIR`, and"
        " taken on request, `--precision int8`: never by itself. A CNN whose features have a median"
        " cosine under 0.99 with those in float32 is refused; the bundled one is (its separable"
        " convolutions come out wrong in OpenVINO's INT8, and would be no faster).\n",
        measured_on(facts),
        table_head("", "times real time", "of torchcodec + eager PyTorch"),
    ]
    lines += [
        line(way, f"{speed:.1f}", f"{speed / base:.1f}x")
        for way, speed in sorted(speeds.items(), key=lambda item: -item[1])
    ]
    return "\n".join(lines) + "\n\n"


def arithmetic(facts):
    """Return the section on how near to the processor the engine runs a large CNN."""
    speed = {(row["way"], row["threads"]): row["images_per_second"] for row in facts["rows"]}
    most = max(threads for _, threads in speed)
    eager = speed["eager PyTorch", most]
    lines = [
        "The CNN alone, pictures per second, and how many times eager PyTorch with as many threads:\n",
        measured_on(facts),
        table_head("", "one thread", f"{most} threads", "of eager PyTorch", "in convolutions"),
    ]
    for way in ("float32", "bfloat16", "int8", "eager PyTorch"):
        shares = [row.get("convolutions") for row in facts["rows"] if row["way"] == way]
        share = f"{shares[0]:.0%}" if shares[0] is not None else ""
        ratio = f"{speed[way, most] / eager:.1f}x"
        lines.append(line(way, f"{speed[way, 1]:.1f}", f"{speed[way, most]:.1f}", ratio, share))
    one = speed["float32", 1]
    lines.append(
        f"\nIn one thread bfloat16 is {speed['bfloat16', 1] / one:.1f} times as fast as float32 and"
        f" INT8 {speed['int8', 1] / one:.1f} times, where the processor's instructions do 2 and 4"
        " times as much, and next to all of the time is convolutions: what is left to win here is"
        " little, on a processor of this kind. Decoding comes on top of both sides, which is why"
        " the whole gains less than the CNN.\n\n"
    )
    return "\n".join(lines)


def eight_bits(facts):
    """Return the section on what INT8 costs."""
    lines = [
        "What INT8 costs CNNs that have learnt ImageNet, calibrated on generated video in the same"
        " way (`benchmarks/eight_bits.py`; mAP on the 200 clips of `actions`; one thread):\n",
        measured_on(facts),
        table_head("", "mAP, bfloat16", "INT8", "lost", "pictures/s", "INT8"),
    ]
    for row in facts["rows"]:
        precision = (f"{value:.3f}" for value in row["precision"])
        rates = (f"{rate:.0f}" for rate in row["pictures_per_second"])
        lines.append(
            line(row["name"], *precision, "{:.3f} [{:.3f}, {:.3f}]".format(*row["lost"]), *rates)
        )
    return "\n".join(lines) + "\n\n"


def fast(facts):
    """Return the section on fast decoding."""
    lines = [
        "## `--fast-decode`\n\nLeaves out the decoder's smoothing over the edges of blocks"
        " (`skip_loop_filter=all`): pixels drift a little, until the next keyframe. Off by default:"
        " what it gives is less than what a low bit rate may lose.\n",
        measured_on(facts),
        table_head("", "plain", "fast", "gain"),
    ]
    for row in facts["rows"]:
        speeds = row["times_real_time"]
        plain, quick = speeds["soravec"], speeds["soravec-fast"]
        lines.append(line(row["corpus"], f"{plain:.0f}", f"{quick:.0f}", f"{quick / plain:.2f}x"))
    return "\n".join(lines) + "\n\n"


def shortcuts(facts):
    """Return the section on what is lost by reading less."""
    lines = [
        "## What reading less loses\n\n200 clips of UCF101, encoded anew in H.264; vectors read in"
        " the short way beside those of the same file read whole at 2 frames/s"
        " (`benchmarks/shortcuts.py`). With each keyframe goes a picture soon after it, so that there"
        " is motion, if of fewer instants. `--sampling auto` reads keyframes alone where they lie at most 2 s apart; where"
        " every picture is a keyframe (Motion JPEG, ProRes, DV) it decodes only the sampled ones"
        " and those before them, if the file has an index; else everything. The recipe of every"
        " video says what was chosen and why.\n",
        measured_on(facts),
        table_head(
            "", "cosine of appearance", "5 % below", "mAP of appearance", "mAP of the whole", "lost"
        ),
    ]
    for row in facts["rows"]:
        lines.append(
            line(
                row["name"],
                *(f"{cosine:.4f}" for cosine in row["cosine"]),
                "{:.3f} to {:.3f}".format(*row["looks"]),
                "{:.3f} to {:.3f}".format(*row["whole"]),
                "{:.3f} [{:.3f}, {:.3f}]".format(*row["lost"]),
            )
        )
    return "\n".join(lines) + "\n\n"


def searching(facts):
    """Return the section on search, and draw it."""
    lines = [
        "## Search\n\nA library's ten best moments, with scores in two parts, paths and times, beside"
        " the ten nearest rows of bare LanceDB and FAISS (`benchmarks/speed_search.py`). Soravec's"
        " index has about the square root of the rows in each partition and looks into 15 % of them;"
        " LanceDB has the same partitions and, as FAISS its own, looks into as few of them as find"
        " what Soravec finds on other queries, tuned anew for every share of the videos that may"
        " answer. LanceDB scans the allowed rows where that is quicker.\n",
        measured_on(facts),
        table_head("segments", "may answer", "", "p50, ms", "p99, ms", "recall@10"),
    ]
    for row in facts["rows"]:
        lines.append(
            line(
                f"{row['segments']:,}",
                f"{row['share']:.0%}",
                row["way"],
                f"{row['p50_ms']:.1f}",
                f"{row['p99_ms']:.1f}",
                f"{row['recall']:.3f}",
            )
        )
    return "\n".join(lines) + "\n\n"


def growing(facts):
    """Return the section on growth, and draw it."""
    lines = [
        "## Growth\n\nThe exponents of powers fitted to time and peak memory"
        " (`benchmarks/speed_growth.py`); *at the end* is that between the two largest sizes, where"
        " what is paid once hides nothing.\n",
        measured_on(facts),
        table_head("", "sizes", "seconds", "time", "at the end", "peak, MiB", "memory"),
    ]
    figure, axes = plt.subplots(1, len(facts["rows"]), figsize=(12, 3))
    for axis, row in zip(axes, facts["rows"], strict=True):
        peaks = row["peak_bytes"]
        lines.append(
            line(
                row["name"],
                " ".join(f"{size:,}" for size in row["sizes"]),
                " ".join(f"{seconds:.3g}" for seconds in row["seconds"]),
                f"{row['time_exponent']:.2f}",
                f"{row['last_time_exponent']:.2f}",
                " ".join(f"{peak / 2**20:.0f}" for peak in peaks),
                f"{row['memory_exponent']:.2f}" if peaks else "",
            )
        )
        axis.loglog(row["sizes"], row["seconds"], "o-", color=COLOURS["soravec"])
        axis.set_title(row["name"], fontsize=8)
        axis.set_ylabel("seconds")
    save(figure, IMAGES / "growth.svg")
    return "\n".join(lines) + "\n\n![Seconds by size](images/growth.svg)\n\n"


def training(facts):
    """Return the section on training."""
    steps = {name: median(seconds) for name, seconds in facts["step_seconds"].items()}
    cached, whole = steps["from the cache"], steps["end to end"]
    return (
        f"## Training\n\nA step of {facts['batch']} clips of {facts['clip_seconds']} s"
        f" (`benchmarks/speed_training.py`): {cached * 1000:.0f} ms from cached features,"
        f" {whole * 1000:.0f} ms where it decodes, runs the CNN and trains its last stage:"
        f" {whole / cached:.0f} times.\n\n" + measured_on(facts) + "\n"
    )


def starting(facts):
    """Return the section on the time that a fresh process takes."""
    seconds = {name: median(times) for name, times in facts["seconds"].items()}
    lines = [
        "## A fresh process\n\n`benchmarks/speed_start.py`; beside it the time that starting LanceDB"
        " and the engine alone takes.\n",
        measured_on(facts),
        table_head("", "seconds"),
    ]
    lines += [line(name, f"{value:.2f}") for name, value in seconds.items()]
    search = seconds["soravec search --video"] / seconds["LanceDB and engine alone"]
    return "\n".join(lines) + f"\n\nA first search takes {search:.2f} times that start alone.\n\n"


def summary(found):
    """Return the README's table."""
    facts = found["speed"]
    lines = [
        f"Times real time on {facts['machine']['cores']} cores ({facts['machine']['processor']},"
        f" {facts['date']}; [how](docs/performance.md)), everything stored, beside the same CNN and"
        " frames in eager PyTorch behind the fastest decoder, and beside the machine's limit:\n",
        table_head("", "Soravec", "best peer", "limit"),
    ]
    for row in facts["rows"]:
        speeds = row["times_real_time"]
        best = max(PEERS.keys() & speeds.keys(), key=speeds.get)
        sampling = "2 frames/s" if row["sampling"] == "uniform" else "`--sampling keyframes`"
        ours = speeds["soravec"]
        lines.append(
            line(
                f"{row['corpus']}: {sampling}",
                f"{ours:.0f}",
                f"{speeds[best]:.0f} ({PEERS[best]}; {ours / speeds[best]:.1f}x)",
                f"{speeds['limit']:.0f} ({ours / speeds['limit']:.0%})",
            )
        )
    return "\n".join(lines) + "\n"


def measured_on(facts):
    """Return on what it was measured, and when."""
    machine = facts["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"*{machine['cores']} cores of {machine['processor']}, {facts['date']}; {versions}.*\n"


def table_head(*cells):
    return line(*cells) + "\n" + line(*("---" for _ in cells))


def line(*cells):
    return "| " + " | ".join(cells) + " |"


def save(figure, path):
    """Write a plot, the same for the same figures."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    text = path.read_text()
    path.write_text("\n".join(part.rstrip() for part in text.splitlines()) + "\n")


if __name__ == "__main__":
    main()
