"""Where the API server is and who we are."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.client.kubeconfig import Connection, KubeconfigError, in_cluster, load_connection


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def a_kubeconfig(folder: Path, *, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
    content = {
        "current-context": "home",
        "clusters": [{"name": "home", "cluster": {"server": "https://localhost:6443/", **cluster}}],
        "users": [{"name": "me", "user": user or {}}],
        "contexts": [
            {"name": "home", "context": {"cluster": "home", "user": "me"}},
            {"name": "shop", "context": {"cluster": "home", "user": "me", "namespace": "shop"}},
        ],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return path


def test_inline_data_and_files_mean_the_same(tmp_path: Path):
    for name, text in (("ca.crt", "CA"), ("me.crt", "CERT"), ("me.key", "KEY")):
        (tmp_path / name).write_text(text)
    expected = Connection("https://localhost:6443", ca_data=b"CA", cert_data=b"CERT", key_data=b"KEY")

    files = {"client-certificate": "me.crt", "client-key": str(tmp_path / "me.key")}
    inline = {"client-certificate-data": b64("CERT"), "client-key-data": b64("KEY")}
    assert load_connection(a_kubeconfig(tmp_path, user=files, **{"certificate-authority": "ca.crt"})) == expected
    data = {"certificate-authority-data": b64("CA")}
    assert load_connection(a_kubeconfig(tmp_path, user=inline, **data)) == expected


def test_a_context_brings_its_namespace(tmp_path: Path):
    path = a_kubeconfig(tmp_path, user={"token": "abc"})

    assert (load_connection(path).namespace, load_connection(path, "shop").namespace) == ("default", "shop")


def test_a_token_file_is_read_again_when_it_was_rotated(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("first\n")
    connection = load_connection(a_kubeconfig(tmp_path, user={"tokenFile": "token"}))

    assert connection.current_token() == "first"
    token.write_text("second\n")
    assert connection.current_token() == "second"


def test_secrets_do_not_show_in_logs(tmp_path: Path):
    connection = load_connection(a_kubeconfig(tmp_path, user={"token": "sesame"}))

    assert "sesame" not in repr(connection)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"exec": {"command": "aws"}}, r"config: exec is not supported: use a token or a client certificate"),
        ({"client-certificate-data": "?"}, "client-certificate-data is not base64"),
        ({"client-certificate": "none.crt"}, r"client-certificate cannot be read: No such file .*none\.crt"),
        ({"client-key-data": b64("KEY")}, "client-certificate and client-key must be given together"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, user: dict[str, Any], message: str):
    with pytest.raises(KubeconfigError, match=message):
        load_connection(a_kubeconfig(tmp_path, user=user))


def test_a_context_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path):
    with pytest.raises(KubeconfigError, match=r"no context of this name; there are home, shop \(seen: work\)"):
        load_connection(a_kubeconfig(tmp_path), "work")


def test_a_file_that_is_not_there_or_no_yaml_is_named(tmp_path: Path):
    broken = tmp_path / "broken"
    broken.write_text("{")

    with pytest.raises(KubeconfigError, match="absent: No such file"):
        load_connection(tmp_path / "absent")
    with pytest.raises(KubeconfigError, match="broken: not YAML"):
        load_connection(broken)


def test_a_pod_finds_its_service_account(tmp_path: Path):
    for name, text in (("token", "abc\n"), ("ca.crt", "CA"), ("namespace", "shop\n")):
        (tmp_path / name).write_text(text)
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}

    connection = in_cluster(tmp_path, environ)

    assert (connection.server, connection.namespace, connection.current_token()) == (
        "https://10.96.0.1:443",
        "shop",
        "abc",
    )
    with pytest.raises(KubeconfigError, match="not inside a pod: KUBERNETES_SERVICE_HOST"):
        in_cluster(tmp_path, {})
