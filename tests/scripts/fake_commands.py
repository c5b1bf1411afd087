"""Commands that run nothing: each is answered by the first entry whose words it holds, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from commands import NOT_FOUND, Answer

Reply = Answer | Callable[[], Answer]


class FakeCommands:
    """`replies` maps words that a command line holds to its answer; what nothing matches is a missing program."""

    def __init__(self, replies: Mapping[str, Reply] | None = None) -> None:
        self.replies = dict(replies or {})
        self.asked: list[str] = []
        self.done: list[str] = []

    def ask(self, args: Sequence[str], *, timeout_s: float = 60) -> Answer:
        self.asked.append(" ".join(args))
        return self._reply(args)

    def do(self, args: Sequence[str], *, env: Mapping[str, str] | None = None) -> Answer:
        self.done.append(" ".join(args).replace(" --progress-bar off", ""))
        return self._reply(args)

    def log(
        self, args: Sequence[str], *, into: Path, tell: Callable[[str], None], env: Mapping[str, str] | None = None
    ) -> Answer:
        answer = self.do(args, env=env)
        for line in answer.out.splitlines():
            tell(line)
        return answer

    def _reply(self, args: Sequence[str]) -> Answer:
        line = " ".join(args)
        for words, reply in self.replies.items():
            if words in line:
                return reply if isinstance(reply, Answer) else reply()
        return Answer(NOT_FOUND)
