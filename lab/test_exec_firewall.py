# SPDX-License-Identifier: Apache-2.0
"""`waylay exec --allow/--deny`: a firewall for one command.

The gateway's namespace plays the host.  What is refused is refused at once, is
told at the end, and never reaches the server.
"""

import re

import pytest

from exec_case import CURL_REFUSED, CURL_RESET, DATAGRAMS, HOST, client_seen, curl
from exec_case import nothing_is_left, skip_without_namespaces, the_host_is_as_before
from exec_case import url_of, waylay_exec, web, who
from namespace import endpoint
from programs import NAME, NameServer

__all__ = ["nothing_is_left", "the_host_is_as_before", "web", "who"]  # fixtures


# --- by address -------------------------------------------------------------------

ALLOWED = {
    "address": ["--allow", "{srv}"],
    "address_and_port": ["--allow", "{srv_port}"],
    "network": ["--allow", "198.51.100.0/24", "--allow", "2001:db8:2::/64"],
    "not_denied": ["--deny", "{srv2}"],
    "port_not_denied": ["--deny", "{srv_other_port}"],
    "one_of_several": ["--allow", "{srv2}", "--allow", "{srv}"],
}
REFUSED = {
    "not_allowed": ["--allow", "{srv2}"],
    "port_not_allowed": ["--allow", "{srv_other_port}"],
    "denied": ["--deny", "{srv}"],
    "port_denied": ["--deny", "{srv_port}"],
    "allowed_and_denied": ["--allow", "{srv}", "--deny", "{srv}"],
    "denied_and_allowed": ["--deny", "{srv_port}", "--allow", "{srv}"],
    "second_of_several": ["--deny", "{srv2}", "--deny", "{srv}"],
    "nothing_but_names": ["--deny", "{srv}", "--allow", "www.example.org"],
}


def rules_of(words: list[str], lab, family: str) -> list[str]:
    values = {
        "srv": lab.srv.address(family),
        "srv2": lab.srv2.address(family),
        "srv_port": endpoint(lab.srv.address(family), 8080),
        "srv_other_port": endpoint(lab.srv.address(family), 8081),
    }
    return [word.format(**values) for word in words]


@pytest.mark.parametrize("words", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_goes(lab, words, family, web):
    options = rules_of(words, lab, family)
    done = lab.gw.run(*waylay_exec(*options), *curl(url_of(lab.srv, family)))
    assert client_seen(done.stdout) == HOST[family]
    assert "REFUSED" not in done.stderr


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_what_is_not_allowed_is_refused_and_told(lab, words, family, leaks, web):
    """As by a host where nobody listens: RST to the SYN."""
    options = rules_of(words, lab, family)
    url = url_of(lab.srv, family)
    done = lab.gw.run(*waylay_exec(*options), *curl(url), check=False)
    assert done.returncode == CURL_REFUSED
    server = re.escape(endpoint(lab.srv.address(family), 8080))
    assert re.search(rf"^tcp {server} +1$", done.stderr, re.MULTILINE)
    assert leaks.own() == 0


def test_the_firewall_of_an_ordinary_user(lab, family, leaks, web):
    skip_without_namespaces()
    url = url_of(lab.srv, family)
    for option, status in (("--deny", CURL_REFUSED), ("--allow", 0)):
        options = (option, lab.srv.address(family))
        words = waylay_exec(*options, who="ordinary")
        done = lab.gw.run(*words, *curl(url), check=False)
        assert done.returncode == status
        assert ("REFUSED" in done.stderr) == (status != 0)


def test_each_refused_datagram_is_answered(lab, who, family, leaks):
    """At once: twenty in a row, and not one a second as the kernel would."""
    words = waylay_exec("--deny", lab.srv.address(family), who=who)
    done = lab.gw.run(*words, *DATAGRAMS, lab.srv.address(family), "20")
    assert done.stdout.split() == ["refused"] * 20
    assert len(re.findall(r"^udp .*:50\d\d +1$", done.stderr, re.MULTILINE)) == 20
    assert leaks.own() == 0


# --- by name ----------------------------------------------------------------------

NAMED = {
    "allowed": (["--allow", NAME], NAME, 0),
    "allowed_with_its_port": (["--allow", f"{NAME}:8080"], NAME, 0),
    "allowed_below": (["--allow", ".lab"], NAME, 0),
    "another_is_allowed": (["--allow", NAME], "other.lab", CURL_RESET),
    "denied": (["--deny", NAME], NAME, CURL_RESET),
    "another_is_denied": (["--deny", NAME], "other.lab", 0),
    "denied_below": (["--deny", "*.lab", "--allow", NAME], NAME, CURL_RESET),
}


@pytest.mark.parametrize("words, name, status", NAMED.values(), ids=NAMED)
def test_rules_by_name(lab, words, name, status, family, web):
    to = endpoint(lab.srv.address(family), 8080)
    where = ("--connect-to", f"{name}:8080:{to}")
    url = f"http://{name}:8080/"
    done = lab.gw.run(*waylay_exec(*words), *curl(url, *where), check=False)
    assert done.returncode == status
    is_told = re.search(rf"^tcp {name}:8080 +1$", done.stderr, re.MULTILINE)
    assert bool(is_told) == (status != 0)


def test_a_port_of_a_name_that_is_not_allowed(lab, family, leaks, web):
    """No name could save it, so nobody waits for one."""
    to = endpoint(lab.srv.address(family), 8080)
    words = waylay_exec("--allow", f"{NAME}:81")
    where = ("--connect-to", f"{NAME}:8080:{to}")
    done = lab.gw.run(*words, *curl(f"http://{NAME}:8080/", *where), check=False)
    assert done.returncode == CURL_REFUSED
    assert f"tcp {to} " in done.stderr
    assert leaks.own() == 0


@pytest.mark.parametrize("address", ["127.0.0.53", "198.51.100.10"])
def test_names_resolve_whatever_is_allowed(
    lab, who, address, web, resources, tmp_path
):
    """The name server of the host; one on loopback, or one that is denied."""
    host = lab.gw if address.startswith("127.") else lab.srv
    options = (f"--listen-address={address}", "--bind-interfaces")
    server = NameServer(host, lab.srv.v4, lab.srv.v6, *options)
    resources.callback(server.close)
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(f"nameserver {address}\n")
    resolv_conf.chmod(0o644)
    rules = ("--allow", NAME, "--deny", f"{lab.srv.v4}:53")
    said = lab.gw.run(
        *("unshare", "--mount", "sh", "-c"),
        *('mount --bind "$0" /etc/resolv.conf && exec "$@"', str(resolv_conf)),
        *(*waylay_exec(*rules, who=who), *curl(f"http://{NAME}:8080/")),
    ).stdout
    assert client_seen(said) in HOST.values()
