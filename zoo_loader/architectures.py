"""What a network consists of: the names and shapes of its variables, of one kind and width."""

import dataclasses
import math

MLP_UNITS = 64
LSTM_UNITS = 128

Variables = tuple[tuple[str, tuple[int, ...]], ...]

_NUM_STATISTICS = {"mlp": 6, "lstm": 6, "sb_mlp": 6, "dense": 5}  # Variables of the normalisation, the first ones.


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The variables of one kind of network.

    Attributes:
        kind: "mlp", "lstm", "sb_mlp" or "dense".
        observation_dim: D.
        action_dim: A.
        variables: (name, shape) of every variable; those of a flat vector in its order.
    """

    kind: str
    observation_dim: int
    action_dim: int
    variables: Variables

    @property
    def recurrent(self) -> bool:
        """Whether the network carries a state from step to step."""
        return self.kind == "lstm"

    @property
    def file_layouts(self) -> tuple[Variables, ...]:
        """What a weight file of this network may hold, in file order; the most comes first."""
        num = _NUM_STATISTICS[self.kind]
        weights, policy = self.variables[num:], self.variables[num + 6 :]
        if self.kind == "sb_mlp":
            return (weights,)
        return (self.variables, weights, policy) if self.recurrent else (self.variables, weights)

    @property
    def num_parameters(self) -> int:
        """The length of the longest flat vector."""
        return size(self.file_layouts[0])

    @property
    def _layers(self) -> str:
        if self.recurrent:
            return f"fc{LSTM_UNITS}+lstm{LSTM_UNITS}"
        if self.kind != "dense":
            return f"{MLP_UNITS}-{MLP_UNITS}"
        hidden = [(key, str(shape[0])) for key, shape in self.variables if key.endswith("/b") and "_" in key]
        policy, value = ("-".join(units for key, units in hidden if key.startswith(tower)) for tower in ("pi_", "vf_"))
        activation = "relu " if any("_relu" in key for key, _ in hidden) else ""
        return activation + (policy or "linear") + (f" (value {value or 'linear'})" if value != policy else "")

    def __str__(self) -> str:
        return f"{self.kind} {self._layers}, observation {self.observation_dim}, action {self.action_dim}"


def size(variables: Variables) -> int:
    """How many numbers variables hold together."""
    return sum(math.prod(shape) for _, shape in variables)
