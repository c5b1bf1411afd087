"""All settings: one class for each room, a help text for each field. The only room that reads the environment.

A value comes from, first found wins: a command's flag, `WAN22_<ROOM>__<FIELD>` in the environment, the TOML file
named by `--config` or `WAN22_CONFIG`, the default. `WAN22_HOME` alone is short for `WAN22_STORAGE__HOME`.
"""

from wan22.settings.reading import Settings, load_settings
from wan22.settings.rooms import (
    LOOPBACK_HOSTS,
    AlertsSettings,
    DeviceSettings,
    DownloadSettings,
    LevelChoice,
    LogSettings,
    ModelsSettings,
    PrecisionChoice,
    QueueSettings,
    ServerSettings,
    StorageSettings,
)

__all__ = [
    "LOOPBACK_HOSTS",
    "AlertsSettings",
    "DeviceSettings",
    "DownloadSettings",
    "LevelChoice",
    "LogSettings",
    "ModelsSettings",
    "PrecisionChoice",
    "QueueSettings",
    "ServerSettings",
    "Settings",
    "StorageSettings",
    "load_settings",
]
