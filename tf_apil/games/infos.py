"""What a step tells of each player, in the words of the original games."""

from tf_apil.games.game import Game
from tf_apil.games.step import GameStep


def of_match(game: Game, step: GameStep, match: int = 0) -> tuple[dict, dict]:
    """Returns the `info` dictionaries of both seats, with the originals' keys.

    | key                                                     | value                                                 |
    |---------------------------------------------------------|-------------------------------------------------------|
    | `reward_forward`, `reward_center`, `reward_survive`, ...| the terms of the move reward, those that the seat has |
    | `reward_ctrl`, `reward_contact`, and what else          | a term that counts against the player, without its    |
    | `Game.costs` names                                      | minus sign                                            |
    | `reward_move`                                           | the move reward, with the zero-sum shaping            |
    | `reward_remaining`                                      | the goal reward                                       |
    | `agent_done`                                            | whether the player has fallen                         |
    | `winner`                                                | True; in the winner's dictionary of the last step only|

    Two keys are not the originals', and there only where they apply: `TimeLimit.truncated` is True where the match was
    cut off by a number of steps that is none of the rules' (its last state is then as good as any, as gym means it);
    `fault` is a note where it ended because of an action or a state that was not finite. That is an end for good: of
    what would have come nothing can be expected.

    Args:
        game: the rules.
        step: of the batch.
        match: the row of `step`, which is the match's number where `step` is of the whole batch.
    """
    fault = step.faults.get(match)
    both: tuple[dict, dict] = ({}, {})
    for seat, info in enumerate(both):
        for name, term in step.terms[seat].items():
            info[name] = float(-term[match] if name in game.costs else term[match])
        info["reward_move"] = float(step.dense_reward[match, seat])
        info["reward_remaining"] = float(step.sparse_reward[match, seat])
        info["agent_done"] = bool(step.agent_done[match, seat])
        if step.done[match] and step.winner[match] == seat:
            info["winner"] = True
        if fault is not None:
            info["fault"] = fault
        if step.truncated[match]:
            info["TimeLimit.truncated"] = True
    return both
