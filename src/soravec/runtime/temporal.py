"""The reading in time: features of frames to vectors of segments."""

import numpy as np
from numpy.typing import NDArray

from soravec.errors import ModelError
from soravec.runtime.engine import EngineName, Graph, open_graph
from soravec.runtime.folder import ModelFolder
from soravec.runtime.frames import features_of_segment, frames_of_segment, running_inputs
from soravec.runtime.vectors import compose, normalise
from soravec.types import FrameFeatures

Float = NDArray[np.float32]

BATCH_SEGMENTS = 32
BATCH_LOOKS = 1024
"""Frames whose appearance alone is asked for."""


class TemporalModel:
    """The projection and the temporal model of a model folder; loaded when it is first run.

    Args:
        folder: The model.
        engine: What runs it, always in float32.
        num_threads: Threads of one run; None means every core this process may use.
    """

    def __init__(self, folder: ModelFolder, *, engine: EngineName, num_threads: int | None) -> None:
        self._folder = folder
        self._config = folder.config
        self._engine: EngineName = engine
        self._num_threads = num_threads
        self._graph: Graph | None = None

    def segment_vectors(
        self,
        features: FrameFeatures,
        bounds: NDArray[np.float64],
        *,
        still: bool,
        is_followed: bool = False,
    ) -> Float:
        """Return the vectors (S, D) of segments; the model starts from zero at each.

        Args:
            features: Of the frames of one video.
            bounds: (S, 2) seconds.
            still: Whether frames are too far apart to tell of motion: that part is then zero.
            is_followed: Whether each frame is read with a picture after it: then also one frame
                tells of motion, and the first of a segment has a difference of its own.
        """
        members = [frames_of_segment(features.seconds, start, end) for start, end in bounds]
        appearance, motion = [], []
        for begin in range(0, len(members), BATCH_SEGMENTS):
            part = members[begin : begin + BATCH_SEGMENTS]
            looks, moves = self._read_segments(features, part, own_difference=is_followed)
            appearance.append(looks)
            motion.append(moves)
        moving = np.concatenate(motion)
        for row, (frames, start) in enumerate(zip(members, bounds[:, 0], strict=True)):
            is_told = is_followed and features.seconds[frames[0]] >= start
            if still or (len(frames) < 2 and not is_told):
                moving[row] = 0
        weight = self._config.temporal.motion_weight
        return compose(np.concatenate(appearance), moving, weight)

    def running_vectors(self, features: FrameFeatures) -> Float:
        """Return the vector (T, D) at every frame: its looks, and what the RNN has read by then.

        The state is carried from the first frame to the last. At a cut the RNN is told of a first
        frame (`running_inputs`), and remembers or forgets as it has learned to.

        Raises:
            ModelError: The model reads whole segments, and keeps no state.
        """
        if not self._config.temporal.streaming:
            raise ModelError(
                f"{self._config.name}: its {self._config.temporal.kind} reads whole segments and"
                " keeps no state from frame to frame"
            )
        values, elapsed = running_inputs(features, self._config.cnn.parts)
        looks, moves, state = [], [], None
        for begin in range(0, len(features), BATCH_LOOKS):
            part = values[None, begin : begin + BATCH_LOOKS].astype(np.float32)
            waited = elapsed[None, begin : begin + BATCH_LOOKS]
            run = self.run(part, waited, np.ones_like(waited), state)
            looks.append(normalise(run["appearance"][0]))
            moves.append(normalise(run["reading"][0]))
            state = run["new_state"]
        weight = self._config.temporal.motion_weight
        return compose(np.concatenate(looks), np.concatenate(moves), weight)

    def frame_looks(self, features: NDArray[np.float16]) -> Float:
        """Return the appearance (T, A) of frames from their features (T, C), unit length."""
        looks = np.empty((len(features), self._config.temporal.appearance_dim), np.float32)
        for begin in range(0, len(features), BATCH_LOOKS):
            part = features[begin : begin + BATCH_LOOKS].astype(np.float32)
            rows = len(part)
            ones = np.ones((rows, 1), np.float32)
            run = self.run(part[:, None], np.zeros_like(ones), ones)
            looks[begin : begin + rows] = normalise(run["appearance"][:, 0])
        return looks

    def _read_segments(
        self,
        features: FrameFeatures,
        members: list[NDArray[np.int64]],
        *,
        own_difference: bool,
    ) -> tuple[Float, Float]:
        """Return appearance (S, A) and motion (S, M) of one batch of segments, unit length."""
        longest = max(len(frames) for frames in members)
        inputs = np.zeros((len(members), longest, self._config.cnn.feature_dim), np.float32)
        elapsed = np.zeros((len(members), longest), np.float32)
        mask = np.zeros((len(members), longest), np.float32)
        for row, frames in enumerate(members):
            parts = self._config.cnn.parts
            values = features_of_segment(
                features.features, frames, parts, own_difference=own_difference
            )
            inputs[row, : len(frames)] = values
            elapsed[row, 1 : len(frames)] = np.diff(features.seconds[frames])
            mask[row, : len(frames)] = 1
        readings = self.run(inputs, elapsed, mask)
        appearance = normalise((readings["appearance"] * mask[:, :, None]).sum(axis=1))
        return appearance, readings["motion"]

    def run(
        self, features: Float, elapsed_seconds: Float, mask: Float, state: Float | None = None
    ) -> dict[str, Float]:
        """Return one run of projection and temporal model.

        Args:
            features: (B, T, C).
            elapsed_seconds: (B, T) seconds since the previous frame, 0 at a segment's first.
            mask: (B, T), 1 for a frame, 0 for padding, which stands at the end only.
            state: (L, B, S) from an earlier run of a streaming model; None starts from zero.

        Returns:
            `appearance` (B, T, A) and `motion` (B, M); from a streaming model also `reading`
            (B, T, M) and `new_state` (L, B, S).
        """
        temporal = self._config.temporal
        if self._graph is None:
            self._graph = open_graph(
                self._folder.temporal_path,
                engine=self._engine,
                precision="float32",
                num_threads=self._num_threads,
            )
        inputs = {"features": features, "elapsed_seconds": elapsed_seconds, "mask": mask}
        if temporal.streaming:
            width = temporal.hidden_dim * (2 if temporal.kind == "lstm" else 1)
            zero = np.zeros((temporal.num_layers, len(features), width), np.float32)
            inputs["state"] = zero if state is None else state
        elif state is not None:
            raise ModelError(
                f"{self._config.name}: its {temporal.kind} reads whole segments, not a stream"
            )
        return self._graph.run(inputs)
