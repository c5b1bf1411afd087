"""Brings a model's files from the hub, a mirror or a folder, and gives none its name before its hash is right.

`hub` asks what there is, with `manifest` as its memory, as a `listing` whose `names` are never trusted; `plan` tells
what is missing and whether it fits; `download` runs it, with a `transfer` for each file, which writes a `part` made of
`pieces`. `sources` open files, over `web` if need be; `board` knows which of them failed; `pace` is about time,
`progress` about how far it is, `disk` about writing, `lock` about two at a time.
Which model needs which files, and who may start a run, is left to others.
"""

from wan22.models.download.download import Download, Options
from wan22.models.download.hub import Hub
from wan22.models.download.listing import Listing, WantedFile, choose
from wan22.models.download.plan import DownloadPlan, PlannedFile, make_plan
from wan22.models.download.progress import DownloadProgress, FileProgress
from wan22.models.download.sources import HttpFolder, HubSource, LocalFolder, MirrorSource, Renamed, Source

__all__ = [
    "Download",
    "DownloadPlan",
    "DownloadProgress",
    "FileProgress",
    "HttpFolder",
    "Hub",
    "HubSource",
    "Listing",
    "LocalFolder",
    "MirrorSource",
    "Options",
    "PlannedFile",
    "Renamed",
    "Source",
    "WantedFile",
    "choose",
    "make_plan",
]
