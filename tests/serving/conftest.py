"""Exports of made-up policies, which tests only read."""

import pytest
from made_up import CARD, KINDS, Served, make_model

from tf_apil import serving


@pytest.fixture(scope="session", params=KINDS)
def served(request, tmp_path_factory) -> Served:
    """Each kind in turn."""
    model = make_model(request.param)
    return Served(request.param, model, serving.export(model, tmp_path_factory.mktemp("exports") / "policy", CARD))


@pytest.fixture(scope="session")
def recurrent(tmp_path_factory) -> Served:
    """The recurrent one."""
    model = make_model("lstm")
    return Served("lstm", model, serving.export(model, tmp_path_factory.mktemp("exports") / "lstm", CARD))


@pytest.fixture(scope="session")
def feed_forward(tmp_path_factory) -> Served:
    """One that is small and feed-forward."""
    model = make_model("actor_critic")
    return Served("actor_critic", model, serving.export(model, tmp_path_factory.mktemp("exports") / "small", CARD))
