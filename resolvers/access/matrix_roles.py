"""The parts that somebody may have towards a row: the columns of the access matrix."""

ROLES = {
    "AN": "anonymous",
    "US": "active, verified user",
    "MG": "user with the platform role MANAGER",
    "OW": "owner, creator, or the row itself",
    "PU": "user of the project",
    "PA": "administrator of the project",
    "SU": "user of the site",
    "SA": "administrator of the site",
    "PT": "participant who signed in",
    "PL": "participant with a static token",
    "DV": "device",
    "SV": "service",
    "OG": "organiser of the challenge",
    "CW": "external worker of the challenge",
    "TK": "whoever has a token of specs",
    "WK": "worker",
    "LK": "whoever has a link to a simulation",
    "XA": "superadmin",
}
