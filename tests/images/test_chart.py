"""The chart: what it renders is valid for Kubernetes, complete for the services, and hardened; by helm itself."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import compose
import pytest
import yaml
from orderhub import settings, topology
from orderhub.settings import settings_of
from orderhub_chassis import settings as chassis
from orderhub_chassis.settings import ServiceSettings

pytestmark = [pytest.mark.backends, pytest.mark.xdist_group("chart")]

CHART = compose.DEPLOY / "helm" / "orderhub"
VALUES = compose.DEPLOY / "helm" / "values"
SETS = ("minimal", "production", "external")
VERSIONS = ("1.27", "1.34")
"""The oldest that the chart takes, and the one that helm is told to render for."""
OURS = (*topology.NAMES, topology.SIMULATOR)
Manifest = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(compose.ROOT / "tools" / "helm.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(*arguments: str) -> list[Manifest]:
    run = helm("template", "shop", str(CHART), "--namespace", "shop", "--kube-version", "1.34.0", *arguments)
    assert run.returncode == 0, run.stderr
    return [document for document in yaml.safe_load_all(run.stdout) if document]


@pytest.fixture(scope="module")
def all_manifests() -> dict[str, list[Manifest]]:
    return {name: rendered("--values", str(VALUES / f"{name}.yaml")) for name in SETS}


@pytest.fixture(params=SETS)
def manifests(request: pytest.FixtureRequest, all_manifests: dict[str, list[Manifest]]) -> list[Manifest]:
    return all_manifests[request.param]


def validator() -> Any:
    """The schemas are large, so only who installs the group `backends` has them."""
    return importlib.import_module("kubernetes_validate")


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """By component, or by name where there is none."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    return {
        m["metadata"]["labels"].get("app.kubernetes.io/component", m["metadata"]["name"]): m for m in found
    }


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Component → pod specification, the job's too."""
    found = {**of_kind(manifests, "Deployment"), **of_kind(manifests, "Job")}
    return {name: manifest["spec"]["template"]["spec"] for name, manifest in found.items()}


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_to_complain_about(values: str) -> None:
    run = helm(
        "lint", "--strict", "--kube-version", "1.34.0", str(CHART), "--values", str(VALUES / f"{values}.yaml")
    )
    assert run.returncode == 0, run.stdout
    assert "[WARNING]" not in run.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_is_valid_for_kubernetes(manifests: list[Manifest], version: str) -> None:
    assert manifests
    for manifest in manifests:
        validator().validate(manifest, version, strict=True)
    with pytest.raises(validator().ValidationError):
        validator().validate({**manifests[0], "spce": {}}, version, strict=True)


def test_names_are_unique_and_all_carry_the_release(manifests: list[Manifest]) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(set(names)) == len(names)
    for manifest in manifests:
        assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "shop"
        assert manifest["metadata"]["name"].startswith("shop-orderhub")


# --- what is rendered -------------------------------------------------------------------------------------------


def test_a_minimal_release_is_the_whole_product(all_manifests: dict[str, list[Manifest]]) -> None:
    manifests = all_manifests["minimal"]
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert of_kind(manifests, kind).keys() == set(OURS), kind
    assert of_kind(manifests, "Job").keys() == {"migrate-before", "migrate-after"}
    assert not of_kind(manifests, "HorizontalPodAutoscaler")
    assert not of_kind(manifests, "Ingress")
    assert not of_kind(manifests, "Secret"), "secrets are referred to, never made"


def test_production_has_two_and_more_of_everything(all_manifests: dict[str, list[Manifest]]) -> None:
    manifests = all_manifests["production"]
    scaled = of_kind(manifests, "HorizontalPodAutoscaler")
    assert scaled.keys() == set(topology.NAMES)
    deployments = of_kind(manifests, "Deployment")
    for name, scaler in scaled.items():
        assert scaler["spec"]["minReplicas"] >= 2, name
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployments[name]["metadata"]["name"]
        assert "replicas" not in deployments[name]["spec"], "the autoscaler decides"
    assert scaled["gateway"]["spec"]["maxReplicas"] == 12
    (ingress,) = of_kind(manifests, "Ingress").values()
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "shop-orderhub-gateway", "port": {"name": "http"}}
    images = {container["image"] for pod in pods(manifests).values() for container in pod["containers"]}
    assert "registry.example/orderhub/operator:0.1.0" in images
    assert all(image.startswith("registry.example/orderhub/") for image in images)


def test_what_is_somebody_else_s_is_left_out(all_manifests: dict[str, list[Manifest]]) -> None:
    manifests = all_manifests["external"]
    assert {manifest["kind"] for manifest in manifests} == {"Deployment", "Service", "ServiceAccount"}
    assert of_kind(manifests, "Deployment").keys() == set(topology.NAMES)
    told = variables(pods(manifests)["payments"])
    assert told["ORDERHUB_PAYMENTS_SIMULATOR_URL"] == "https://cards.example"


def test_migrations_run_before_the_roll_out(all_manifests: dict[str, list[Manifest]]) -> None:
    job = of_kind(all_manifests["minimal"], "Job")["migrate-before"]
    hooks = job["metadata"]["annotations"]
    assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "before-hook-creation" in hooks["helm.sh/hook-delete-policy"]
    spec = job["spec"]["template"]["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["containers"][0]["args"] == ["migrate", "--pre"]
    assert "serviceAccountName" not in spec, "it is there only after the hook"


def test_a_job_needs_nothing_that_its_release_brings_later(manifests: list[Manifest]) -> None:
    """Before the first installation there is but what the user made: the Secrets that the values name."""
    jobs = of_kind(manifests, "Job")
    for job in jobs.values():
        pod = job["spec"]["template"]["spec"]
        assert "envFrom" not in pod["containers"][0]
        for variable in pod["containers"][0]["env"]:
            assert "configMapKeyRef" not in variable.get("valueFrom", {})
        mounted = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
        assert set(mounted) <= {"orderhub-certificates"}
    assert not [kind for kind in ("Secret", "ConfigMap") if of_kind(manifests, kind)]


def test_jobs_bring_the_policy_that_lets_them_out(all_manifests: dict[str, list[Manifest]]) -> None:
    """The one of the release before names the servers of before, and a job that cannot reach new ones ends the upgrade."""
    for values in ("minimal", "production"):
        manifests = all_manifests[values]
        (policy,) = (m for m in manifests if m["metadata"]["name"] == "shop-orderhub-migrate")
        hooks = policy["metadata"]["annotations"]
        for job in of_kind(manifests, "Job").values():
            own = job["metadata"]["annotations"]
            assert set(own["helm.sh/hook"].split(",")) <= set(hooks["helm.sh/hook"].split(","))
            assert int(hooks["helm.sh/hook-weight"]) < int(own["helm.sh/hook-weight"])
            labels = job["spec"]["template"]["metadata"]["labels"]
            assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        assert hooks["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded", "nothing stays"
        ports = {row["port"] for rule in policy["spec"]["egress"] for row in rule["ports"]}
        assert 53 in ports, "the policy for names is there only after the hook"


def test_change_data_capture_is_told_to_the_jobs() -> None:
    """They make the connectors: ORDERHUB_RELAY is everybody's, where Kafka Connect is, theirs alone."""
    manifests = rendered(
        "--set", "secrets.existingSecret=orderhub",
        "--set", "migrations.env.ORDERHUB_CONNECT_URL=http://connect:8083",
        "--set", "defaults.env.ORDERHUB_RELAY=cdc",
        "--set-json", 'migrations.extraEgress=[{"ports": [{"protocol": "TCP", "port": 8083}]}]',
    )  # fmt: skip
    for name, pod in pods(manifests).items():
        told = variables(pod)
        assert told["ORDERHUB_RELAY"] == "cdc", name
        assert ("ORDERHUB_CONNECT_URL" in told) == name.startswith("migrate"), name
    egress = policies(manifests)["shop-orderhub-migrate"]["egress"]
    assert 8083 in {row["port"] for rule in egress for row in rule["ports"]}


def test_the_command_that_is_shown_waits_for_the_roll_out_and_longer_than_the_job_may_take() -> None:
    """Without `--wait` the last migrations would run while the old code does."""
    (command,) = re.findall(
        r"^helm upgrade (?:.*\\\n)*.*$", (compose.DEPLOY / "README.md").read_text(), re.MULTILINE
    )
    assert "--wait" in command.split()
    (minutes,) = re.findall(r"--timeout (\d+)m", command)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert int(minutes) * 60 > values["migrations"]["activeDeadlineSeconds"]


def test_a_job_after_the_roll_out_is_a_matter_of_values() -> None:
    chosen = ("--set", "secrets.existingSecret=orderhub", "--set", "migrations.before=null")
    manifests = rendered(*chosen, "--set-json", 'migrations.after=["migrate", "--post"]')
    job = of_kind(manifests, "Job")["migrate-after"]
    validator().validate(job, VERSIONS[-1], strict=True)
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate", "--post"]


def test_every_value_is_known(tmp_path: Path) -> None:
    """The schema names what is wrong, instead of a chart that ignores it."""
    for wrong, said in (
        ("{}", "existingSecret"),
        ("secrets: {existingSecret: x, password: y}", "password"),
        ("{secrets: {existingSecret: x}, services: {orders: {replica: 2}}}", "replica"),
        ("{secrets: {existingSecret: x}, services: {cellar: {}}}", "cellar"),
        ("{secrets: {existingSecret: x}, shutdownGraceSeconds: 0}", "shutdownGraceSeconds"),
        ("{secrets: {existingSecret: x}, logLevel: loud}", "logLevel"),
    ):
        (tmp_path / "values.yaml").write_text(wrong)
        run = helm(
            "template", "x", str(CHART), "--kube-version", "1.34.0", "--values", str(tmp_path / "values.yaml")
        )
        assert run.returncode != 0, wrong
        assert said in run.stderr, run.stderr


# --- settings ---------------------------------------------------------------------------------------------------


def variables(pod: Manifest) -> dict[str, str]:
    """What the first container is told; a reference as `<key of the secret>`."""
    found = {}
    for variable in pod["containers"][0]["env"]:
        source = variable.get("valueFrom", {})
        found[variable["name"]] = variable.get("value") or str(source.get("secretKeyRef", source))
    return found


def test_a_service_is_told_all_that_its_settings_require_and_nothing_that_nobody_reads(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for service, pod in pods(manifests).items():
        if service.startswith("migrate"):
            continue
        listed = [variable["name"] for variable in pod["containers"][0]["env"]]
        assert len(set(listed)) == len(listed), f"{service}: a variable twice"
        cls = settings_of(service)
        known = {name for _, name, _ in chassis.variables(cls)}
        known |= {f"ORDERHUB_{field}".upper() for field, _, _ in chassis.variables(cls)}
        assert set(listed) <= known, f"{service}: {set(listed) - known}"
        with monkeypatch.context() as patched:
            for name, value in {**compose.image_environment(), **in_a_pod(pod)}.items():
                patched.setenv(name, value)
            chassis.load(cls)


def test_a_job_is_told_what_the_operator_s_command_reads_and_no_more(
    all_manifests: dict[str, list[Manifest]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    known = {name for _, name, _ in chassis.variables(settings.Settings)}
    for values in ("minimal", "production"):
        for name in of_kind(all_manifests[values], "Job"):
            pod = pods(all_manifests[values])[name]
            assert variables(pod).keys() <= known, name
            with monkeypatch.context() as patched:
                for variable, value in {**compose.image_environment(), **in_a_pod(pod)}.items():
                    patched.setenv(variable, value)
                chosen = settings.loaded()
            assert chosen.database_url is not None
            assert chosen.kafka
            assert chosen.redis_url is None, "nothing of it is migrated"


def in_a_pod(pod: Manifest) -> dict[str, str]:
    """References replaced by values of their kind, as a Secret would hold them."""
    found = variables(pod)
    for name in found:
        if found[name].startswith("{"):
            found[name] = sample(name)
    return found


def sample(name: str) -> str:
    if name.endswith("_BUS"):
        return "kafka://kafka-1.example:9092,kafka-2.example:9092"
    if "DATABASE_URL" in name:
        return "postgresql://somebody:secret@servers.example/orderhub"
    return "redis://:secret@servers.example/0" if "REDIS_URL" in name else "k" * 64


def test_secrets_come_by_reference_and_their_keys_are_documented(manifests: list[Manifest]) -> None:
    readme = (compose.DEPLOY / "README.md").read_text()
    for name, pod in pods(manifests).items():
        for variable in pod["containers"][0]["env"]:
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                assert reference["name"] == "orderhub"
                assert f"`{reference['key']}`" in readme, f"{reference['key']} is not in deploy/README.md"
            elif is_secret(name, variable["name"]):
                pytest.fail(f"{name}: {variable['name']} is a secret and has a value")


def is_secret(service: str, variable: str) -> bool:
    if service.startswith("migrate"):
        return "URL" in variable or "BUS" in variable or "KEY" in variable
    fields = chassis.variables(settings_of(service))
    return any(
        chassis.is_secret(info) and variable in (own, f"ORDERHUB_{field}".upper())
        for field, own, info in fields
    )


def test_addresses_are_services_of_this_release(manifests: list[Manifest]) -> None:
    """host:port in a variable leads to a Service, that to a port of the pod, and that to what the image binds."""
    image = compose.image_environment()
    services = {manifest["metadata"]["name"]: manifest for manifest in of_kind(manifests, "Service").values()}
    bound = {"grpc": image["ORDERHUB_GRPC_PORT"], "health": image["ORDERHUB_HTTP_PORT"]}
    seen = 0
    for pod in pods(manifests).values():
        for host, port in re.findall(r"\b(shop-orderhub-[a-z]+):(\d+)", " ".join(variables(pod).values())):
            assert int(port) in {row["port"] for row in services[host]["spec"]["ports"]}
            seen += 1
    assert seen >= 6
    for name, service in of_kind(manifests, "Service").items():
        open_ = {
            port["name"]: port["containerPort"] for port in pods(manifests)[name]["containers"][0]["ports"]
        }
        assert {row["targetPort"] for row in service["spec"]["ports"]} == open_.keys()
        own = image.get(f"ORDERHUB_{name.upper()}_PORT", "")
        assert {key: str(number) for key, number in open_.items()} == ({"http": own} if own else bound)


# --- hardening --------------------------------------------------------------------------------------------------


def test_no_container_runs_as_root_or_writes_to_its_root(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
        for volume in pod["volumes"]:
            assert volume.keys() in ({"name", "emptyDir"}, {"name", "secret"}), name
        assert all(m["mountPath"] == "/tmp" or m["readOnly"] for m in pod["containers"][0]["volumeMounts"])
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "privileged": False,
                "capabilities": {"drop": ["ALL"]},
            }


def test_every_container_has_limits_and_every_service_probes(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        (container,) = pod["containers"]
        for kind in ("requests", "limits"):
            assert container["resources"][kind].keys() >= {"cpu", "memory"}, name
        if name.startswith("migrate"):
            continue
        ports = {port["name"] for port in container["ports"]}
        for probe, path in (
            ("startupProbe", "/livez"),
            ("livenessProbe", "/livez"),
            ("readinessProbe", "/readyz"),
        ):
            asked = container[probe]["httpGet"]
            assert asked["path"] == path, name
            assert asked["port"] in ports, name


def test_a_pod_has_the_time_that_its_service_takes_to_stop(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        if not name.startswith("migrate"):
            told = variables(pod)
            grace, drain = int(told["ORDERHUB_SHUTDOWN_GRACE"]), int(told.get("ORDERHUB_DRAIN_DELAY", 0))
            assert (drain > 0) == (name != topology.SIMULATOR), (
                "it is taken off the lists of addresses meanwhile"
            )
            assert pod["terminationGracePeriodSeconds"] > drain + 3 * grace, name
            assert len(pod["topologySpreadConstraints"]) == 2, name


def test_selectors_find_their_pods_and_nobody_else_s(manifests: list[Manifest]) -> None:
    labels = {
        name: manifest["spec"]["template"]["metadata"]["labels"]
        for name, manifest in of_kind(manifests, "Deployment").items()
    }
    for kind, path in (("Service", ("selector",)), ("PodDisruptionBudget", ("selector", "matchLabels"))):
        for name, manifest in of_kind(manifests, kind).items():
            selector: Any = manifest["spec"]
            for key in path:
                selector = selector[key]
            assert [other for other, found in labels.items() if selector.items() <= found.items()] == [name]


# --- network policies -------------------------------------------------------------------------------------------


def policies(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"}


def test_nothing_is_let_through_that_is_not_named(all_manifests: dict[str, list[Manifest]]) -> None:
    found = policies(all_manifests["production"])
    denied = found["shop-orderhub-default-deny"]
    assert denied["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in denied
    assert "egress" not in denied
    for name, pod in of_kind(all_manifests["production"], "Deployment").items():
        labels = pod["spec"]["template"]["metadata"]["labels"]
        assert denied["podSelector"]["matchLabels"].items() <= labels.items(), name
    for name, spec in found.items():
        for rule in (*spec.get("ingress", []), *spec.get("egress", [])):
            assert rule.get("ports"), f"{name} opens all ports"
            names = {row["port"] for row in rule["ports"]} == {53}
            assert "from" in rule or "to" in rule or names, f"{name} opens to everybody"


@pytest.mark.parametrize(
    ("given", "gateway", "simulator"),
    [
        ({}, [None], ["payments"]),
        ({"gatewayFrom": "door"}, ["door"], ["payments"]),
        ({"metricsFrom": "metrics"}, [None, "metrics"], ["payments", "metrics"]),
        ({"gatewayFrom": "door", "metricsFrom": "metrics"}, ["door", "metrics"], ["payments", "metrics"]),
    ],
)
def test_a_door_is_open_to_whom_it_is_said_to_be(
    given: dict[str, str], gateway: list[str | None], simulator: list[str]
) -> None:
    """Gateway and simulator show metrics at the door that their callers use."""
    chosen = [
        word
        for name, who in given.items()
        for word in (
            "--set-json",
            f'networkPolicy.{name}=[{{"podSelector": {{"matchLabels": {{"x": "{who}"}}}}}}]',
        )
    ]
    found = policies(rendered("--set", "secrets.existingSecret=orderhub", *chosen))
    for service, expected in (("gateway", gateway), ("simulator", simulator)):
        assert [
            next(iter(reversed(rule["from"][0]["podSelector"]["matchLabels"].values())))
            if "from" in rule
            else None
            for rule in found[f"shop-orderhub-{service}"]["ingress"]
        ] == expected, service
    (health,) = (r for r in found["shop-orderhub-delivery"]["ingress"] if r["ports"][0]["port"] == 8081)
    assert ("from" in health) == ("metricsFrom" in given)


@pytest.mark.parametrize(("values", "number"), [("minimal", 7), ("production", 6)])
def test_whoever_is_called_lets_the_caller_in_and_the_caller_is_let_out(
    all_manifests: dict[str, list[Manifest]], values: str, number: int
) -> None:
    manifests = all_manifests[values]
    found = policies(manifests)
    calls = [
        (name, host, int(port))
        for name, pod in pods(manifests).items()
        for host, port in re.findall(r"\bshop-orderhub-([a-z]+):(\d+)", " ".join(variables(pod).values()))
    ]
    assert len(calls) == number
    for caller, called, port in calls:
        assert allows(found[f"shop-orderhub-{called}"]["ingress"], "from", caller, port), (caller, called)
        assert allows(found[f"shop-orderhub-{caller}"]["egress"], "to", called, port), (caller, called)
    assert not allows(found["shop-orderhub-auth"]["ingress"], "from", "orders", 50051)
    if values == "minimal":
        assert not allows(found["shop-orderhub-simulator"]["ingress"], "from", "orders", 8080)


def allows(rules: list[Manifest], side: str, component: str, port: int) -> bool:
    return any(
        port in {row["port"] for row in rule["ports"]}
        and component in str([peer.get("podSelector", {}) for peer in rule.get(side, [])])
        for rule in rules
    )


def test_only_those_reach_a_server_whom_a_secret_leads_there(
    all_manifests: dict[str, list[Manifest]],
) -> None:
    """postgres 5432, redis 6380 and kafka 9093 of the production values, by what each container is told."""
    manifests = all_manifests["production"]
    found = policies(manifests)
    ports = {"DATABASE_URL": 5432, "REDIS_URL": 6380, "BUS": 9093}
    for name, pod in pods(manifests).items():
        told = variables(pod)
        for part, port in ports.items():
            needed = any(variable.endswith(part) for variable in told)
            component = "migrate" if name.startswith("migrate") else name
            egress = found[f"shop-orderhub-{component}"]["egress"]
            reached = any(port in {row["port"] for row in rule["ports"]} for rule in egress)
            assert reached == needed, f"{name}: {part}"


def test_in_production_stripe_and_keycloak_are_reached_by_those_who_ask_them(
    all_manifests: dict[str, list[Manifest]],
) -> None:
    manifests = all_manifests["production"]
    found = policies(manifests)
    out = {
        name
        for name in topology.NAMES
        for rule in found[f"shop-orderhub-{name}"]["egress"]
        if 443 in {row["port"] for row in rule["ports"]}
    }
    assert out == {"gateway", "payments"}
    assert variables(pods(manifests)["payments"])["ORDERHUB_PAYMENTS_PROVIDER"] == "stripe"
    assert topology.SIMULATOR not in of_kind(manifests, "Deployment")


def test_certificates_of_one_s_own_are_in_every_pod_and_job(all_manifests: dict[str, list[Manifest]]) -> None:
    for values, expected in (("minimal", False), ("production", True)):
        for name, pod in pods(all_manifests[values]).items():
            places = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
            assert (places.get("certificates") == "/etc/orderhub/certificates") == expected, name
            assert places.keys() == {volume["name"] for volume in pod["volumes"]}


def test_every_service_of_the_chart_is_one_of_the_product() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["services"].keys() == set(OURS)
    for name, service in values["services"].items():
        assert issubclass(settings_of(name), ServiceSettings) == ("kafka" in service["servers"]), name
