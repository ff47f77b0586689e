"""Names that are obviously made up: people of storybook surnames, and domains under `.example`, which nobody can own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_NAMES: Final = (
    "Ada", "Bruno", "Clio", "Dario", "Edda", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Luca", "Mira", "Nils", "Olga",
    "Pavel", "Quinn", "Rosa", "Selim", "Tilda", "Uma", "Viktor", "Wanda", "Xenia", "Yusuf", "Zora", "Amara", "Bela", "Cleo", "Dina",
    "Emil", "Fleur", "Gustav", "Hanna", "Ivo", "Jule", "Kofi", "Lena", "Milo", "Nora", "Otto", "Petra", "Ravi", "Sofia", "Theo",
    "Ulla", "Vera", "Willem", "Yara", "Zeno",
)  # fmt: skip
SURNAMES: Final = (
    "Ashwhistle", "Bramblecott", "Candlewick", "Dewthorne", "Elderquill", "Fennimore-Finch", "Gooseberrie", "Hollowmere", "Inkwellow",
    "Juniperson", "Kettlebright", "Larkspindle", "Mossgather", "Nettlecombe", "Oakenfeather", "Pepperwhistle", "Quillfeather",
    "Ravenscoop", "Saltmarrow", "Thistledown", "Underbough", "Velvetine", "Wagglestone", "Yarrowgate", "Zephyrine", "Applecross-Hare",
    "Buttonweather", "Cloverfield-Moss", "Dandelore", "Emberlight", "Foxglovely", "Gingerroot", "Honeycutter", "Ivorymoon", "Jellicoat",
    "Kindlewood", "Lanternfish", "Marblethorpe", "Nightingown", "Otterbourne", "Plumblossom", "Quicksilvan", "Rumbletree", "Snowberrie",
    "Tumblewood", "Umbershade", "Violetmead", "Windlestraw", "Yellowhammer", "Zigzagger",
)  # fmt: skip
"""Every person's surname is one of these; nothing that perdure writes may hold one."""


@dataclass(frozen=True, slots=True)
class Office:
    """A site: name, time zone, language, share of the people."""

    name: str
    time_zone: str
    locale: str
    share: float


@dataclass(frozen=True, slots=True)
class Outside:
    """Another organisation: name, domain, kind, and whether Slack Connect joins it."""

    name: str
    domain: str
    kind: str
    has_slack: bool


OWN_NAME: Final = "Kestrel and Lowe"
OWN_DOMAIN: Final = "kestrel-lowe.example"
ALIAS_DOMAIN: Final = "kl-group.example"
OFFICES: Final = (
    Office("Berlin", "Europe/Berlin", "de-DE", 0.5),
    Office("Lisbon", "Europe/Lisbon", "pt-PT", 0.2),
    Office("Athens", "Europe/Athens", "el-GR", 0.15),
    Office("Montreal", "America/Toronto", "fr-CA", 0.15),
)
TEAMS: Final[tuple[tuple[str, float], ...]] = (
    ("Engineering", 0.26),
    ("Sales", 0.15),
    ("Support", 0.13),
    ("Operations", 0.12),
    ("Design", 0.09),
    ("Marketing", 0.08),
    ("Finance", 0.07),
    ("People", 0.06),
    ("Legal", 0.04),
)
"""Teams with their shares of the people; a firm of fewer than 45 has the first four only."""
HANGING: Final = ("Sales", "Support")
"""The two teams between which every tie goes through one person of either."""
TEAMS_TEAMS: Final = ("Operations", "Finance", "Legal")
"""Teams that chat in Microsoft Teams; the others do in Slack."""
OUTSIDE: Final = (
    Outside("Brightwater Mills", "brightwater-mills.example", "client", True),
    Outside("Copperpot Foods", "copperpot-foods.example", "client", False),
    Outside("Dapplewood Clinics", "dapplewood.example", "client", False),
    Outside("Ferrycross Lines", "ferrycross.example", "client", False),
    Outside("Gribble and Daughters", "gribble-daughters.example", "client", False),
    Outside("Harbourlight Museum", "harbourlight.example", "client", False),
    Outside("Inchworm Logistics", "inchworm-logistics.example", "supplier", False),
    Outside("Jackdaw Hosting", "jackdaw-hosting.example", "supplier", True),
    Outside("Knotweed Print", "knotweed-print.example", "supplier", False),
    Outside("Lodestar Partners", "lodestar.example", "partner", True),
    Outside("Marrowbone Institute", "marrowbone.example", "partner", False),
    Outside("City of Oldbridge", "oldbridge-city.example", "public_body", False),
)
AFFINITY: Final = ("gardeners", "runners", "parents", "choir", "chess", "climbers", "cooks", "readers")
"""Groups of people of all teams; one to about 25 people."""
SLACK_TEAM: Final = "T0KESTREL1"
EXTERNAL_TEAMS: Final[dict[str, str]] = {
    outside.domain: f"T0EXTERN{number:02d}" for number, outside in enumerate(OUTSIDE) if outside.has_slack
}
TENANT: Final = "5a17b0c5-0000-4000-8000-00000000face"
