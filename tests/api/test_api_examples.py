"""Examples of calls are run as they stand, on a whole server with the demo weights and a hub."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from api_kit import SUBMIT, URL, settings_for
from starlette.testclient import TestClient
from support.loopback_hub import Fault, LoopbackHub
from support.schema import Document

from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.demo_weights import SHIPPED
from wan22.models.specs import OFFICIAL
from wan22.runtime import Runtime
from wan22.tasks import ModelType

MODELS, WAN, PERFORMANCE = "/api/v1/models", "/api/v1/wan-models", "/api/v1/performance"
ALERTS = "/api/v1/dashboard/alerts"
FOLDER = SHIPPED / SPECS[ModelType.TI2V_5B].slug
REPOSITORY = VARIANTS[ModelType.TI2V_5B][OFFICIAL].repository
BIG = "vae/diffusion_pytorch_model.safetensors"
NAMED = "ti2v-5b"


class House:
    """A server and its hub, which has the small pipeline in the place of the real one."""

    def __init__(self, client: TestClient, hub: LoopbackHub) -> None:
        self.client, self.hub = client, hub
        self.document = Document(client.get("/openapi.json").json())

    def call(self, name: str) -> dict[str, Any]:
        method, path = name.split()
        found: dict[str, Any] = self.document.content["paths"][path][method.lower()]
        return found

    def run_example(self, name: str, **query: Any) -> tuple[int, Any]:
        """Send the example of a call as the document has it; status and answer."""
        call, (method, path) = self.call(name), name.split()
        given = {one["name"]: one["schema"]["examples"][0] for one in call.get("parameters", []) if example_of(one)}
        places = {one["name"] for one in call.get("parameters", []) if one["in"] == "path"}
        assert places <= given.keys(), "a path needs an example"
        parameters = {key: value for key, value in given.items() if key not in places} | query
        body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        answer = self.client.request(method, path.format(**given), params=parameters, json=body)
        return answer.status_code, answer.json()

    def settle(self) -> None:
        """Wait until nothing is downloaded or verified."""
        while any(run["state"] == "running" for run in self.client.get(f"{MODELS}/download/progress").json()["runs"]):
            time.sleep(0.02)

    def fetch(self) -> None:
        """Have the real weights, as the hub has them."""
        assert self.client.post(f"{MODELS}/download", json={"model_type": NAMED}).status_code == 202
        self.settle()

    def stall(self) -> None:
        """Have a download that waits for the middle of a file."""
        self.hub.fault(BIG, Fault(stall_after=1000))
        assert self.client.post(f"{MODELS}/download", json={"model_type": NAMED}).status_code == 202

    def finish_a_task(self) -> None:
        """Have a task that ran with the demo weights."""
        body = {"model_type": "T2V-A14B", "prompt": "a circle", "width": 64, "height": 64, "num_frames": 5, "steps": 2}
        task_id = self.client.post(SUBMIT, json=body).json()["task_id"]
        while (task := self.client.get(f"/api/v1/generation/{task_id}").json())["status"] in ("queued", "running"):
            time.sleep(0.02)
        assert task["status"] == "completed", task["error"]

    def raise_alert(self) -> None:
        """Have an alert: there is less on the disk than the settings want."""
        while not self.client.get(ALERTS).json()["alerts"]:
            time.sleep(0.1)

    def load(self) -> None:
        """Have a model in memory."""
        assert self.client.post(f"{MODELS}/load/{NAMED}").status_code == 200

    def forget(self) -> None:
        """Have nothing in memory, nothing under way and a hub without a fault."""
        self.hub.cure()
        self.client.post(f"{MODELS}/download/{NAMED}/cancel")
        self.settle()
        for model_type in ModelType:
            self.client.post(f"{MODELS}/unload/{model_type.value}")


def example_of(parameter: dict[str, Any]) -> bool:
    return bool(parameter["schema"].get("examples"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("home")
    files = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*.*")}
    with ExitStack() as closing:
        hub = closing.enter_context(LoopbackHub(files, repository=REPOSITORY))
        rooms = {"download": {"hub": hub.endpoint}, "models": {"variant": "auto"}, "server": {"shutdown_grace_s": 0}}
        rooms |= {"alerts": {"disk_free_bytes": 2**60}}
        runtime = Runtime(settings_for(home, **rooms))
        closing.callback(runtime.close)
        yield House(closing.enter_context(TestClient(runtime.app, base_url=URL)), hub)


Before = Callable[[House], None] | None
THE_TWELVE_AND_MORE: list[tuple[str, int, Before]] = [
    (f"GET {MODELS}/status", 200, None),
    (f"GET {MODELS}/status/{{model_type}}", 200, None),
    (f"GET {MODELS}/download/plan/{{model_type}}", 200, None),
    (f"POST {MODELS}/download/{{model_type}}/cancel", 200, House.stall),
    (f"POST {MODELS}/download", 202, None),
    (f"GET {MODELS}/download/progress", 200, House.stall),
    (f"POST {MODELS}/verify/{{model_type}}", 200, House.fetch),
    (f"GET {MODELS}/status/{{model_type}}", 200, House.fetch),
    (f"POST {MODELS}/load/{{model_type}}", 200, None),
    (f"POST {MODELS}/unload/{{model_type}}", 200, House.load),
    (f"GET {MODELS}/health", 200, House.load),
    (f"GET {MODELS}/loras", 200, None),
    (f"GET {WAN}/capabilities/{{model_type}}", 200, None),
    (f"GET {WAN}/health/{{model_type}}", 200, House.finish_a_task),
    (f"GET {WAN}/performance/{{model_type}}", 200, House.finish_a_task),
    (f"GET {WAN}/compare/{{model_a}}/{{model_b}}", 200, None),
    (f"GET {WAN}/recommend", 200, None),
    (f"GET {WAN}/dashboard", 200, House.finish_a_task),
    (f"GET {PERFORMANCE}/optimizations", 200, None),
    (f"POST {PERFORMANCE}/optimize", 200, None),
    (f"GET {PERFORMANCE}/status", 200, House.finish_a_task),
    (f"GET {PERFORMANCE}/metrics", 200, House.finish_a_task),
    (f"GET {ALERTS}", 200, House.raise_alert),
    (f"POST {ALERTS}/{{alert_id}}/acknowledge", 200, House.raise_alert),
]


def check_answer(house: House, name: str, status: int, sent: tuple[int, Any]) -> None:
    """That the status is a documented one and the answer what its schema and its example promise."""
    assert sent[0] == status, sent[1]
    promised = house.call(name)["responses"][str(status)]["content"]["application/json"]
    assert house.document.faults(sent[1], promised["schema"]) == []
    assert house.document.faults(promised["example"], promised["schema"]) == []
    assert house.document.differing_keys(sent[1], promised["example"], promised["schema"]) == []


@pytest.mark.parametrize(("name", "status", "before"), THE_TWELVE_AND_MORE)
def test_an_example_gives_what_is_documented(house: House, name: str, status: int, before: Before) -> None:
    try:
        if before:
            before(house)
        check_answer(house, name, status, house.run_example(name))
    finally:
        house.forget()


def test_a_full_verification_gives_what_is_documented(house: House) -> None:
    house.fetch()
    name = f"POST {MODELS}/verify/{{model_type}}"
    check_answer(house, name, 202, house.run_example(name, quick=False))
    house.forget()


def test_no_such_call_is_left_out(house: House) -> None:
    run = {name for name, _, _ in THE_TWELVE_AND_MORE}
    for path, methods in house.document.content["paths"].items():
        if path.startswith((MODELS, WAN, PERFORMANCE, ALERTS)):
            names = {f"{method.upper()} {path}" for method in methods}
            assert names <= run | {f"POST {MODELS}/loras"}, "its example is a file, which test_api_models sends"


def test_the_check_itself_finds_what_is_wrong(house: House) -> None:
    promised = house.call(f"GET {MODELS}/health")["responses"]["200"]["content"]["application/json"]
    schema, example = promised["schema"], promised["example"]
    for wrong in ({**example, "gpus": None}, {**example, "more": 1}, {**example, "resident_bytes": True}, [], {}):
        assert house.document.faults(wrong, schema)
    lacking = {**example, "residents": [{"model_type": "TI2V-5B"}]}
    assert house.document.differing_keys(lacking, example, schema)
