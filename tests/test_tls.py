"""ECS over TLS: which certificates are trusted, and what is reported about the others."""

import re
import ssl
import subprocess

import pytest

from standin import Program
from standin.tls import ISSUER, Authority


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def program(authority, make_host, tmp_path):
    return Program(make_host(tls=authority.context), tmp_path)


def test_a_bundle_that_names_the_issuer_is_enough(program, authority):
    assert program.run(AWS_CA_BUNDLE=authority.bundle).status == 0
    assert len(program.host.instance.tasks) == 1


def test_the_option_names_the_bundle_too(program, authority):
    assert program.run("--ca-bundle", str(authority.bundle)).status == 0
    assert len(program.host.instance.tasks) == 1


def test_a_certificate_of_an_unknown_issuer_is_given_up_at_once_naming_issuer_and_bundle(program):
    outcome = program.run(verbosity=None)
    assert outcome.status == 69 and outcome.seconds < 10
    assert ISSUER in outcome.stderr
    assert re.search(r"AWS_CA_BUNDLE", outcome.stderr)
    assert not program.host.asked("StartTask")


def test_a_bundle_of_another_authority_is_named(program, tmp_path):
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").bundle
    outcome = program.run(AWS_CA_BUNDLE=other)
    assert outcome.status == 69
    assert ISSUER in outcome.stderr and str(other) in outcome.stderr


def test_a_certificate_for_another_name_is_not_trusted(make_host, tmp_path):
    authority = Authority(tmp_path, "ecs.example.test")
    outcome = Program(make_host(tls=authority.context), tmp_path).run(AWS_CA_BUNDLE=authority.bundle)
    assert outcome.status == 69
    assert re.search(r"certificate.*(name|127\.0\.0\.1)", outcome.stderr)


@pytest.mark.parametrize(
    "content",
    [None, "", "no certificate\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    ids=["missing", "empty", "not-pem", "broken"],
)
def test_a_bundle_that_cannot_be_used_is_a_configuration_error(content, program, tmp_path):
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    outcome = program.run(AWS_CA_BUNDLE=bundle)
    assert outcome.status == 78 and str(bundle) in outcome.stderr
    assert not program.host.asked("StartTask")


def test_a_bundle_with_a_certificate_that_was_cut_off_is_refused_although_the_next_one_is_whole(program, authority, tmp_path):
    whole = authority.bundle.read_text()
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("An authority\n" + "\n".join(whole.splitlines()[:5]) + "\n" + whole)
    outcome = program.run(AWS_CA_BUNDLE=bundle)
    assert outcome.status == 78 and f"cannot use the certificates in {bundle}: a certificate in it has no end" in outcome.stderr
    bundle.write_text(f"An authority\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n{whole}and its end")
    assert program.run(AWS_CA_BUNDLE=bundle).status == 0


def test_a_bundle_without_an_end_takes_no_memory(program):
    outcome = program.run(AWS_CA_BUNDLE="/dev/zero")
    assert outcome.status == 78 and "larger than" in outcome.stderr


def test_the_systems_bundle_is_trusted_without_any_setting(program, authority, etc):
    bundle = etc(program) / "ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    bundle.write_text(authority.bundle.read_text())
    assert program.run().status == 0
    assert len(program.host.instance.tasks) == 1


def test_a_handshake_that_is_cut_is_retried(program, authority):
    program.host.ecs.drop(1)
    assert program.run(AWS_CA_BUNDLE=authority.bundle).status == 0
    assert len(program.host.instance.tasks) == 1


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def test_a_trusted_certificate_is_told_with_what_to_give_instead(program, authority, tmp_path):
    """`openssl x509 -trustout` writes it; next to a valid certificate it would be skipped silently."""
    trusted, both = tmp_path / "trusted.pem", tmp_path / "both.pem"
    openssl("x509", "-in", authority.bundle, "-trustout", "-addtrust", "serverAuth", "-out", trusted)
    both.write_text(authority.bundle.read_text() + trusted.read_text())
    for bundle in (trusted, both):
        outcome = program.run(AWS_CA_BUNDLE=bundle, verbosity=None)
        assert outcome.status == 78 and str(bundle) in outcome.stderr
        assert "BEGIN TRUSTED CERTIFICATE" in outcome.stderr and f"openssl x509 -in {bundle}" in outcome.stderr
        assert not program.host.asked("StartTask")


def self_signed(directory, name, constraint):
    """A server's certificate that is its own issuer, as `openssl req -x509` makes it, and a context that serves it."""
    certificate, key = directory / "self.pem", directory / "self-key.pem"
    subject = ["-subj", f"/CN={ISSUER}", "-addext", f"subjectAltName=IP:{name}", "-addext", f"basicConstraints=critical,CA:{constraint}"]
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", *subject)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_a_self_signed_server_certificate_is_trusted_when_it_is_given(make_host, tmp_path):
    certificate, context = self_signed(tmp_path, "127.0.0.1", "FALSE")
    program = Program(make_host(tls=context), tmp_path)
    assert program.run(AWS_CA_BUNDLE=certificate).status == 0


def test_a_self_signed_server_certificate_is_given_up_at_once_when_it_is_not(make_host, authority, tmp_path):
    _, context = self_signed(tmp_path, "127.0.0.1", "FALSE")
    program = Program(make_host(tls=context), tmp_path)
    outcome = program.run(AWS_CA_BUNDLE=authority.bundle, verbosity=None)
    assert outcome.status == 69 and outcome.seconds < 10
    assert re.search(f"issued by .*{ISSUER}.*{authority.bundle}", outcome.stderr)
    assert not program.host.asked("StartTask")


def test_an_authoritys_own_certificate_cannot_be_the_servers(make_host, tmp_path):
    """By default, `openssl req -x509` makes the certificate of an authority."""
    certificate, context = self_signed(tmp_path, "127.0.0.1", "TRUE")
    outcome = Program(make_host(tls=context), tmp_path).run(AWS_CA_BUNDLE=certificate, verbosity=None)
    assert outcome.status == 69 and not re.search(r"Other\(|CaUsed", outcome.stderr)
    assert re.search(r"is a CA's certificate.*CA:FALSE", outcome.stderr)
