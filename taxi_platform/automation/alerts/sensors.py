"""The alert sensors: one a channel, each with a cursor of its own.

So an alert that e-mail took and the webhook did not is sent again to the webhook alone. A sensor
keeps what it told as its cursor only when the channel has taken it; if not, its look fails, which
the UI shows, and the next tells the same and what has come since, in one message.
"""

from dagster import (
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)

from taxi_platform.automation.alerts.channels import Channel, channels_of
from taxi_platform.automation.alerts.incidents import AlertCursor, from_now_on, pending_alerts
from taxi_platform.automation.alerts.messages import message_of
from taxi_platform.automation.months import MonthRecords
from taxi_platform.settings import Settings


def alert_sensors(chosen: Settings) -> list[SensorDefinition]:
    """A running sensor for each channel that is configured."""
    return [_sensor(channel, chosen) for channel in channels_of(chosen)]


def _sensor(channel: Channel, chosen: Settings) -> SensorDefinition:
    @sensor(
        name=f"alerts_by_{channel.name}",
        minimum_interval_seconds=chosen.alert_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Tells by {channel.name} of failed runs and checks, of months overdue, and of "
        "what came right again.",
    )
    def alerts(context: SensorEvaluationContext) -> SensorResult:
        instance = context.instance
        cursor = AlertCursor.from_json(context.cursor) if context.cursor else from_now_on(instance)
        found, next_cursor = pending_alerts(MonthRecords(instance, chosen), cursor)
        if found:
            channel.deliver(message_of(found, chosen.ui_url, chosen.secrets()))
        said = "nothing new" if not found else f"told: {'; '.join(a.headline for a in found[:5])}"
        return SensorResult(skip_reason=said, cursor=next_cursor.to_json())

    return alerts
