"""New videos out of parts of others, and out of pictures.

Read in this order: `edit` cuts and joins; `clips` opens the spans; `packets` says what of them
stands by itself (`nal` looks into H.264 and HEVC for it); `splice` copies that and encodes the
ends; `whole` and `render` make frames of all pictures where nothing can be copied; `encoders`
turns frames into packets, `audio` sees to the sound, `output` to the file. `extract` writes
pictures and reads them back; `write` encodes arrays.
"""
