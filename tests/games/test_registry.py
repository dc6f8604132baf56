"""What games are to those who play them, by their ids."""

import pytest

from tf_apil import games


@pytest.mark.parametrize("game_id", games.GAMES)
def test_specifications(game_id):
    """They say of both seats what the batch has, and the opponent's joints are among what shows the opponent."""
    spec, rules = games.spec(game_id), games.get(game_id)
    assert spec.id == game_id and spec.max_episode_steps == rules.max_episode_steps
    for seat, name in zip(spec.seats, rules.seats, strict=True):
        assert (seat.name, seat.observation_dim, seat.action_dim) == (name, rules.observation_dim, rules.action_dim)
        assert seat.control_limit == rules.control_limit
        ends = [end for columns in seat.opponent_columns for end in columns]
        assert ends == sorted(set(ends)) and 0 <= ends[0] and ends[-1] <= seat.observation_dim
        joints = seat.opponent_joints
        assert any(start <= joints[0] and joints[1] <= stop for start, stop in seat.opponent_columns)
