"""Pictures in, videos and stills out. The only room that decodes callers' pictures and writes output files.

`images` checks what a caller sent, `uploads` keeps it; `outputs` owns the finished files, `writer` makes one of them;
`encoders`, `recipes` and `ffmpeg` turn frames into a file; `files` brings anything here to disk. A caller's file name
never becomes a path, and a caller's file never reaches ffmpeg.
"""
