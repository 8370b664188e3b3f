"""Video files in, frames with their times out: the only place that touches PyAV.

Read in this order: `inputs` says where a video may lie; `container` opens it under whitelists and
turns every error into ours, `diagnosis` says what is wrong; `decode` gives its pictures in order
and jumps between keyframes, `passing` leaves out what nobody asks for, `keyframes` decodes them
alone; `clock` mends their times, `scan` says whether they can be trusted, `spacing` how far apart
keyframes lie; `stills` and `webp` stand in for pictures, `source` chooses among them; `sampling`
says which instants are wanted; `convert` makes a picture an array of the wanted size, with
`geometry`, `colour`, `tone` and `interlace`; `shots` finds the cuts; `reader` puts them together.
`probe`, `metadata`, `picture` stand beside. `text` reads subtitles, `editing` writes video.
"""

from soravec.video.container import decoder_version
from soravec.video.editing.clips import Span
from soravec.video.editing.edit import EditResult, concat, cut
from soravec.video.editing.extract import FramesResult, frames_to_video, write_frames
from soravec.video.editing.write import VideoWriter
from soravec.video.inputs import AllowUrls, VideoSource, archive_of, find_input, is_url, tar_members
from soravec.video.jpeg import encode_jpeg
from soravec.video.limits import LIMITS, Limits, limits_from
from soravec.video.picture import picture_info, read_image
from soravec.video.png import encode_png
from soravec.video.probe import probe
from soravec.video.reader import VideoReader
from soravec.video.sampling import AtRate, AtSeconds, EveryFrame, Keyframes, Uniform
from soravec.video.shots import plan_segments
from soravec.video.source import Place, find_place
from soravec.video.spacing import KeyframeSpacing, keyframe_spacing
from soravec.video.stills import frame_files
from soravec.video.text.subtitles import read_subtitles

__all__ = [
    "AllowUrls",
    "AtRate",
    "AtSeconds",
    "EditResult",
    "EveryFrame",
    "FramesResult",
    "KeyframeSpacing",
    "Keyframes",
    "LIMITS",
    "Limits",
    "Place",
    "Span",
    "Uniform",
    "VideoReader",
    "VideoSource",
    "VideoWriter",
    "archive_of",
    "concat",
    "cut",
    "decoder_version",
    "encode_jpeg",
    "encode_png",
    "find_input",
    "find_place",
    "frame_files",
    "frames_to_video",
    "is_url",
    "keyframe_spacing",
    "limits_from",
    "picture_info",
    "plan_segments",
    "probe",
    "read_image",
    "read_subtitles",
    "tar_members",
    "write_frames",
]
