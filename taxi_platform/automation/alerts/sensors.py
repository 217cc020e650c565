"""The alert sensors: one for each channel, each with its own cursor.

So an alert that e-mail accepted and the webhook did not is sent again to the webhook only. A sensor
advances its cursor only after the channel has accepted the message. Otherwise its tick fails, which
the UI shows, and the next tick sends the same alerts and any new ones in one message.
"""

from dagster import (
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)

from taxi_platform.automation.alerts.alert import Alert
from taxi_platform.automation.alerts.channels import Channel, channels_of
from taxi_platform.automation.alerts.incidents import AlertCursor, from_now_on, pending_alerts
from taxi_platform.automation.alerts.messages import message_of
from taxi_platform.automation.alerts.ticks import lost_cursor
from taxi_platform.automation.months import MonthRecords
from taxi_platform.safe_texts import safe_errors, safe_line
from taxi_platform.settings import Settings


def alert_sensors(chosen: Settings) -> list[SensorDefinition]:
    """A running sensor for each channel that is configured."""
    return [_sensor(channel, chosen) for channel in channels_of(chosen)]


def _sensor(channel: Channel, chosen: Settings) -> SensorDefinition:
    name = f"alerts_by_{channel.name}"

    @sensor(
        name=name,
        minimum_interval_seconds=chosen.alert_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description="Reports failed runs and checks, overdue months and recoveries by "
        f"{channel.name}.",
    )
    @safe_errors()
    def alerts(context: SensorEvaluationContext) -> SensorResult:
        instance = context.instance
        found: list[Alert] = []
        try:
            cursor = AlertCursor.from_json(context.cursor or "")
        except ValueError:
            cursor = from_now_on(instance)
            found += [lost_cursor(name)] if context.cursor else []
        pending, next_cursor = pending_alerts(MonthRecords(instance, chosen), cursor, own=name)
        found += pending
        if found:
            channel.deliver(message_of(found, chosen.ui_url, chosen.secrets()))
        said = "nothing new" if not found else f"sent: {'; '.join(a.headline for a in found[:5])}"
        return SensorResult(skip_reason=safe_line(said), cursor=next_cursor.to_json())

    return alerts
