"""The HTTP and WebSocket face of the server, and the only place that knows status codes.

`routes` translate between HTTP and the verbs in `handlers`; `guard` stands in front of every route; `body` and
`drafts` turn bytes into a checked draft; `problems` turns errors into answers; `views` are what callers are shown.
"""
