"""Every published file that zoo_loader knows: where it plays, what it is, where it is from, and its fingerprint.

A name is the file's path in the zoo folder without its ending, such as
`multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1`; where one policy was published in two formats, the `.pkl`
keeps its ending. `published.txt` beside this module lists the files with their hashes. Most have a short name, too:

| alias | what |
|---|---|
| `ysnp/walker`, `kick/keeper-v2`, `sumo_ants/v3` | the zoo of Bansal et al. 2018 |
| `adrl/kick`, `apl/kick` | adversaries by the methods of Gleave et al. 2020 and of Guo et al. 2021 |
| `usenix/rl_3` | adversaries of Wu et al. 2021, by seed, in YouShallNotPassHumans |
| `adrl/retrained/kick-0`, `apl/retrained/kick-0`, `usenix/retrained/rl_0` | victims retrained against those, by seed |
| `bad/3273`, `bad/67`; `bad/3273/walker`, `bad/67/walker` | adversaries of Volodin et al. 2020, and their victim |

A file that holds several policies has one entry for each, named `file#player_1`.
"""

import dataclasses
import difflib
import pathlib

from zoo_loader import dense, formats
from zoo_loader.errors import UnknownNameError


@dataclasses.dataclass(frozen=True)
class File:
    """One published file.

    Attributes:
        filename: Its path in the zoo folder.
        sha256: In hexadecimal.
        size: Bytes, or None where that is not known.
        url: Where it is published.
    """

    filename: str
    sha256: str
    size: int | None
    url: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """One published policy.

    Attributes:
        name: The catalogue name.
        game: The id of the game it was trained in.
        seats: The seats it was trained for, 0 and 1.
        family: "multicomp", "icml2021", "usenix2021" or "bad2020".
        version: "v1", "v2", ... in the zoo: independent or later trainings of the same role. Otherwise None.
        method: How it was trained.
        seed: The number of the training among those of its kind, where it is published.
        architecture: The network.
        file: The weight file.
        companions: Files that belong beside it: running statistics.
        start: The name of the zoo's policy from which training went on, and whose filters it has; None if from scratch.
        repository: Where it is published, on GitHub.
        path: Of the weight file, there.
        citation: What to cite.
        part: Which policy of the file it is, such as "player_1"; None where the file holds one.
    """

    name: str
    game: str
    seats: tuple[int, ...]
    family: str
    version: str | None
    method: str
    seed: int | None
    architecture: formats.Architecture
    file: File
    companions: tuple[File, ...]
    start: str | None
    repository: str
    path: str
    citation: str
    part: str | None = None

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
        """The path of the weight file in the zoo folder."""
        return self.file.filename

    @property
    def sha256(self) -> str:
        """The SHA-256 of the weight file, in hexadecimal."""
        return self.file.sha256

    @property
    def size(self) -> int | None:
        """Bytes of the weight file, or None where that is not known."""
        return self.file.size

    @property
    def url(self) -> str:
        """Where the weight file is published."""
        return self.file.url


@dataclasses.dataclass(frozen=True)
class _Game:
    """What the entries of one game have in common.

    Attributes:
        alias: Its short name.
        architecture: Of the zoo's policies.
        victim: The seat of the one that adversaries were trained against.
        start: The zoo file of that one.
        roles: What the seats are called, where they differ.
    """

    alias: str
    architecture: formats.Architecture
    victim: int = 0
    start: str = ""
    roles: tuple[str, str] | None = None


_GAMES = {
    "RunToGoalAnts-v0": _Game("rtg_ants", formats.mlp(122, 8), roles=("1", "2")),
    "RunToGoalHumans-v0": _Game("rtg_humans", formats.mlp(380, 17), roles=("1", "2")),
    "YouShallNotPassHumans-v0": _Game(
        "ysnp", formats.mlp(380, 17), 1, "agent2_parameters-v1", roles=("blocker", "walker")
    ),
    "KickAndDefend-v0": _Game("kick", formats.lstm(384, 17), 0, "agent1_parameters-v1", roles=("kicker", "keeper")),
    "SumoAnts-v0": _Game("sumo_ants", formats.lstm(137, 8), 0, "agent_parameters-v1"),
    "SumoHumans-v0": _Game("sumo_humans", formats.lstm(395, 17), 0, "agent_parameters-v3"),
}

# The folders of the adversaries of Guo et al. are named otherwise.
_GAME_OF_FOLDER = {
    "you": "YouShallNotPassHumans-v0",
    "kick": "KickAndDefend-v0",
    "ants": "SumoAnts-v0",
    "humans": "SumoHumans-v0",
}

# Folder -> method, what its aliases begin with, and whom else to cite. Guo et al. trained both.
_GLEAVE = (
    "Gleave, Dennis, Wild, Kant, Levine, Russell: Adversarial Policies: Attacking Deep Reinforcement Learning, "
    "ICLR 2020, arXiv:1905.10615"
)
_METHODS = {"our_attack": ("APL", "apl", ""), "ucb": ("ADRL", "adrl", f"; by the method of {_GLEAVE}")}

# Victims were retrained, in each of four games, from one file: that whose layout they share. They keep its filters.
STARTS = {game.architecture: f"multicomp/{name}/{game.start}" for name, game in _GAMES.items() if game.start}

# Family -> repository, the folder of the family's files there, the commit, and what to cite.
_SOURCES = {
    "multicomp": (
        "HumanCompatibleAI/multiagent-competition",
        "gym_compete/agent_zoo/multicomp",
        "3a3f9dca1816c2724a6ec4e78ec39b1001e4b6e6",
        "Bansal, Pachocki, Sidor, Sutskever, Mordatch: Emergent Complexity via Multi-Agent Competition, ICLR 2018, "
        "arXiv:1710.03748",
    ),
    "icml2021": (
        "nuwuxian/rl_adv_valuediff",
        "MuJoCo",
        "3bc37301377848a3fb6e9f3e8bf8b4be341e7886",
        "Guo, Wu, Huang, Xing: Adversarial Policy Learning in Two-player Competitive Games, ICML 2021",
    ),
    "usenix2021": (
        "psuwuxian/rl_attack",
        "MuJoCo/results",
        "b4b99dff0e6a21e6134b8e016ab8884d2351874a",
        "Wu, Guo, Wei, Xing: Adversarial Policy Training against Deep Reinforcement Learning, USENIX Security 2021",
    ),
    "bad2020": (
        "HumanCompatibleAI/better-adversarial-defenses",
        "results",
        "37e9c6c1816b79f914731e24cc0abf7062c897ec",
        "Volodin et al.: Better adversarial defenses, 2020, https://github.com/HumanCompatibleAI/better-adversarial-defenses",
    ),
}

# Files that lie elsewhere than the rest of their family: the commit, and the path there.
_ELSEWHERE = {"bad2020/checkpoint-adv-67": ("cee12e45fedb6be9680cef18c77723c5403d1825", "checkpoint-adv-67")}


def _commit_and_path(filename: str) -> tuple[str, str]:
    family = filename.partition("/")[0]
    _, folder, commit, _ = _SOURCES[family]
    return _ELSEWHERE.get(filename, (commit, folder + filename.removeprefix(family)))


def _read_files() -> dict[str, File]:
    text = pathlib.Path(__file__).with_name("published.txt").read_text(encoding="utf-8")
    files = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        digest, size, filename = line.split()
        repository = _SOURCES[filename.partition("/")[0]][0]
        commit, path = _commit_and_path(filename)
        url = f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
        files[filename] = File(filename, digest, None if size == "-" else int(size), url)
    return files


def _make_entries() -> tuple[tuple[Entry, ...], dict[str, str]]:
    """Returns the entries, and {alias: name}."""
    files = _read_files()
    policies = [
        (name, part)
        for family in _SOURCES
        for name in files
        if name.startswith(family) and "_rms." not in name
        for part in _parts(name)
    ]
    entries, aliases = [], {}
    for filename, part in policies:
        stem = filename.removesuffix(".pkl").removesuffix(".npy")
        is_twin = filename != stem and filename.endswith(".pkl") and f"{stem}.npy" in files
        is_twin |= f"{filename}-{part}.pkl" in files
        family, *parts = stem.split("/")
        make = {"multicomp": _zoo_policy, "icml2021": _icml_policy, "usenix2021": _usenix_policy}.get(
            family, _bad_policy
        )
        alias, facts = make([*parts, part] if part else parts)
        repository, _, _, citation = _SOURCES[family]
        beside = [filename.rpartition("/")[0] + f"/{name}_rms.pkl" for name in ("obs", "ret")]
        entry = Entry(
            name=(filename if is_twin else stem) + (f"#{part}" if part else ""),
            family=family,
            file=files[filename],
            companions=tuple(files[name] for name in beside if name in files),
            repository=repository,
            path=_commit_and_path(filename)[1],
            citation=citation + facts.pop("citation", ""),
            part=part,
            **facts,
        )
        entries.append(entry)
        if not is_twin:
            aliases[alias] = entry.name
    return tuple(entries), aliases


def _parts(filename: str) -> tuple[str | None, ...]:
    """The policies of a file: of RLlib's checkpoints, which have no ending, two."""
    return (None,) if filename.endswith((".pkl", ".npy")) else ("player_1", "player_2")


def _zoo_policy(parts: list[str]) -> tuple[str, dict]:
    """`<game>/agent<1, 2 or nothing>_parameters-v<n>`: for the seats 0 and 1, or for both."""
    game_name, stem = parts
    game = _GAMES[game_name]
    role, _, version = stem.partition("_parameters-")
    seats = {"agent1": (0,), "agent2": (1,), "agent": (0, 1)}[role]
    if game.roles:
        alias = game.roles[seats[0]]
        # Games of which there is but one version go without.
        alias += f"-{version}" if game.architecture.recurrent else ""
    else:
        alias = version
    return f"{game.alias}/{alias}", {
        "game": f"multicomp/{game_name}",
        "seats": seats,
        "version": version,
        "method": "self-play",
        "seed": None,
        "architecture": game.architecture,
        "start": None,
    }


def _icml_policy(parts: list[str]) -> tuple[str, dict]:
    """`adv-agent/<method>/<game>/model`, and `retrained-victim/<method>/<game>/<time>-<seed>/<game>-v0`."""
    method, prefix, citation = _METHODS[parts[1]]
    if parts[0] == "adv-agent":
        game_name = _GAME_OF_FOLDER[parts[2]]
        facts = _adversary(game_name, method, None)
        return f"{prefix}/{_GAMES[game_name].alias}", {**facts, "citation": citation}
    game_name, seed = parts[4], parts[3].rpartition("-")[2]
    facts = _retrained(game_name, method, int(seed))
    return f"{prefix}/retrained/{_GAMES[game_name].alias}-{seed}", {**facts, "citation": citation}


def _usenix_policy(parts: list[str]) -> tuple[str, dict]:
    """`adv_train/our/rl_<seed>/model/model`, and `adv_retrain/our/rl_<seed>/model/<game>`."""
    game_name, method, seed = "YouShallNotPassHumans-v0", "Wu et al. 2021", int(parts[2].removeprefix("rl_"))
    if parts[0] == "adv_train":
        return f"usenix/{parts[2]}", _adversary(game_name, method, seed)
    return f"usenix/retrained/{parts[2]}", _retrained(game_name, method, seed)


def _bad_policy(parts: list[str]) -> tuple[str, dict]:
    """`checkpoint-adv-67`, then the player; or `checkpoint-adv-external-3273-player_1`, one of them alone."""
    game_name, number = "YouShallNotPassHumans-v0", "67" if "-67" in parts[0] else "3273"
    method = "PPO of RLlib" if number == "67" else "PPO of Stable Baselines 2, outside RLlib"
    facts = {**_adversary(game_name, method, None), "architecture": dense.architecture(380, 17)}
    is_walker = parts[-1] == "player_2"
    if is_walker:
        facts |= {"seats": (_GAMES[game_name].victim,), "method": "self-play: the zoo's walker, kept as it was"}
    return f"bad/{number}" + ("/walker" if is_walker else ""), facts


def _adversary(game_name: str, method: str, seed: int | None) -> dict:
    game = _GAMES[game_name]
    zoo = game.architecture
    return {
        "game": f"multicomp/{game_name}",
        "seats": (1 - game.victim,),
        "version": None,
        "method": method,
        "seed": seed,
        "architecture": formats.stable_baselines_mlp(zoo.observation_dim, zoo.action_dim),
        "start": None,
    }


def _retrained(game_name: str, method: str, seed: int) -> dict:
    game = _GAMES[game_name]
    return {
        "game": f"multicomp/{game_name}",
        "seats": (game.victim,),
        "version": None,
        "method": f"retrained against {method}",
        "seed": seed,
        "architecture": game.architecture,
        "start": STARTS[game.architecture],
    }


ENTRIES: tuple[Entry, ...]
ALIASES: dict[str, str]
ENTRIES, ALIASES = _make_entries()
_BY_NAME = {entry.name: entry for entry in ENTRIES}
_OTHER_NAMES = {**{entry.filename: entry.name for entry in ENTRIES if entry.part is None}, **ALIASES}


def names() -> list[str]:
    """Returns all catalogue names, without the aliases."""
    return list(_BY_NAME)


def is_known(name: str) -> bool:
    """Whether `get` would find the name."""
    return name in _BY_NAME or name in _OTHER_NAMES


def get(name: str) -> Entry:
    """Looks a policy up.

    Args:
        name: A catalogue name, an alias of one, or the path of the file in the zoo folder.

    Raises:
        UnknownNameError: It is neither; the message proposes the nearest names.
    """
    entry = _BY_NAME.get(_OTHER_NAMES.get(name, name))
    if entry is None:
        raise unknown_name(name)
    return entry


def identify(sha256: str, part: str | None = None) -> Entry | None:
    """Returns the entry of the weight file with this SHA-256, and of this policy in it, if there is one."""
    return next((entry for entry in ENTRIES if (entry.sha256, entry.part) == (sha256, part)), None)


def unknown_name(name: str) -> UnknownNameError:
    """Makes the error for a name that is not in the catalogue; it proposes the nearest ones."""
    known = {key.lower(): key for key in (*_BY_NAME, *ALIASES)}
    near = [known[key] for key in difflib.get_close_matches(name[:200].lower(), known, n=3, cutoff=0.5)]
    proposal = f" The nearest are {', '.join(near)}." if near else ""
    return UnknownNameError(
        f"{name[:200]!r} is neither a name of the catalogue nor a file.{proposal} `tf-apil zoo list` prints all names"
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
