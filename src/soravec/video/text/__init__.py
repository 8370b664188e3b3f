"""Words that stand in a video or beside it, as timed text.

Read in this order: `subtitles` reads streams and files; `sidecars` finds the files beside a video;
`encodings` guesses what their bytes mean; `cues` takes markup out and settles the times.
"""
