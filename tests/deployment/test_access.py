"""Who may connect: tokens, this machine and others, web pages, and how many at once."""

from __future__ import annotations

import re
import time

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from deployment.serving import get, observation, running
from mfpolicy.deployment.client import PolicyClient, PolicyConnectionError
from mfpolicy.deployment.server.server import ServerOptions
from mfpolicy.errors import ConfigError

TOKEN = "s3cret~"


@pytest.fixture(scope="module")
def guarded():
    with running(token=TOKEN) as server:
        yield server


@pytest.mark.parametrize("token", [None, "", "s3cret", "s3cret~~", "S3CRET~"])
def test_without_its_token_nobody_gets_in(guarded, token):
    with pytest.raises(PolicyConnectionError) as caught:
        PolicyClient(guarded.url, token=token)
    assert caught.value.code == 401
    assert "Authorization: Bearer" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_with_the_token_a_client_is_served(guarded):
    with PolicyClient(guarded.url, token=TOKEN) as client:
        assert client.predict(observation()).shape == (1, 3, 2)
    assert get(guarded.url)[1] == {"ready": True}
    assert get(guarded.url, token=TOKEN)[1]["requests"] >= 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "robot.local", ""])
def test_others_can_connect_only_with_a_token(host):
    with pytest.raises(ConfigError, match=re.escape(f"must have a token. Received: {host!r}")):
        ServerOptions(host=host)
    assert TOKEN not in repr(ServerOptions(host=host, token=TOKEN))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_no_token(host):
    ServerOptions(host=host)


@pytest.mark.parametrize("token", ["two words", "line\r\nbreak", "über", ""])
def test_a_token_that_no_header_can_carry_is_refused(token):
    with pytest.raises(ConfigError, match="visible ASCII"):
        ServerOptions(token=token)


def test_a_web_page_is_turned_away():
    with running() as server, pytest.raises(InvalidStatus) as caught:
        connect(server.url, origin="https://example.org")
    assert caught.value.response.status_code == 403


def test_more_clients_than_allowed_are_turned_away_and_others_stay():
    with running(max_clients=2) as server:
        with PolicyClient(server.url) as one, PolicyClient(server.url):
            with pytest.raises(PolicyConnectionError, match="at most 2 clients") as caught:
                PolicyClient(server.url)
            assert caught.value.code == 503
            assert one.predict(observation()).shape == (1, 3, 2)
        deadline = time.monotonic() + 10
        while get(server.url)[1]["clients"]:
            assert time.monotonic() < deadline
        with PolicyClient(server.url) as again:
            assert again.predict(observation()).shape == (1, 3, 2)
