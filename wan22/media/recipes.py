"""What ffmpeg is told for each format and quality. Starts nothing."""

from __future__ import annotations

from wan22.errors import EncoderFailed
from wan22.tasks import Render
from wan22.tasks.request import OutputFormat, Quality

X264_CRF: dict[Quality, int] = {"low": 28, "medium": 20, "high": 15}
VP9_CRF: dict[Quality, int] = {"low": 40, "medium": 32, "high": 22}

_BT709 = "colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
_SCALE = "scale={width}:{height}:flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
_YUV = f"{_SCALE}:out_color_matrix=bt709:out_range=tv,format=yuv420p,setparams={_BT709},setsar=1"

_PALETTE = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither="
"""A palette for each frame: a single one would make ffmpeg hold every frame until the last has come."""

_FEWER_COLOURS = ",format=rgb24,lutrgb=r='{0}':g='{0}':b='{0}',".format("round(val/5)*5")
"""No level is off by more than 2; to look up 132,000 colours takes a third to half of the time of all (measured)."""

_GIF: dict[Quality, str] = {
    "low": f"{_SCALE}{_FEWER_COLOURS}{_PALETTE}none",
    "medium": f"{_SCALE}{_FEWER_COLOURS}{_PALETTE}bayer:bayer_scale=3",
    "high": f"{_SCALE},format=rgb24,{_PALETTE}bayer:bayer_scale=3",
}


def recipe(
    render: Render, part_name: str, *, output_format: OutputFormat, quality: Quality, fps: int, threads: int
) -> list[str]:
    """ffmpeg's arguments: raw RGB frames of the crop's size on stdin, exactly as many in the file.

    The file gets neither a date nor a version: the same frames give the same bytes. `threads` 0 lets ffmpeg decide.
    Raises EncoderFailed for a size or format that can't be.
    """
    size = (render.output_width, render.output_height)
    return [
        *("-hide_banner", "-loglevel", "error", "-nostdin", "-y"),
        *("-nostats", "-progress", "pipe:1", "-stats_period", "0.2"),  # apart from stderr, which has the errors
        *("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{render.crop_width}x{render.crop_height}"),
        *("-framerate", str(fps), "-i", "pipe:0", "-an", "-map_metadata", "-1"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact"),
        *_codec(output_format, quality, size),
        *("-threads", str(threads), "-fps_mode", "cfr", "-r", str(fps), f"file:{part_name}"),
    ]


def _codec(output_format: OutputFormat, quality: Quality, size: tuple[int, int]) -> list[str]:
    if output_format == "gif":
        # The encoder writes only what changed, comparing numbers of colours, also when they are of two palettes.
        no_differences = ("-gifflags", "-offsetting-transdiff")
        return ["-vf", _sized(_GIF[quality], size), "-c:v", "gif", *no_differences, "-f", "gif"]
    if size[0] % 2 or size[1] % 2:
        raise EncoderFailed(f"{output_format} can't hold {size[0]}x{size[1]}: ask for an even width and height.")
    colour = ["-vf", _sized(_YUV, size)]
    if output_format == "mp4":
        crf = str(X264_CRF[quality])
        return [*colour, "-c:v", "libx264", "-preset", "medium", "-crf", crf, "-movflags", "+faststart", "-f", "mp4"]
    if output_format == "webm":
        # cpu-used 4: three quarters of the time of 2, half as much again as x264's medium (720p, two cores)
        speed = ("-deadline", "good", "-cpu-used", "4", "-row-mt", "1", "-tile-columns", "2")
        return [*colour, "-c:v", "libvpx-vp9", *speed, "-crf", str(VP9_CRF[quality]), "-b:v", "0", "-f", "webm"]
    raise EncoderFailed(f"{output_format} is no video format: ask for mp4, webm or gif.")


def _sized(chain: str, size: tuple[int, int]) -> str:
    return chain.format(width=size[0], height=size[1])
