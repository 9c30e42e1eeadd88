"""https with certificate files: spoken by a real client, and refused before anything listens where it cannot work."""

import socket
import ssl
import subprocess
import sys

import httpx
import pytest

from certificates import make_pair
from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.settings import ServiceSettings
from loquela.service.serving import serve
from loquela.service.tls import check_tls
from served import Served


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_real_client_is_answered_over_tls_and_only_over_tls(tmp_path):
    certificate, key = make_pair(tmp_path, "own")
    trust = ssl.create_default_context(cafile=str(certificate))
    served = Served(
        tmp_path, trust=trust, LOQUELA_TLS_CERTIFICATE=str(certificate), LOQUELA_TLS_KEY=str(key), LOQUELA_WORKERS="0"
    )
    try:
        assert served.address.startswith("https://127.0.0.1:")
        answer = served.client.get("/runs")
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        opened = served.client.get(served.login_link)
        assert opened.status_code == 200
        assert {"Secure", "HttpOnly", "SameSite=strict"} <= set(opened.headers["set-cookie"].split("; "))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{served.address}/healthz")
        with pytest.raises(httpx.HTTPError):
            httpx.get(served.address.replace("https:", "http:") + "/healthz")
        old = ssl.create_default_context(cafile=str(certificate))
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        port = int(served.address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as raw, pytest.raises(ssl.SSLError):
            old.wrap_socket(raw, server_hostname="127.0.0.1")
        assert served.client.get("/healthz").status_code == 200
    finally:
        assert served.stop() == 0


def test_without_tls_no_browser_is_told_to_use_it(owner):
    assert "strict-transport-security" not in owner.get("/healthz").headers


@pytest.mark.parametrize("half", ["tls_certificate", "tls_key"])
def test_half_a_pair_is_refused_before_anything_is_made(tmp_path, half):
    settings = ServiceSettings(data=tmp_path / "d", **{half: tmp_path / "one.pem"})
    with pytest.raises(RecipeError, match="tls_certificate and tls_key go together") as caught:
        serve(settings, lambda announcement: None, lambda: settings, [])
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    assert not (tmp_path / "d").exists()


def test_files_that_do_not_fit_are_told_before_anything_listens(tmp_path):
    (own, own_key), (_, other_key) = make_pair(tmp_path, "own"), make_pair(tmp_path, "other")
    _, sealed = make_pair(tmp_path, "sealed", password=b"a password")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing\n")

    def refused(certificate, key):
        with pytest.raises(RecipeError) as caught:
            check_tls(ServiceSettings(tls_certificate=certificate, tls_key=key))
        assert caught.value.remedy
        return caught.value.message

    check_tls(ServiceSettings(tls_certificate=own, tls_key=own_key))
    check_tls(ServiceSettings())
    assert refused(own, other_key) == f"the key {other_key} is not that of the certificate {own}"
    assert "are no pair of PEM files" in refused(own, nonsense)
    assert "are no pair of PEM files" in refused(nonsense, own_key)
    assert "are no pair of PEM files" in refused(own, sealed)
    assert refused(tmp_path / "none.pem", own_key).endswith("none.pem cannot be read: No such file or directory")
    assert "tls_key: " in refused(own, tmp_path)


def test_a_wrong_pair_ends_the_command_with_a_sentence(tmp_path):
    certificate, _ = make_pair(tmp_path, "own")
    _, key = make_pair(tmp_path, "other")
    settings = tmp_path / "service.toml"
    settings.write_text(f'tls_certificate = "{certificate}"\ntls_key = "{key}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "loquela", "serve", "--data", "d", "--port", "0", "--settings", str(settings)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not that of the certificate" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "d").exists()
