"""The container files, read as text and YAML: no engine is needed to see that they hang together."""

import re
import shlex
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
ONE_SHOT = "migrate"
SHELL = {"sh", "-c"}


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text()))


def services() -> dict[str, dict[str, Any]]:
    return dict(compose()["services"])


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines if line.strip()]


def of(name: str) -> list[str]:
    return [text for instruction, text in instructions() if instruction == name]


def programs(command: list[str]) -> list[str]:
    """The programs that a command starts, through a shell or not."""
    if command[0] != "sh":
        return [command[0]]
    assert set(command[:2]) == SHELL
    return [shlex.split(part)[0] for part in command[2].split("&&")]


def console_scripts() -> set[str]:
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    return {*own, *(script.name for script in entry_points(group="console_scripts"))}


def variables() -> set[str]:
    """The names that compose.yaml takes from .env."""
    return set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))


def offered() -> set[str]:
    return set(re.findall(r"^(\w+)=", (DOCKER / ".env.example").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("name", sorted(services()))
def test_every_service_has_a_health_check_or_runs_once(name: str) -> None:
    service = services()[name]
    if name == ONE_SHOT:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["healthcheck"]["retries"] >= 3


def test_every_service_waits_for_the_health_of_what_it_needs() -> None:
    waits = {name: service.get("depends_on", {}) for name, service in services().items()}
    assert {need for needs in waits.values() for need in needs} == {"database", "server", "migrate"}
    for needs in waits.values():
        for need, how in needs.items():
            healthy = "service_completed_successfully" if need == ONE_SHOT else "service_healthy"
            assert how == {"condition": healthy}
    assert set(waits["worker"]) >= {"migrate", "server"}


def test_commands_start_programs_that_the_package_installs() -> None:
    started = {one for service in services().values() if "command" in service for one in programs(service["command"])}
    assert started == {"gda", "prefect"}
    assert started <= console_scripts()


def test_the_migration_is_the_documented_sequence() -> None:
    assert services()[ONE_SHOT]["command"][2].split(" && ") == [
        "gda db upgrade",
        "gda apply --system",
        "prefect --no-prompt deploy --all",
        "gda apply --yes",
    ]


def test_ports_are_open_on_this_machine_only() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:4200:4200"]


def test_the_server_asks_for_what_its_clients_present() -> None:
    server = services()["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    assert server.startswith("${PREFECT_AUTH_STRING:?")
    for client in ("worker", ONE_SHOT):
        assert services()[client]["environment"]["PREFECT_API_AUTH_STRING"] == server


def test_only_the_migration_sees_the_secrets_that_blocks_carry() -> None:
    assert [name for name, service in services().items() if "env_file" in service] == [ONE_SHOT]
    assert set(services()["worker"]["environment"]) == {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}


def test_the_example_names_every_variable_and_holds_no_secret() -> None:
    assert variables() <= offered()
    for line in (DOCKER / ".env.example").read_text().splitlines():
        name, _, value = line.partition("=")
        if re.search(r"PASSWORD|SECRET|AUTH|KEYS", name) and not line.startswith("#"):
            assert value == "", name


def test_every_gda_variable_of_the_example_is_a_setting() -> None:
    from gda.settings import Settings

    named = {name.removeprefix("GDA_").lower() for name in offered() if name.startswith("GDA_")}
    assert named <= set(Settings.model_fields)


def test_prefects_database_gets_the_extension_its_migrations_need() -> None:
    script = (DOCKER / "init.sql").read_text()
    assert script.index("\\connect prefect") < script.index("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    mounted = [volume for volume in services()["database"]["volumes"] if "init.sql" in volume]
    assert mounted == ["./init.sql:/docker-entrypoint-initdb.d/init.sql:ro"]


def test_the_image_is_slim_runs_as_nobody_special_and_checks_its_health() -> None:
    assert of("FROM") == ["python:3.12-slim"]
    assert of("USER") == ["gda"]
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN")
    assert len(of("HEALTHCHECK")) == 1
    assert set(names) <= {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "HEALTHCHECK", "CMD"}


def test_the_image_installs_the_hashed_lock_before_the_package() -> None:
    installs = [text for text in of("RUN") if "pip install" in text]
    assert installs == [
        "pip install --no-deps --require-hashes --requirement requirements.lock",
        "pip install --no-deps --no-build-isolation .",
    ]


def test_the_image_copies_all_packages_and_the_builder_is_sent_no_more() -> None:
    copied = {word for text in of("COPY") for word in text.split()[:-1]}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert copied >= {*packages["packages"], "requirements.lock", "pyproject.toml", "prefect.yaml"}
    let_in = re.findall(r"^!(\S+)", (DOCKER / "Dockerfile.dockerignore").read_text(), flags=re.MULTILINE)
    assert set(let_in) == copied
