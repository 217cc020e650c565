"""The values for Dagster's chart, and what the chart makes of them for runs."""

from typing import Any

import yaml  # type: ignore[import-untyped]

from taxi_platform_tests.conftest import PROJECT

KUBERNETES = PROJECT / "deploy" / "k8s"
NAMESPACE = "dagster"
RELEASE = "dagster"
CODE = "code"


def values() -> dict[str, Any]:
    """``deploy/k8s/values.yaml``."""
    found: dict[str, Any] = yaml.safe_load((KUBERNETES / "values.yaml").read_text())
    return found


def image_of(chosen: dict[str, Any]) -> str:
    """The platform's image."""
    image = chosen["dagsterWebserver"]["image"]
    return f"{image['repository']}@{image['digest']}"


def passed_on(chosen: dict[str, Any]) -> dict[str, Any]:
    """What the chart has the code server pass on with each run.

    ``test_helm_chart.py`` compares it with the chart's own, where there is a chart.
    """
    (code,) = chosen["dagster-user-deployments"]["deployments"]
    own = f"{RELEASE}-dagster-user-deployments-{CODE}-user-env"
    return {
        "k8s": {
            "image_pull_policy": code["image"]["pullPolicy"],
            "env_config_maps": [own, *(e["name"] for e in code["envConfigMaps"])],
            "env_secrets": [e["name"] for e in code["envSecrets"]],
            "volume_mounts": code["volumeMounts"],
            "volumes": code["volumes"],
            "labels": code["labels"],
            "resources": code["resources"],
            "namespace": NAMESPACE,
            "service_account_name": chosen["global"]["serviceAccountName"],
            "run_k8s_config": {"pod_spec_config": {"automount_service_account_token": True}},
        }
    }
