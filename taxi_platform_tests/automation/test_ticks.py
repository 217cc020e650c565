"""Alerts about ticks and cursors, and texts that could stop an alert, to real receivers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    SensorDefinition,
    SensorResult,
    SkipReason,
    build_sensor_context,
)
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import DagsterEvent
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from taxi_platform.automation.alerts.alert import Alert
from taxi_platform.automation.alerts.incidents import SETTLED_SECONDS, AlertCursor
from taxi_platform.automation.alerts.messages import message_of
from taxi_platform.automation.alerts.sensors import alert_sensors
from taxi_platform.automation.alerts.ticks import PATIENCE
from taxi_platform.automation.requests import VersionLedger
from taxi_platform.settings import Settings, load_settings
from taxi_platform_tests.automation.receivers import (
    Mailbox,
    Webhook,
    running_mailbox,
    running_webhook,
)

SENSOR = "published_months"
PASSWORD = "größer-hunter2"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path)) as temporary:
        yield temporary


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook("s3cret") as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with running_mailbox("täxi", PASSWORD) as running:
        yield running


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, webhook: Webhook, mailbox: Mailbox) -> Settings:
    settings = {
        "TAXI_ALERT_WEBHOOK_URL": webhook.url,
        "TAXI_ALERT_EMAIL_TO": "a@example.org",
        "TAXI_SMTP_PORT": str(mailbox.port),
        "TAXI_SMTP_SECURITY": "none",
        "TAXI_SMTP_USER": "täxi",
        "TAXI_SMTP_PASSWORD": PASSWORD,
        "TAXI_OVERDUE_DAYS": "100000",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return load_settings()


class AlertSensor:
    """An alert sensor and its cursor."""

    def __init__(self, definition: SensorDefinition, instance: DagsterInstance) -> None:
        self.definition, self.instance = definition, instance
        self.cursor: str | None = None

    def tick(self) -> str:
        context = build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = self.definition(context)
        assert isinstance(result, SensorResult)
        assert isinstance(result.skip_reason, SkipReason)
        self.cursor, said = result.cursor, str(result.skip_reason.skip_message)
        said.encode()  # as Dagster's servers send it to each other
        return said


@pytest.fixture
def alerts(chosen: Settings, instance: DagsterInstance) -> list[AlertSensor]:
    return [AlertSensor(definition, instance) for definition in alert_sensors(chosen)]


def state_of(instance: DagsterInstance, name: str, cursor: str | None = None) -> InstigatorState:
    """The state that the daemon makes for a sensor; changed to this cursor."""
    target = LoadableTargetOrigin(module_name="taxi_platform.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, "taxi_platform")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    data = SensorInstigatorData(cursor=cursor)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    if instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        instance.update_instigator_state(state)
    else:
        instance.add_instigator_state(state)
    return state


def tick(
    instance: DagsterInstance,
    status: TickStatus,
    *chain: str,
    name: str = SENSOR,
    kind: str = "SensorExecutionError",
    failures: int = 1,
) -> None:
    """A tick that ended; with the messages of its error and that error's causes."""
    state = state_of(instance, name)
    error = None
    for message in reversed(chain):
        error = SerializableErrorInfo(message, ["a stack\n"], kind, cause=error)
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            state.instigator_name,
            InstigatorType.SENSOR,
            status,
            time.time(),
            run_ids=[] if status is TickStatus.SUCCESS else None,
            error=error,
            selector_id=state.selector_id,
            consecutive_failure_count=failures,
        )
    )


@pytest.mark.slow
def test_a_red_tick_is_reported_once_and_so_is_the_next_that_is_not(
    instance: DagsterInstance, alerts: list[AlertSensor], webhook: Webhook, mailbox: Mailbox
) -> None:
    tick(instance, TickStatus.SUCCESS)
    for sensor in alerts:
        assert sensor.tick() == "nothing new"
    for _ in range(2):
        tick(instance, TickStatus.FAILURE, "Error in evaluation_fn", "KeyError: no [green] \udcff")
        for sensor in alerts:
            sensor.tick()
    for received in (webhook.text(), mailbox.text()):
        assert received.count(f"{SENSOR}: its tick failed") == 1
        assert r"KeyError: no [green] \udcff" in received
    tick(instance, TickStatus.SKIPPED)
    for sensor in alerts:
        sensor.tick()
        assert sensor.tick() == "nothing new"
    for received in (webhook.text(), mailbox.text()):
        assert received.count(f"{SENSOR}: its ticks succeed again") == 1


@pytest.mark.slow
def test_the_own_red_ticks_are_reported_by_the_other_channel(
    instance: DagsterInstance, alerts: list[AlertSensor], webhook: Webhook, mailbox: Mailbox
) -> None:
    tick(instance, TickStatus.FAILURE, "DeliveryError: answered 500", name="alerts_by_webhook")
    for sensor in alerts:
        sensor.tick()
    assert webhook.payloads == []
    assert "alerts_by_webhook: its tick failed" in mailbox.text()


@pytest.mark.slow
def test_a_code_server_that_restarts_is_no_news_but_one_that_stays_away_is(
    instance: DagsterInstance, alerts: list[AlertSensor], webhook: Webhook
) -> None:
    away = ("Unable to reach the user code server", "deadline exceeded")
    for failures in range(1, PATIENCE + 1):
        assert webhook.payloads == []
        tick(
            instance,
            TickStatus.FAILURE,
            *away,
            kind="DagsterUserCodeUnreachableError",
            failures=failures,
        )
        alerts[0].tick()
    assert "deadline exceeded" in webhook.text()


@pytest.mark.slow
def test_a_sensor_whose_cursor_could_not_be_read_is_reported_once(
    instance: DagsterInstance, alerts: list[AlertSensor], mailbox: Mailbox
) -> None:
    tick(instance, TickStatus.SKIPPED)
    alerts[1].tick()
    ledger = VersionLedger("not JSON")
    for _ in range(2):
        state_of(instance, SENSOR, ledger.to_json())
        alerts[1].tick()
        ledger = VersionLedger(ledger.to_json())
    assert mailbox.text().count(f"{SENSOR}: its cursor could not be read") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "cursor",
    ["{", "[]", "null", '{"after": "x", "failed": {}, "overdue": []}', '{"after": 1, "failed": 3}'],
)
def test_an_alert_sensor_recovers_from_a_corrupt_cursor_and_reports_it(
    instance: DagsterInstance, alerts: list[AlertSensor], webhook: Webhook, cursor: str
) -> None:
    alerts[0].cursor = cursor
    alerts[0].tick()
    assert "alerts_by_webhook: its cursor could not be read" in webhook.text()
    assert alerts[0].tick() == "nothing new"


def test_cursors_of_other_versions_are_read() -> None:
    before = {
        "after": 7,
        "failed": {"green|2024-01": {"steps": ["raw"], "said": "ab"}},
        "overdue": ["green|2024-02"],
    }
    read = AlertCursor.from_json(json.dumps(before))
    assert (read.after, read.failed, read.overdue) == (7, before["failed"], ("green|2024-02",))
    written = json.loads(AlertCursor.from_json(json.dumps(before | {"of a later": 1})).to_json())
    # What version 0.1 reads of it.
    assert {name: written[name] for name in before} == before


TEXTS = [
    "lone \udcff surrogate",
    "two\nlines\r\nBcc: x@y.org",
    "[green]markup[/green] :taxi:",
    "\x1b[31m\x00",
]


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS)
def test_no_text_of_a_failure_stops_a_later_alert(
    instance: DagsterInstance,
    alerts: list[AlertSensor],
    webhook: Webhook,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    monkeypatch.setattr("taxi_platform.automation.alerts.incidents.SETTLED_SECONDS", 0.0)
    assert SETTLED_SECONDS > 0
    for sensor in alerts:
        sensor.tick()
    for said in (f"{text} {PASSWORD}", "the later one"):
        run = create_run_for_test(
            instance,
            job_name="ingest_month",
            status=DagsterRunStatus.STARTED,
            tags={"dagster/partition": f"{said[:4]}|2024-01"},
        )
        kind = DagsterEventType.RUN_FAILURE.value
        event = DagsterEvent(event_type_value=kind, job_name="ingest_month", message=said)
        instance.report_dagster_event(event, run.run_id)
        for sensor in alerts:
            sensor.tick()
    assert len(webhook.payloads) == len(mailbox.texts) == 2
    for received in (webhook.text(), mailbox.text()):
        assert "the later one" in received
        assert PASSWORD not in received


def test_the_error_of_a_tick_contains_no_secret(
    alerts: list[AlertSensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        try:
            raise ConnectionError(f"cannot log in with {PASSWORD}")
        except ConnectionError as error:
            raise RuntimeError("no database") from error

    monkeypatch.setattr("taxi_platform.automation.alerts.sensors.pending_alerts", fail)
    with pytest.raises(Exception, match="no database") as red:
        alerts[0].tick()
    chain = ""
    error: BaseException | None = red.value
    while error is not None:
        chain, error = f"{chain} {error!r}", error.__cause__
    assert "cannot log in with ***" in chain
    assert PASSWORD not in chain


@pytest.mark.slow
def test_every_part_of_an_alert_may_contain_anything(
    chosen: Settings, alerts: list[AlertSensor], webhook: Webhook, mailbox: Mailbox
) -> None:
    from taxi_platform.automation.alerts.channels import channels_of

    for text in TEXTS:
        alert = Alert("failed", text, text, text, text, "/runs/x")
        for channel in channels_of(chosen):
            channel.deliver(message_of([alert], None, chosen.secrets()))
    assert len(webhook.payloads) == len(mailbox.subjects) == len(TEXTS)
