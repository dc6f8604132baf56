"""Every published file that zoo_loader knows: where it plays, what it is, where it is from, and its fingerprint.

A name is the file's path in the zoo without its ending, such as
`multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1`. The files of two-sided games are called agent1 and agent2
for the seats 0 and 1; Sumo's one kind serves both seats.
"""

import dataclasses
import difflib

from zoo_loader import formats
from zoo_loader.errors import UnknownNameError

CITATION = (
    "Bansal, Pachocki, Sidor, Sutskever, Mordatch: Emergent Complexity via Multi-Agent Competition, ICLR 2018, "
    "arXiv:1710.03748"
)
_URL = "https://raw.githubusercontent.com/HumanCompatibleAI/multiagent-competition/3a3f9dc/gym_compete/agent_zoo"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One published weight file.

    Attributes:
        name: The catalogue name.
        game: The id of the game it was trained in.
        seats: The seats it can take, 0 and 1.
        family: "multicomp".
        version: "v1", "v2", ...: independent or later trainings of the same role.
        method: How it was trained.
        architecture: The layout of the flat vector.
        sha256: Of the file, in hexadecimal.
        size: Bytes.
        citation: What to cite.
    """

    name: str
    game: str
    seats: tuple[int, ...]
    family: str
    version: str
    method: str
    architecture: formats.Architecture
    sha256: str
    size: int
    citation: str = CITATION

    @property
    def observation_dim(self) -> int:
        """D, the width of its observations."""
        return self.architecture.observation_dim

    @property
    def action_dim(self) -> int:
        """A, the number of its motors."""
        return self.architecture.action_dim

    @property
    def filename(self) -> str:
        """The path of the file in the zoo folder."""
        return f"{self.name}.pkl"

    @property
    def url(self) -> str:
        """Where it is published."""
        return f"{_URL}/{self.filename}"


# Game -> layout, and bytes of a file: 4 a parameter, the rest is the pickle around them.
_GAMES = {
    "KickAndDefend-v0": (formats.lstm(384, 17), 1459517),
    "RunToGoalAnts-v0": (formats.mlp(122, 8), 99779),
    "RunToGoalHumans-v0": (formats.mlp(380, 17), 236315),
    "SumoAnts-v0": (formats.lstm(137, 8), 1199933),
    "SumoHumans-v0": (formats.lstm(395, 17), 1470869),
    "YouShallNotPassHumans-v0": (formats.mlp(380, 17), 236315),
}

_FILES = """
4f3f79909cc13960637672e8065fa3c6f38a68ee23703741f5dda6dbc0548fef  KickAndDefend-v0/agent1_parameters-v1
4bdbda77beec972c534781cd0b7b6ed4f35b29b7a6dcb351a8da1c278f2a3e30  KickAndDefend-v0/agent1_parameters-v2
f2decea19d00a9f7952c9e1c47c73e5af719ecc1c41b1545cff33286dcc0f9c3  KickAndDefend-v0/agent1_parameters-v3
525689ed9bf5e0bd99b84624781760f2de7faa41638c82bab674322bd85093ed  KickAndDefend-v0/agent2_parameters-v1
5d0f271fe18d7a7f713af5827ad014ff0bd49d93149932f3eb052001b18f9182  KickAndDefend-v0/agent2_parameters-v2
1e6975eede302adf254c2c61e4b16673bdece4c64fcd8f15481a54c702dba558  KickAndDefend-v0/agent2_parameters-v3
a4952a461f762fa55973a113b42f1a797e6e2a3e45183b7eabc5181d9a90bc1c  RunToGoalAnts-v0/agent1_parameters-v1
a4993568758d7eb48317a5051c87df242cc6e37f205319a32535250f4a950785  RunToGoalAnts-v0/agent2_parameters-v1
bb68dfeaf4b51872ca63c8e0e5d9c0594e9296e5f869a2a2f741a5cb4d3cd5d8  RunToGoalHumans-v0/agent1_parameters-v1
c7f30c19a2cdc05942572ff006d68003832f8680acea77504d5fc5fa9311423e  RunToGoalHumans-v0/agent2_parameters-v1
c7c6d3104506bbd7ee69abe94746646f2bd9a377c168a6136b05a1e61cf00881  SumoAnts-v0/agent_parameters-v1
10a6357fd1854e7ee390acff9c7fe9501c68aba64cc17efd15d78929bf3e7050  SumoAnts-v0/agent_parameters-v2
a4ecc6a75b25e9dce8dbd555f557dc8b4811eafd0e96b752a62eb3e4f890279d  SumoAnts-v0/agent_parameters-v3
5c79b84f30bd8b783e1b217d8b90c9f460d64a1a1174d075ccb204e66935eda1  SumoAnts-v0/agent_parameters-v4
cf2d4f4e67e0d50bdfcd7e053c2791362600255fc95b4a50b13177973cc63083  SumoHumans-v0/agent_parameters-v1
ceb4716093db34ea3889af7f577888bb7420749bae41ac8c7042d10c13cbc8da  SumoHumans-v0/agent_parameters-v2
e56d0b452f873a0a1f1ae27c07fe1709a246729731f0f1a0182d651784bbae7e  SumoHumans-v0/agent_parameters-v3
eba00a1165b7b17f32b33d3e1062da1a0b2c4b822b76718db4f207cbcef64b7e  YouShallNotPassHumans-v0/agent1_parameters-v1
4918ddfca5828c2455c75e7b9def6a801567abc5b68cad34e038c22c2fbfdf6a  YouShallNotPassHumans-v0/agent2_parameters-v1
"""

# Victims were retrained, in each of four games, from one file: that whose layout they share. They keep its filters.
STARTS = {
    formats.mlp(380, 17): "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1",
    formats.lstm(384, 17): "multicomp/KickAndDefend-v0/agent1_parameters-v1",
    formats.lstm(137, 8): "multicomp/SumoAnts-v0/agent_parameters-v1",
    formats.lstm(395, 17): "multicomp/SumoHumans-v0/agent_parameters-v3",
}

_SEATS = {"agent1": (0,), "agent2": (1,), "agent": (0, 1)}


def _make_entry(line: str) -> Entry:
    digest, path = line.split()
    game, stem = path.split("/")
    role, _, version = stem.partition("_parameters-")
    architecture, size = _GAMES[game]
    return Entry(
        name=f"multicomp/{path}",
        game=f"multicomp/{game}",
        seats=_SEATS[role],
        family="multicomp",
        version=version,
        method="self-play",
        architecture=architecture,
        sha256=digest,
        size=size,
    )


ENTRIES: tuple[Entry, ...] = tuple(_make_entry(line) for line in _FILES.strip().splitlines())
_BY_NAME = {entry.name: entry for entry in ENTRIES}

# Short names, by role where a game has roles, otherwise by the number that the file bears.
ALIASES: dict[str, str] = {
    "ysnp/blocker": "multicomp/YouShallNotPassHumans-v0/agent1_parameters-v1",
    "ysnp/walker": "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1",
    **{f"rtg_ants/{i}": f"multicomp/RunToGoalAnts-v0/agent{i}_parameters-v1" for i in (1, 2)},
    **{f"rtg_humans/{i}": f"multicomp/RunToGoalHumans-v0/agent{i}_parameters-v1" for i in (1, 2)},
    **{f"kick/kicker-v{v}": f"multicomp/KickAndDefend-v0/agent1_parameters-v{v}" for v in (1, 2, 3)},
    **{f"kick/keeper-v{v}": f"multicomp/KickAndDefend-v0/agent2_parameters-v{v}" for v in (1, 2, 3)},
    **{f"sumo_ants/v{v}": f"multicomp/SumoAnts-v0/agent_parameters-v{v}" for v in (1, 2, 3, 4)},
    **{f"sumo_humans/v{v}": f"multicomp/SumoHumans-v0/agent_parameters-v{v}" for v in (1, 2, 3)},
}


def names() -> list[str]:
    """Returns all catalogue names, without the aliases."""
    return list(_BY_NAME)


def is_known(name: str) -> bool:
    """Whether `get` would find the name."""
    return name in _BY_NAME or name in ALIASES


def get(name: str) -> Entry:
    """Looks a file up.

    Args:
        name: A catalogue name or an alias of one.

    Raises:
        UnknownNameError: It is neither; the message proposes the nearest names.
    """
    entry = _BY_NAME.get(ALIASES.get(name, name))
    if entry is None:
        raise unknown_name(name)
    return entry


def unknown_name(name: str) -> UnknownNameError:
    """Makes the error for a name that is not in the catalogue; it proposes the nearest ones."""
    known = {key.lower(): key for key in (*_BY_NAME, *ALIASES)}
    near = [known[key] for key in difflib.get_close_matches(name[:200].lower(), known, n=3, cutoff=0.5)]
    proposal = f" The nearest are {', '.join(near)}." if near else ""
    return UnknownNameError(
        f"{name[:200]!r} is neither a name of the catalogue nor a file.{proposal} "
        "`python -m binaries.zoo list` prints all names"
    )


def find(game: str | None = None, seat: int | None = None, family: str | None = None) -> list[Entry]:
    """Lists entries.

    Args:
        game: Only of this game: its id, or any part of it in any case, such as "sumo".
        seat: Only what can take this seat, 0 or 1.
        family: Only of this family.
    """
    return [
        entry
        for entry in ENTRIES
        if (game is None or game.lower() in entry.game.lower())
        and (seat is None or seat in entry.seats)
        and (family is None or family == entry.family)
    ]
