"""The demonstration without the zoo, and what it says of win rates. `.ci/run` runs it whole."""

import pytest

import zoo_loader
from tf_apil import demo, games
from tf_apil.policies import loading
from zoo_loader import download


def test_without_the_zoo_the_shipped_walker_takes_its_place(monkeypatch, tmp_path):
    def no_network(entry, advice):
        raise zoo_loader.ZooFileError(entry.name, "no network")

    monkeypatch.delenv("TF_APIL_ZOO", raising=False)
    monkeypatch.setenv("TF_APIL_CACHE", str(tmp_path))
    monkeypatch.setattr(download, "_download", no_network)
    victim = demo.find_victim(None)
    assert victim in loading.shipped()
    assert loading.policy(victim, games.get("multicomp/YouShallNotPassHumans-v0")).action_dim == 17


def test_with_the_zoo_it_is_the_zoo_walker(zoo_dir):
    assert demo.find_victim(str(zoo_dir)) == "ysnp/walker"


@pytest.mark.parametrize("wins, share", [([1, 9], "0.900"), ([10, 0], "0.000")])
def test_the_table_is_of_the_victim(wins, share):
    row = {"seat0": "runs/x", "seat1": "w", "matches": 10, "wins": wins, "wilson95": [[0, 1], [0.1, 0.2]]}
    text = demo._victim_table([row | {"seat0": "random"}, row], "runs/x")
    _, random, adversary = text.splitlines()
    assert "random blocker" in random and "trained adversary" in adversary
    assert share in adversary and "0.100 to 0.200" in adversary
