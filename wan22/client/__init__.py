"""Talks to a running WAN22 server over HTTP: submit, wait with progress, download. Leaves all meaning to the server.

`client` has the verbs, `aio` the same verbs for asyncio, `replies` the values that come back, `bodies` what is sent,
`follow` the event stream with reconnect and replay, `download` files that appear whole, `problems` the way from an
answer to one of our errors.
"""

from wan22.client.aio import AsyncClient
from wan22.client.client import DEFAULT_URL, Client
from wan22.client.replies import LoadReply, Output, RemoteTask, Resident, TaskPage

__all__ = ["DEFAULT_URL", "AsyncClient", "Client", "LoadReply", "Output", "RemoteTask", "Resident", "TaskPage"]
