"""The values, rendered by Dagster's own chart, which is not part of this project.

``TAXI_HELM_CHART`` names the chart's folder or archive, and ``pip install helm-python-sdk`` renders
it without Helm and without a cluster.
"""

import importlib
import json
import os
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]

from taxi_platform.kubernetes_runs import USER
from taxi_platform_tests.conftest import PROJECT
from taxi_platform_tests.deploy.kubernetes_values import (
    CODE,
    KUBERNETES,
    NAMESPACE,
    RELEASE,
    image_of,
    passed_on,
    values,
)

CHART = "TAXI_HELM_CHART"

VERSIONS = ("1.29", "1.33", kubernetes_validate.latest_version())
"""Of Kubernetes."""

FREE = {"annotations", "labels", "requests", "limits", "deployments", "extraManifests", "servers"}
"""Keys below which the chart names none."""

Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def chart() -> Iterator[Any]:
    path = os.environ.get(CHART)
    if not path:
        pytest.skip(f"no chart: set {CHART} to the folder or archive of Dagster's")
    try:
        helm = importlib.import_module("helm_python")
    except ImportError:
        pytest.skip("no Helm: pip install helm-python-sdk")
    with helm.Chart.load(path) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def rendered(chart: Any) -> Objects:
    """All that a release consists of, by kind and name."""
    texts = chart.render(values(), name=RELEASE, namespace=NAMESPACE)
    found = [
        document
        for path, text in texts.items()
        if not path.endswith("NOTES.txt")
        for document in yaml.safe_load_all(text)
        if document
    ]
    by_name = {(document["kind"], document["metadata"]["name"]): document for document in found}
    assert len(by_name) == len(found), "two objects of one name"
    return by_name


def pods(rendered: Objects) -> dict[str, dict[str, Any]]:
    """The pods' specifications, by the name of what has them."""
    return {
        name: document["spec"]["template"]["spec"]
        for (kind, name), document in rendered.items()
        if kind in {"Deployment", "Job"}
    }


def containers(rendered: Objects) -> list[dict[str, Any]]:
    return [
        container
        for pod in pods(rendered).values()
        for container in (*pod.get("initContainers", ()), *pod["containers"])
    ]


def unknown_keys(chosen: Any, known: Any, path: str = "") -> list[str]:
    """Keys of the values that the chart's own do not have."""
    if not isinstance(chosen, dict) or not isinstance(known, dict):
        return []
    unknown = [f"{path}.{key}" for key in chosen if known and key not in known]
    below = [k for k in chosen.keys() & known.keys() if k not in FREE]
    return unknown + [u for k in below for u in unknown_keys(chosen[k], known[k], f"{path}.{k}")]


def test_the_settings_are_objects_of_kubernetes() -> None:
    for document in yaml.safe_load_all((KUBERNETES / "settings.yaml").read_text()):
        for release in VERSIONS:
            kubernetes_validate.validate(document, release, strict=True)


def test_the_volumes_hold_what_the_settings_let_a_pod_keep() -> None:
    (settings, _) = yaml.safe_load_all((KUBERNETES / "settings.yaml").read_text())
    (code,) = values()["dagster-user-deployments"]["deployments"]
    sizes = {v["name"]: int(v["emptyDir"]["sizeLimit"].removesuffix("Gi")) for v in code["volumes"]}
    assert int(settings["data"]["TAXI_LANDING_CACHE_BYTES"]) < sizes["data"] << 30
    allowed = code["resources"]["limits"]["ephemeral-storage"].removesuffix("Gi")
    assert sum(sizes.values()) <= int(allowed)


def test_volumes_are_where_the_image_writes_and_belong_to_its_user() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    (code,) = values()["dagster-user-deployments"]["deployments"]
    folders = [mount["mountPath"] for mount in code["volumeMounts"]]
    assert [f for f in folders if f not in dockerfile] == ["/tmp"]  # noqa: S108
    user = re.search(r"USER (\d+):", dockerfile)
    assert user
    assert int(user[1]) == code["podSecurityContext"]["runAsUser"] == USER


@pytest.mark.parametrize("document", ["deploy/k8s/values.yaml", "docs/kubernetes.md"])
def test_the_version_named_is_the_locked_one(document: str) -> None:
    named = re.findall(r"--version (\S+)", (PROJECT / document).read_text())
    assert set(named) == {version("dagster")}


def test_the_chart_knows_every_value(chart: Any) -> None:
    assert unknown_keys({"dagsterDaemon": {"imag": 1}}, chart.values) == [".dagsterDaemon.imag"]
    unknown = unknown_keys(values(), chart.values)
    # Its values have no example of these, but its templates use them.
    assert [u for u in unknown if not re.search(r"Probe\.\w+$|\.startupProbe$|\.digest$", u)] == []


def test_every_object_is_valid(rendered: Objects) -> None:
    assert {kind for kind, _ in rendered} >= {"Deployment", "Job", "Role", "Service", "ConfigMap"}
    for document in rendered.values():
        for release in VERSIONS:
            kubernetes_validate.validate(document, release, strict=True)


def test_images_are_given_by_digest(rendered: Objects) -> None:
    images = {container["image"] for container in containers(rendered)}
    assert image_of(values()) in images
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in images), images


def test_all_of_dagster_has_the_images_own_configuration(rendered: Objects) -> None:
    """The last source of a variable wins, and a variable of the container over all of them."""
    (settings, secret) = yaml.safe_load_all((KUBERNETES / "settings.yaml").read_text())
    assert settings["data"]["DAGSTER_HOME"] == "/opt/dagster/home"
    last = [
        {"configMapRef": {"name": settings["metadata"]["name"]}},
        {"secretRef": {"name": secret["metadata"]["name"]}},
    ]
    of_dagster = [c for c in containers(rendered) if c["image"] == image_of(values())]
    assert len(of_dagster) == 4  # web server, daemon, code server, migration
    for container in of_dagster:
        sources = [s for s in container["envFrom"] if not s.get("secretRef", {}).get("optional")]
        assert sources[-2:] == last, container["name"]
        assert "DAGSTER_HOME" not in {variable["name"] for variable in container.get("env", ())}
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert "/opt/dagster/home/dagster.yaml" not in mounted, "would hide the image's own"


def test_the_chart_passes_on_to_runs_what_the_test_of_runs_assumes(rendered: Objects) -> None:
    code = pods(rendered)[f"{RELEASE}-dagster-user-deployments-{CODE}"]
    variables = {v["name"]: v.get("value") for v in code["containers"][0]["env"]}
    assert json.loads(variables["DAGSTER_CLI_API_GRPC_CONTAINER_CONTEXT"]) == passed_on(values())
    assert variables["DAGSTER_CURRENT_IMAGE"] == image_of(values())


def test_pods_run_as_nobody_special_and_within_limits(rendered: Objects) -> None:
    for name, pod in pods(rendered).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for container in containers(rendered):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}


def test_probes_are_the_images_health_check(rendered: Objects) -> None:
    roles = {"dagster-webserver": "webserver", "daemon": "daemon", CODE: "code"}
    found = {
        name: pod["containers"][0]
        for name, pod in pods(rendered).items()
        if (("Deployment", name) in rendered)
    }
    assert len(found) == len(roles)
    for suffix, role in roles.items():
        (container,) = (c for name, c in found.items() if name.endswith(f"-{suffix}"))
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["exec"]["command"][:2] == ["healthcheck", role]
    assert found[f"{RELEASE}-daemon"]["livenessProbe"]["timeoutSeconds"] >= 30


def test_one_service_account_with_googles_identity(rendered: Objects) -> None:
    accounts = [d for (kind, _), d in rendered.items() if kind == "ServiceAccount"]
    (account,) = accounts
    assert "iam.gke.io/gcp-service-account" in account["metadata"]["annotations"]
    name = account["metadata"]["name"]
    deployed = {n: p for n, p in pods(rendered).items() if ("Deployment", n) in rendered}
    assert {pod["serviceAccountName"] for pod in deployed.values()} == {name}
    bound = rendered["RoleBinding", f"{RELEASE}-rolebinding"]
    assert name in {subject["name"] for subject in bound["subjects"]}


def test_the_web_server_and_the_daemon_find_the_code_server(rendered: Objects) -> None:
    workspace = rendered["ConfigMap", f"{RELEASE}-workspace-yaml"]["data"]["workspace.yaml"]
    compose = (PROJECT / "deploy" / "workspace.yaml").read_text()
    assert yaml.safe_load(workspace) == yaml.safe_load(compose)
    (port,) = rendered["Service", CODE]["spec"]["ports"]
    assert port["port"] == 4000
