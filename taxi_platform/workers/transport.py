"""Kombu's transport for Redis, for workers: a message that is none of a run is discarded.

Anybody who may write to the queue, or another program that uses it by mistake, would otherwise end
every worker: Celery takes an error in a message for one of its own. So only the id of the run is
taken from a message; everything else is written here.
"""

import base64
import json
import re
import sys
import uuid
from collections.abc import Mapping
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import RedisError

EXECUTE = "taxi_platform.execute_run"
"""The name of the task; its argument is the id of the run."""

_RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,255}")


class Channel(kombu_redis.Channel):
    """Kombu's channel, which discards what is no JSON."""

    def _brpop_read(self, **options: Any) -> Any:
        self.connection.has_read = False
        try:
            return super()._brpop_read(**options)
        except (Empty, OSError, RedisError, MemoryError):
            raise
        except Exception:
            # Whatever kombu's reader of JSON raises; Redis has removed the message already.
            if self.connection.has_read:
                raise
            _discard("a message that is no JSON")
            return True


class Transport(kombu_redis.Transport):
    """Kombu's transport, which delivers nothing but runs."""

    Channel = Channel

    has_read = False
    """Whether the message in hand was JSON."""

    def _deliver(self, message: Any, queue: str) -> None:
        self.has_read = True
        cleaned = run_message(message, queue)
        if cleaned is None:
            _discard("a message that is no run", queue)
        else:
            super()._deliver(cleaned, queue)


def run_message(message: Any, queue: str) -> dict[str, Any] | None:
    """A message for the run of another one, None if that has none."""
    try:
        body, headers = message["body"], message["headers"]
        run_id = json.loads(base64.b64decode(body, validate=True))[0][0]
        task, given = headers["task"], message["properties"]
        task_id = headers.get("id")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    if task != EXECUTE or not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        return None
    priority = given.get("priority") if isinstance(given, Mapping) else None
    if not (isinstance(task_id, str) and _RUN_ID.fullmatch(task_id)):
        task_id = str(uuid.uuid4())
    arguments = [[run_id], {}, dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))]
    return {
        "body": base64.b64encode(json.dumps(arguments).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "lang": "py",
            "task": EXECUTE,
            "id": task_id,
            "root_id": task_id,
            "parent_id": None,
            "retries": 0,
            "eta": None,
            "expires": None,
            "timelimit": [None, None],
            "ignore_result": True,
            "argsrepr": repr((run_id,)),
            "kwargsrepr": "{}",
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority if type(priority) is int and 0 <= priority <= 9 else 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }


def _discard(what: str, queue: str = "") -> None:
    where = f" of the queue {queue}" if queue else ""
    sys.stderr.write(f"discarded {what}{where}: does another program use this broker and queue?\n")
    sys.stderr.flush()
