"""Video to vectors: decode, CNN, RNN, without PyTorch."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soravec.errors import ModelError, QueryError, UnreadableVideo
from soravec.runtime.engine import EngineName, Graph, Precision, open_graph
from soravec.runtime.folder import ModelFolder, find_model
from soravec.runtime.frames import BATCH_FRAMES, fixed_batches
from soravec.runtime.heads import Head, read_head
from soravec.runtime.sampling import Choice, Sampling, choose_sampling
from soravec.runtime.sketches import Sketched, joined, sketch
from soravec.runtime.temporal import TemporalModel
from soravec.runtime.vectors import mean_vector
from soravec.types import (
    Classification,
    Embedding,
    FrameFeatures,
    Frames,
    Segment,
    Shots,
    VideoInfo,
)
from soravec.video import (
    LIMITS,
    AllowUrls,
    AtRate,
    AtSeconds,
    Keyframes,
    Limits,
    Place,
    VideoReader,
    VideoSource,
    find_place,
    picture_info,
    plan_segments,
    read_image,
)

Float = NDArray[np.float32]

IMAGE_SECONDS = 1.0
"""Nominal length of the one segment of a still picture."""

logger = logging.getLogger(__name__)


def load(
    name: str | Path = "sora-mini",
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    num_threads: int | None = None,
) -> "Encoder":
    """Return a model, ready to embed.

    Args:
        name: A bundled model, a model folder, or a hub id `owner/name`.
        engine: `auto`, `openvino` or `onnxruntime`.
        precision: Of the CNN: `auto`, `float32`, `bfloat16`, or `int8` where the folder has such a
            CNN (`soravec models quantize`). The RNN is always float32.
        num_threads: Threads of the CNN; None means every core this process may use.

    Raises:
        ModelError: There is no such model, or it is damaged.
    """
    return Encoder(find_model(name), engine=engine, precision=precision, num_threads=num_threads)


class Encoder:
    """A loaded model: `embed` for a vector, `read` and `embed_features` for its two halves."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        engine: EngineName = "auto",
        precision: Precision = "auto",
        num_threads: int | None = None,
    ) -> None:
        self.folder = folder
        self.config = folder.config
        self.engine: EngineName = engine
        self.precision: Precision = precision
        self.num_threads = num_threads
        self._cnn_path = folder.int8_path if precision == "int8" else folder.cnn_path
        self._cnn: Graph | None = None
        self._temporal = TemporalModel(folder, engine=engine, num_threads=num_threads)

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.config.name

    @property
    def feature_id(self) -> str:
        """Identity of CNN weights and preprocessing."""
        return self.config.feature_id

    @property
    def space_id(self) -> str:
        """Identity of the space: only vectors of equal `space_id` may be compared."""
        return self.config.space_id

    @property
    def dim(self) -> int:
        """Length D of a vector."""
        return self.config.dim

    @property
    def reads_differences(self) -> bool:
        """Whether the CNN also reads how a frame differs from the one before it."""
        return self.config.cnn.motion != "none"

    @property
    def running(self) -> tuple[str, str]:
        """Engine and precision of the CNN; empty texts until it has run."""
        return (self._cnn.engine, self._cnn.precision) if self._cnn else ("", "")

    def embed(
        self,
        source: VideoSource | Place,
        *,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        sampling: Sampling = "uniform",
        allow_urls: AllowUrls = False,
        fps: float | None = None,
        fast_decode: bool = False,
        limits: Limits = LIMITS,
    ) -> Embedding:
        """Return a video, or a span of it, as vectors.

        Args:
            source: A path (also `clips.tar/clip.mp4`, a picture or a folder of frames), bytes, a
                binary file object, or a URL.
            start_seconds: Where the span begins; None means the beginning.
            end_seconds: Where it ends; None means the end.
            sampling: `uniform` reads at the model's rate; `keyframes` decodes nothing else (for a
                CNN that reads differences, also a picture after each), is many times faster and
                knows cuts only approximately; `auto` takes what suits the file.
            allow_urls: Whether http and https URLs are opened; "private": also of private networks.
            fps: Frames per second of a folder of frames; None for what it states, else 25.
            fast_decode: Leave out the decoder's smoothing over the edges of blocks.
            limits: What is refused.

        Raises:
            VideoError: The file cannot be used; the message says why and what to do.
        """
        features = self.read(
            source,
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            sampling=sampling,
            allow_urls=allow_urls,
            fps=fps,
            fast_decode=fast_decode,
            limits=limits,
        )
        return self.embed_features(features)

    def classify(
        self,
        source: VideoSource | Place,
        *,
        head: str | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        allow_urls: AllowUrls = False,
        fps: float | None = None,
    ) -> Classification:
        """Return what a video, or a span of it, is called, whole and segment by segment.

        Args:
            source: What to read, as for `embed`.
            head: The name of one of the model's heads; None means its only one beside the tags.
            start_seconds: Where the span begins; None means the beginning.
            end_seconds: Where it ends; None means the end.
            allow_urls: Whether http and https URLs are opened; "private": also of private networks.
            fps: Frames per second of a folder of frames; None for what it states, else 25.

        Raises:
            ModelError: The model has no such head.
            VideoError: The file cannot be used.
        """
        chosen = self.head(head)
        embedding = self.embed(
            source,
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            allow_urls=allow_urls,
            fps=fps,
        )
        return chosen.classify(embedding)

    def head(self, name: str | None = None) -> Head:
        """Return one of the model's heads; None means its only one beside the tags.

        Raises:
            ModelError: There is no such head, or several to choose from.
        """
        return read_head(self.folder.path, name)

    def sampled(
        self, *, fps: float | None = None, segment_seconds: float | None = None
    ) -> "Encoder":
        """Return the same model, reading at another rate or in other segments."""
        given = {"fps": fps, "segment_seconds": segment_seconds}
        wanted = {name: value for name, value in given.items() if value is not None}
        config = replace(self.config, sampling=replace(self.config.sampling, **wanted))
        return Encoder(
            replace(self.folder, config=config),
            engine=self.engine,
            precision=self.precision,
            num_threads=self.num_threads,
        )

    def embed_image(self, path: str | Path, *, limits: Limits = LIMITS) -> Embedding:
        """Return a still picture as an embedding of one segment, its motion part zero.

        Args:
            path: The picture.
            limits: What is refused.

        Raises:
            VideoError: The file cannot be used.
        """
        size = self.config.cnn.height, self.config.cnn.width
        frames = read_image(path, size=size, fit=self.config.cnn.fit, limits=limits)
        info = picture_info(path, frames, seconds=IMAGE_SECONDS)
        features = FrameFeatures(
            features=self.features(frames),
            seconds=frames.seconds,
            shots=Shots(np.array([[0.0, IMAGE_SECONDS]])),
            info=info,
            feature_id=self.feature_id,
            recipe=self._recipe(None),
            **sketch(frames.images)._asdict(),
        )
        return self.embed_features(features)

    def read(  # noqa: PLR0913  # one for each thing that reading leaves open
        self,
        source: VideoSource | Place,
        *,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        sampling: Sampling = "uniform",
        allow_urls: AllowUrls = False,
        fps: float | None = None,
        fast_decode: bool = False,
        limits: Limits = LIMITS,
        on_progress: Callable[[VideoInfo, float], None] | None = None,
    ) -> FrameFeatures:
        """Return the CNN's reading of a video: one pass of decoding, cuts included.

        Args:
            source: What to read, as for `embed`.
            start_seconds: Where the span begins; None means the beginning.
            end_seconds: Where it ends; None means the end.
            allow_urls: Whether http and https URLs are opened; "private": also of private networks.
            fps: Frames per second of a folder of frames; None for what it states, else 25.
            fast_decode: Leave out the decoder's smoothing over the edges of blocks: faster, and
                pixels differ a little. The recipe says so.
            limits: What is refused.
            sampling: `uniform`, `keyframes`, or `auto`, which chooses by the file
                (`choose_sampling`); the recipe says what and why.
            on_progress: Called with the file's facts and the PTS reached, after every batch.

        Raises:
            VideoError: The file cannot be used.
            QueryError: The span holds no frame.
        """
        features = bytearray()  # grows in place: of a long file this is most of the memory
        seconds: list[NDArray[np.float64]] = []
        sketched: list[Sketched] = []
        is_followed = False
        place = find_place(source, allow_urls=allow_urls)
        choice = choose_sampling(place, sampling, limits=limits)
        is_uniform = choice.sampling == "uniform"
        reader = partial(VideoReader, place, limits=limits, fps=fps, fast_decode=fast_decode)
        # A keyframe before another is no neighbour: the picture after it is.
        keyframes = Keyframes(with_following=self.reads_differences)
        with reader() as video:
            stream = video.read(
                AtRate(self.config.sampling.fps) if is_uniform else keyframes,
                size=(self.config.cnn.height, self.config.cnn.width),
                fit=self.config.cnn.fit,
                batch_size=BATCH_FRAMES,
                start_seconds=start_seconds,
                end_seconds=end_seconds,
                with_previous=self.reads_differences and is_uniform,
                stand_alone=choice.stand_alone,
            )
            for frames in stream:
                features += self.features(frames).tobytes()
                seconds.append(frames.seconds)
                sketched.append(sketch(frames.images))
                is_followed = is_followed or frames.following is not None
                if on_progress is not None:
                    on_progress(video.info, float(frames.seconds[-1]))
            if not features and start_seconds is None and end_seconds is None:
                cause, remedy = "not one frame could be decoded", "Copy or download it again."
                raise UnreadableVideo(video.info.path, cause, remedy)
            if not features:
                raise QueryError(
                    f"{video.info.path}: no frame between {start_seconds} and {end_seconds}"
                    f" seconds. Its length: 'soravec probe {video.info.path}'."
                )
            shape = -1, self.config.cnn.feature_dim
            result = FrameFeatures(
                features=np.frombuffer(features, np.float16).reshape(shape),
                seconds=np.concatenate(seconds),
                shots=video.shots,
                info=_with_warnings(video),
                feature_id=self.feature_id,
                recipe=self._recipe(choice, fast_decode=fast_decode, is_followed=is_followed),
                **joined(sketched)._asdict(),
            )
        if not is_uniform:
            return result
        return self._with_missing_middles(reader, result, stand_alone=choice.stand_alone)

    def open(self) -> None:
        """Load and compile the CNN, which is done at its first use else."""
        if self._cnn is None:
            shape = BATCH_FRAMES, self.config.cnn.height, self.config.cnn.width, 3
            self._cnn = open_graph(
                self._cnn_path,
                engine=self.engine,
                precision=self.precision,
                num_threads=self.num_threads,
                fixed_shape=shape,
            )

    def features(self, frames: Frames) -> NDArray[np.float16]:
        """Return the features (T, C) float16 of frames that have the model's input size.

        A CNN that reads differences is given the pictures before the frames; of keyframes, those
        after them, and the keyframes as what was before. Other frames stand still.
        """
        self.open()
        images, previous = frames.images, frames.previous
        if self.reads_differences and frames.following is not None:
            images, previous = frames.following, frames.images
        batches = [fixed_batches(images)]
        if self.reads_differences:
            batches.append(fixed_batches(images if previous is None else previous))
        parts = [self._run_cnn(*pair) for pair in zip(*batches, strict=True)]
        features = np.concatenate(parts)[: len(frames)]
        if not np.isfinite(features).all():
            raise ModelError(
                f"{self._cnn_path}: gave a feature that is not finite, or beyond float16."
                " Try precision float32; if that gives it too, the model is damaged."
            )
        return features

    def embed_features(self, features: FrameFeatures) -> Embedding:
        """Return the vectors of a video from its features, decoding nothing.

        Raises:
            ModelError: The features are those of another CNN.
        """
        bounds = plan_segments(features.shots, self.config.sampling.segment_seconds)
        vectors = self.span_vectors(features, bounds)
        segments = tuple(
            Segment(float(start), float(end), vector, features.shots.approximate)
            for (start, end), vector in zip(bounds, vectors, strict=True)
        )
        return Embedding(
            path=features.info.path,
            vector=mean_vector(vectors, bounds[:, 1] - bounds[:, 0]),
            segments=segments,
            space_id=self.space_id,
            info=features.info,
            recipe=features.recipe,
        )

    def span_vectors(self, features: FrameFeatures, bounds: NDArray[np.float64]) -> Float:
        """Return the vectors (S, D) float32 of spans of a video, (S, 2) seconds, each read anew.

        Raises:
            ModelError: The features are those of another CNN.
        """
        self._check_features(features)
        is_followed = "motion" in features.recipe
        still = features.recipe.get("sampling") != "uniform" and not is_followed
        return self._temporal.segment_vectors(
            features, bounds, still=still, is_followed=is_followed
        )

    def running_vectors(self, features: FrameFeatures) -> Float:
        """Return the vector (T, D) float32 at every frame, of a model whose state runs on.

        Raises:
            ModelError: The features are those of another CNN, or the model reads whole segments.
        """
        self._check_features(features)
        return self._temporal.running_vectors(features)

    def _check_features(self, features: FrameFeatures) -> None:
        if features.feature_id != self.feature_id:
            raise ModelError(
                f"{features.info.path}: features of CNN {features.feature_id}, but {self.name} has"
                f" CNN {self.feature_id}. Index it again with this model."
            )

    def _run_cnn(self, *pictures: NDArray[np.uint8]) -> NDArray[np.float16]:
        assert self._cnn is not None
        inputs = dict(zip(("frames", "previous"), pictures, strict=False))
        with np.errstate(over="ignore"):  # an overflow becomes infinite, which the caller reports
            return self._cnn.run(inputs)["features"].astype(np.float16)

    def _with_missing_middles(
        self, reader: Callable[[], VideoReader], features: FrameFeatures, *, stand_alone: bool
    ) -> FrameFeatures:
        """Add the middle frame of every segment in which the sampling rate has none."""
        bounds = plan_segments(features.shots, self.config.sampling.segment_seconds)
        empty = [
            float(start + end) / 2
            for start, end in bounds
            if not ((features.seconds >= start) & (features.seconds < end)).any()
        ]
        if not empty:
            return features
        size = self.config.cnn.height, self.config.cnn.width
        with reader() as video:
            stream = video.read(
                AtSeconds(tuple(empty)),
                size=size,
                fit=self.config.cnn.fit,
                with_previous=self.reads_differences,
                stand_alone=stand_alone,
            )
            batches = list(stream)
        seconds = np.concatenate([features.seconds, *(b.seconds for b in batches)])
        values = np.concatenate([features.features, *(self.features(b) for b in batches)])
        kept = Sketched(*(getattr(features, name) for name in Sketched._fields))
        sketched = joined([kept, *(sketch(b.images) for b in batches)])
        seconds, first = np.unique(seconds, return_index=True)
        return replace(
            features,
            features=values[first],
            seconds=seconds,
            **{name: values[first] for name, values in sketched._asdict().items()},
        )

    def frame_looks(self, features: FrameFeatures) -> Float:
        """Return the appearance (T, A) float32 of each frame, unit length: what segments average.

        Raises:
            ModelError: The features are those of another CNN.
        """
        self._check_features(features)
        return self._temporal.frame_looks(features.features)

    def run_temporal(
        self, features: Float, elapsed_seconds: Float, mask: Float, state: Float | None = None
    ) -> dict[str, Float]:
        """Return one run of projection and temporal model (`TemporalModel.run`)."""
        return self._temporal.run(features, elapsed_seconds, mask, state)

    def _recipe(
        self, choice: Choice | None, *, fast_decode: bool = False, is_followed: bool = False
    ) -> dict[str, str | float | int]:
        """Return how features were made; without a choice, of a still picture."""
        found: dict[str, str | float | int] = {"decode": "fast"} if fast_decode else {}
        if is_followed:
            found["motion"] = "keyframes and a picture after each"
        if choice is not None and choice.reason:
            found["auto"] = choice.reason
        return found | {
            "sampling": "image" if choice is None else choice.sampling,
            "fps": self.config.sampling.fps,
            "engine": self.running[0],
            "precision": self.running[1],
            "decoder": f"av {metadata.version('av')}",
            "soravec": metadata.version("soravec"),
        }


def _with_warnings(video: VideoReader) -> VideoInfo:
    """Return a file's facts with what went wrong while it was read."""
    warnings = dict.fromkeys([*video.info.warnings, *video.warnings])
    return replace(video.info, warnings=tuple(warnings))
