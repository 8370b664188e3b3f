"""One measurement in a process of its own: files to frame features by one of several ways.

    python benchmarks/speed_run.py WAY --model DIR FILE... [--keyframes]

Prints one JSON object: seconds, from when everything is imported, loaded and warm, to the last
feature; and how many frames were read. `speed.py` calls it.

- soravec: `Library.add` into a new library, workers started within the time; soravec-int8: with the
  INT8 CNN of the model folder; soravec-fast: with `--fast-decode`; soravec-trusted: with
  `--trusted`, without limits and sandbox.
- torchcodec, pyav, opencv: what an engineer writes in an afternoon. One process; a thread per core
  for decoding and for PyTorch in turn, in float32; frames at the same times, those before them too
  where the CNN reads differences, scaled while they are decoded where the library can; the same CNN
  in eager PyTorch, batches of 16.
  By keyframes they read these alone; Soravec also reads a picture after each, where the CNN reads
  differences.
- limit: the same frames as Soravec's decoded, scaled and converted by plain PyAV in a process per
  core, plus the same batches through the engine in a process per core; nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

import soravec
from soravec.library.indexer import IndexOptions
from soravec.runtime.engine import open_graph
from soravec.runtime.frames import BATCH_FRAMES

CANNOT_READ = 3
"""Exit status of a way that has no decoder for the files."""
THREADS = len(os.sched_getaffinity(0))


def main():
    arguments = parse()
    precision = "int8" if arguments.way.endswith("int8") else "auto"
    encoder = soravec.load(arguments.model, precision=precision, num_threads=1)
    way = {
        "soravec": by_soravec,
        "soravec-int8": by_soravec,
        "soravec-fast": by_soravec,
        "soravec-trusted": by_soravec,
        "torchcodec": by_torchcodec,
        "pyav": by_pyav,
        "opencv": by_opencv,
        "limit": by_limit,
        "decode": by_decoding,
        "cnn": by_cnn,
    }[arguments.way]
    print(json.dumps(way(arguments, encoder)))


# Ours


def by_soravec(arguments, encoder):
    sampling = "keyframes" if arguments.keyframes else arguments.sampling
    with tempfile.TemporaryDirectory() as folder:
        library = soravec.Library(Path(folder) / "speed.library")
        began = time.perf_counter()
        options = IndexOptions(
            sampling=sampling,
            fast_decode=arguments.way.endswith("fast"),
            trusted=arguments.way.endswith("trusted"),
        )
        report = library.add(arguments.files, encoder=encoder, options=options)
        seconds = time.perf_counter() - began
        if report.failed or not report.indexed:
            raise SystemExit(f"{report.failures}")
        return {"seconds": seconds, "segments": report.segments}


# Peers


def by_torchcodec(arguments, encoder):
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    cnn = eager(arguments, encoder)
    plans = [wanted(path, arguments, encoder) for path in arguments.files]
    began = time.perf_counter()
    for path, plan in zip(arguments.files, plans, strict=True):
        decoder = VideoDecoder(
            path,
            dimension_order="NHWC",
            num_ffmpeg_threads=THREADS,
            transforms=[Resize(size_of(encoder))],
        )
        for batch in batches(plan):
            frames = decoder.get_frames_at(indices=batch).data
            cnn(dict(zip(batch, frames, strict=True)), batch)
    return {"seconds": time.perf_counter() - began, "frames": sum(map(num_frames, plans))}


def by_pyav(arguments, encoder):
    cnn = eager(arguments, encoder)
    plans = [wanted(path, arguments, encoder) for path in arguments.files]
    began = time.perf_counter()
    for path, plan in zip(arguments.files, plans, strict=True):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.thread_count = "AUTO", THREADS
            if arguments.keyframes:
                stream.codec_context.skip_frame = "NONKEY"
            decoded = enumerate(container.decode(stream))
            if arguments.keyframes:
                decoded = zip(plan.samples, container.decode(stream), strict=False)
            feed(decoded, plan, cnn, scaler(encoder))
    return {"seconds": time.perf_counter() - began, "frames": sum(map(num_frames, plans))}


def by_opencv(arguments, encoder):
    import cv2

    height, width = size_of(encoder)
    cnn = eager(arguments, encoder)
    plans = [wanted(path, arguments, encoder) for path in arguments.files]

    if not all(cv2.VideoCapture(str(path)).read()[0] for path in arguments.files):
        raise SystemExit(CANNOT_READ)

    def small(frame):
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def decoded(capture, plan):
        if arguments.keyframes:  # it knows no keyframes: it is told where they are
            for number in plan.samples:
                capture.set(cv2.CAP_PROP_POS_FRAMES, number)
                yield number, capture.read()[1]
            return
        number = 0
        while capture.grab():
            yield number, capture.retrieve()[1] if number in plan.all else None
            number += 1

    began = time.perf_counter()
    for path, plan in zip(arguments.files, plans, strict=True):
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        feed(decoded(capture, plan), plan, cnn, small)
        capture.release()
    return {"seconds": time.perf_counter() - began, "frames": sum(map(num_frames, plans))}


def eager(arguments, encoder):
    """Return the CNN in eager PyTorch: takes frames by number, and which of them are sampled."""
    import torch

    from soravec.models.export import load_encoder

    torch.set_num_threads(THREADS)
    cnn = load_encoder(encoder.folder.path).cnn.eval().to(memory_format=torch.channels_last)
    pairs = reads_pairs(arguments, encoder)

    @torch.inference_mode()
    def read(frames, batch):
        sampled = batch[-BATCH_FRAMES:] if not pairs else batch[1::2]
        before = batch[0::2] if pairs else ()
        pictures = torch.stack([torch.as_tensor(frames[n]) for n in sampled])
        if before:
            return cnn(pictures, torch.stack([torch.as_tensor(frames[n]) for n in before]))
        return cnn(pictures, pictures) if encoder.reads_differences else cnn(pictures)

    blank = np.zeros((*size_of(encoder), 3), np.uint8)
    read({0: blank, 1: blank}, [0, 1])
    return read


def feed(decoded, plan, cnn, convert):
    """Convert what is wanted of decoded frames, and pass it on in batches."""
    waiting = list(batches(plan))
    frames = {}
    for number, frame in decoded:
        if number not in plan.all:
            continue
        frames[number] = convert(frame)
        while waiting and waiting[0][-1] <= number:
            cnn(frames, waiting[0])
            frames = {number: frames[number]}
            del waiting[0]


# The limit


def by_limit(arguments, encoder):
    """Return the time of decoding in a process per core, plus that of the CNN."""
    decoding = on_every_core("decode", arguments)
    cnn = on_every_core("cnn", arguments)
    seconds = max(one["seconds"] for one in decoding) + max(one["seconds"] for one in cnn)
    return {
        "seconds": seconds,
        "decode_seconds": max(one["seconds"] for one in decoding),
        "cnn_seconds": max(one["seconds"] for one in cnn),
        "frames": sum(one["frames"] for one in decoding),
    }


def on_every_core(way, arguments):
    """Run a way on shares of the files, one process per core, and return what each says."""
    cores = len(os.sched_getaffinity(0))
    shares = [arguments.files[number::cores] for number in range(cores)]
    flags = [f"--model={arguments.model}"] + ["--keyframes"] * arguments.keyframes
    running = [
        subprocess.Popen(
            [sys.executable, __file__, way, *flags, *share], stdout=subprocess.PIPE, text=True
        )
        for share in shares
        if share
    ]
    said = [process.communicate()[0] for process in running]
    return [json.loads(one) for one in said]


def by_decoding(arguments, encoder):
    scaled = scaler(encoder)
    plans = [wanted(path, arguments, encoder) for path in arguments.files]
    began = time.perf_counter()
    for path, plan in zip(arguments.files, plans, strict=True):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            if arguments.keyframes:
                for packet in keyframes_and_next(container, stream, encoder):
                    for frame in stream.codec_context.decode(packet):
                        scaled(frame)
                continue
            for number, frame in enumerate(container.decode(stream)):
                if number in plan.all:
                    scaled(frame)
    return {"seconds": time.perf_counter() - began, "frames": sum(map(num_frames, plans))}


def keyframes_and_next(container, stream, encoder):
    """Yield packets of keyframes; where the CNN reads differences, of the pictures after them."""
    awaited = None
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.is_keyframe:
            awaited = packet.pts if encoder.reads_differences else None
            yield packet
        elif awaited is not None and packet.pts > awaited:
            awaited = None
            yield packet
    yield None


def by_cnn(arguments, encoder):
    frames = sum(num_frames(wanted(path, arguments, encoder)) for path in arguments.files)
    shape = BATCH_FRAMES, *size_of(encoder), 3
    graph = open_graph(encoder.folder.cnn_path, num_threads=1, fixed_shape=shape)
    blank = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    inputs = (
        {"frames": blank, "previous": blank} if encoder.reads_differences else {"frames": blank}
    )
    graph.run(inputs)
    began = time.perf_counter()
    for _ in range(-(-frames // BATCH_FRAMES)):
        graph.run(inputs)
    return {"seconds": time.perf_counter() - began, "frames": frames}


# What all of them read


class Plan:
    """Which frames of a file are read, by number.

    Attributes:
        samples: Those on show at the sampled instants, or the keyframes.
        pairs: Whether the frame before each is read too.
        all: Both.
    """

    def __init__(self, samples, *, pairs):
        self.samples = samples
        self.pairs = pairs
        self.all = set(samples) | ({max(n - 1, 0) for n in samples} if pairs else set())


def wanted(path, arguments, encoder):
    """Return which frames are read: found out beforehand, outside the time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size and p.pts is not None]
        time_base = stream.time_base
    stamps = sorted(packet.pts for packet in packets)
    if arguments.keyframes:
        place = {stamp: number for number, stamp in enumerate(stamps)}
        return Plan(sorted(place[p.pts] for p in packets if p.is_keyframe), pairs=False)
    step = Fraction(1) / Fraction(encoder.config.sampling.fps) / time_base
    instants = np.arange(stamps[0], stamps[-1] + 1, float(step))
    samples = np.unique(np.searchsorted(stamps, instants + 1e-6, side="right") - 1)
    return Plan(samples.tolist(), pairs=reads_pairs(arguments, encoder))


def reads_pairs(arguments, encoder):
    return encoder.reads_differences and not arguments.keyframes


def num_frames(plan):
    return len(plan.samples)


def batches(plan):
    """Yield the numbers of the frames of each batch; of pairs, before and sample in turn."""
    for begin in range(0, len(plan.samples), BATCH_FRAMES):
        part = plan.samples[begin : begin + BATCH_FRAMES]
        yield [n for sample in part for n in (max(sample - 1, 0), sample)] if plan.pairs else part


def scaler(encoder):
    """Return a function that gives a decoded frame as an array of the CNN's size."""
    height, width = size_of(encoder)
    kept = VideoReformatter()  # PyAV's own `to_ndarray(width=...)` makes a new one for each frame

    def scaled(frame):
        small = kept.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        return small.to_ndarray()

    return scaled


def size_of(encoder):
    return encoder.config.cnn.height, encoder.config.cnn.width


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="sora-mini")
    parser.add_argument("--sampling", default="uniform")
    parser.add_argument("--keyframes", action="store_true", help="read keyframes alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
