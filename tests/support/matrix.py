"""Who may do what, from the specification: its access matrix and its table of fields as data, the rows to try them on,
and what to give when one is written. Nothing here comes from the rules that are tried.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from graphql import GraphQLSchema, get_named_type
from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.types import later, uuid7
from gateway.operations.execution import Execution
from resolvers.access import roles
from resolvers.identity.lookup import principal_named, principal_of
from resolvers.identity.principal import ANONYMOUS, Kind, Principal
from resolvers.identity.tokens import Secret, digest_of
from resolvers.spelling import global_id
from resolvers.writing.cascade import erase
from schema import Schema, build
from schema.fields.checks import declared_fields
from schema.fields.cost import Bounds
from schema.fields.selection import model_of
from tests.support import contested
from tests.support.certificates import certificate_request
from tests.support.databases import WORLD, Prepared, Recipe
from tests.support.filed import archive_of, file_of, upload_of
from tests.support.further import FURTHER as BESIDES
from tests.support.further import Name, Ref, Spot, furnish_further
from tests.support.inputs import FILES
from tests.support.organisation import Place
from tests.support.platforms import PATIENCE, PRESENTED, Platform, platform_on, principal_as
from tests.support.recording import changes
from tests.support.specs import SPEC
from tests.support.world import START, Simulated, World, simulate, specify

CORE: GraphQLSchema = build().core
NODES = sorted(k.name for k in CORE.type_map.values() if "Node" in {i.name for i in getattr(k, "interfaces", ())})

ROLES = ("AN", "US", "MG", "OW", "PU", "PA", "SU", "SA", "PT", "PL", "DV", "SV", "LK", "OG", "CW", "TK", "XA")
PEOPLE: Mapping[str, str | None] = {
    "AN": None, "US": "eve", "MG": "mona", "OW": "owen", "PU": "tom", "PA": "maria", "SU": "silo", "SA": "sita",
    "PT": "participant", "PL": "limited", "DV": "device", "SV": "service", "LK": "link", "OG": "olga", "CW": "external", "TK": "token", "XA": "root",
}  # fmt: skip
"""Who has each role, and no other: owen has a part in no place, and owns the rows that someone owns."""
OWNERS = {"User": "uma", "ServiceConfig/user": "uma"}
"""Other owners: uma is a user of the project, as one must be to own these."""


def _table(text: str) -> dict[str, dict[str, str]]:
    header, *lines = (line.split() for line in text.strip().splitlines() if line.strip() and line.strip()[0] != "#")
    assert tuple(header) == ROLES
    return {kind: dict(zip(ROLES, (letters.strip("-") for letters in rest), strict=True)) for kind, *rest in lines}


# The access matrix, 6.6 -----------------------------------------------------------------------------------------------

MATRIX = _table(
    """
                           AN US MG  OW   PU  PA    SU SA    PT PL DV SV LK OG  CW TK XA
# A user changes themself by updateProfile. SA makes and changes users, and takes them out of groups instead of deleting
# them ("D unlink"). AN signs up: no action on a row.
User                       -  R  CRU R    R   R     R  CRU   -  -  -  R    - R   -  -  CRUDB
Credential/user            -  -  -   RD   -   -     -  -     -  -  -  -    - -   -  -  RD
# SV makes tokens of participants, so it may end them; D is to revoke.
Credential/participant     -  -  -   -    -   RD    -  RD    R  -  -  D    - -   -  -  RD
# By the token one is in every site that the device is in: their administrators end it.
Credential/device          -  -  -   -    -   R     -  RD    -  -  R  -    - -   -  -  RD
UserGroup                  -  -  -   -    R   R     R  CRUDB -  -  -  R    - -   -  -  CRUDB
# It holds only roles of SV (6.13).
UserGroup/service          -  -  -   -    -   -     -  -     -  -  -  CRUDB - -  -  -  CRUDB
# "R own" of PU and SU: the roles of the places that one has a part in. SV: those of the service itself. No restoring.
# Nobody makes or changes the gateway's own roles.
Role/core                  -  -  -   -    R   R     -  R     -  -  -  -    - -   -  -  R
Role/project               -  -  -   -    R   R     -  R     -  -  -  CRUD - -   -  -  CRUD
Role/site                  -  -  -   -    R   R     R  R     -  -  -  CRUD - -   -  -  CRUD
# G of the matrix is C and D here. PU holds the first; nobody here holds the second, of a role of the service.
RoleGrant                  -  -  -   -    R   CRD   -  CRD   -  -  -  -    - -   -  -  CRD
RoleGrant/service          -  -  -   -    -   CRD   -  CRD   -  -  -  CRD  - -   -  -  CRD
Site                       -  -  -   -    R   R     R  RU    -  -  -  R    - -   -  -  CRUDB
# The link by which a project or device was theirs goes with it, so SV and SA can't bring it back (3.3 restores no links).
# DV makes sessions in its projects.
Project                    -  -  -   -    R   RU    R  CRUDB R  -  R  CRUD - -   -  -  CRUDB
ParticipantGroup           -  -  -   -    R   CRUDB -  CRUDB -  -  -  CRUDB - -   -  -  CRUDB
Participant                -  -  -   -    CRU CRUDB -  CRUDB R  R  R  CRU  - -   -  -  CRUDB
Device                     -  -  -   -    R   RU    R  CRUD  R  -  RU RU   - -   -  -  CRUDB
DeviceType                 -  -  -   -    R   R     R  R     -  -  -  -    - -   -  -  CRUD
DeviceSubtype              -  -  -   -    R   R     R  R     -  -  -  -    - -   -  -  CRUD
Service                    -  -  -   -    R   R     R  R     -  -  -  R    - -   -  -  CRUDB
# "RU own" is CRUD own in OpenTera (3.5), which is followed; "in project": of its participants and devices.
ServiceConfig/user         -  -  -   CRUDB -  -     -  -     -  -  -  R    - -   -  -  CRUDB
ServiceConfig/participant  -  -  -   -    -   CRUDB -  CRUDB -  -  -  R    - -   -  -  CRUDB
# Everyone sets their own: C of those with an account, without seeing the one here.
Preference                 -  C  C   CR   C   C     C  C     -  -  -  -    - C   -  -  CR
# SV helps in the first, and runs the second. Its links go with it, so SA can't bring it back. PL: not where the project does not allow
# sessions of tokens, as here.
SessionType                -  -  -   -    R   R     R  CRUD  R  -  R  R    - -   -  -  CRUDB
SessionType/own            -  -  -   -    R   R     R  CRUD  R  -  R  CRUDB - -   -  -  CRUDB
# SV: "own types": it helps in the type here. PT is in the first, and makes its own; DV makes its own, and reads those.
Session                    -  -  -   RU   CRU CRUD  -  CRUD  CR -  C  CRU  - -   -  -  CRUDB
Session/device             -  -  -   -    RU  RUD   -  RUD   -  -  RU RU   - -   -  -  RUDB
Session/participant        -  -  -   -    RU  RUD   -  RUD   RU -  -  RU   - -   -  -  RUDB
Session/invited            -  -  -   RU   -   -     R  -     -  -  -  -    - -   -  -  RUDB
SessionEvent               -  -  -   CRUD CRUD CRUD -  CRUD  R  -  -  CRU  - -   -  -  CRUD
SessionEvent/device        -  -  -   -    CRUD CRUD -  CRUD  -  -  CR CRU  - -   -  -  CRUD
SessionMember              -  -  -   R    R   R     -  R     R  -  -  R    - -   -  -  R
# The spec here is shared with the project. C of all users is putSpec, of a spec of their own.
Spec                       -  C  C   CRUD CR  CR    C  CR    -  -  -  -    - C   -  R  CRUD
SpecLabel                  -  -  -   R    R   R     -  R     -  -  -  -    - -   -  R  R
SpecVersion                -  -  -   RD   R   R     -  R     -  -  -  -    - -   -  R  RD
SpecModel                  -  -  -   R    R   R     -  R     -  -  -  -    - -   -  R  R
# C of US: submitSimulation. U of the title and D, by whom it belongs to, are not in the matrix.
Simulation                 -  C  C   CRUDB CR CR    C  CR    -  -  -  -    R C   -  -  CRUDB
SimulationSetup            -  -  -   R    R   R     -  R     -  -  -  -    R -   -  -  R
Estimator                  -  -  -   R    R   R     -  R     -  -  -  -    R -   -  -  R
SimulationLabel            -  -  -   R    R   R     -  R     -  -  -  -    R -   -  -  R
Page                       -  -  -   R    R   R     -  R     -  -  -  -    R -   -  -  R
Job                        -  -  -   RD   R   R     -  R     -  -  -  -    R -   -  -  RD
Task                       -  -  -   R    R   R     -  R     -  -  -  -    R -   -  -  R
LogEntry                   -  -  -   R    -   R     -  R     -  -  -  -    - -   -  -  R
# "the owner's alone" where its subject has no project (6.13).
Job/archive                -  -  -   RD   -   -     -  -     -  -  -  -    - -   -  -  RD
Job/package                -  -  -   RD   R   R     -  R     -  -  -  -    - -   -  -  RD
Archive                    -  -  -   CRD  C   C     -  C     -  -  -  -    - -   -  -  CRD
# Only superadmins bring back a file. The second was brought by a device, into its session.
File                       -  -  -   RD   R   RD    -  RD    R  -  -  R    - -   -  -  RDB
File/device                -  -  -   -    R   RD    -  RD    -  -  R  R    - -   -  -  RDB
File/own                   -  -  -   RD   -   -     -  -     -  -  -  -    - -   -  -  RDB
File/archive               -  -  -   RD   -   -     -  -     -  -  -  -    - -   -  -  RDB
File/output                -  -  -   RD   R   RD    -  RD    -  -  -  -    R -   -  -  RDB
File/package               -  -  -   R    R   R     -  R     -  -  -  -    - -   -  R  R
File/public                R  R  R   R    R   R     R  R     R  R  R  R    R R   R  R  RDB
# C: a dataset of one's own. PT, PL and DV bring files of their sessions.
Upload                     -  C  C   CRD  C   C     C  C     -  -  -  C    - C   -  -  CRD
UploadPart                 -  -  -   R    -   -     -  -     -  -  -  -    - -   -  -  R
# LK has a link to the simulation here. Its secret is told once, to whom made it.
SimulationLink             -  -  -   CRD  -   -     -  -     -  -  -  -    - -   -  -  CRD
# For every user, or where groups are named for their members: PU is one here.
Cluster                    -  R  R   R    R   R     R  R     -  -  -  -    - R   -  -  RU
Cluster/closed             -  -  -   -    R   -     -  -     -  -  -  -    - -   -  -  RU
AuditEvent                 -  -  -   R    -   R     -  R     -  -  -  -    - -   -  -  R
NotificationTemplate/project - -  -  -    -   CRUD  -  CRUD  -  -  -  -    - -   -  -  CRUD
NotificationTemplate/site  -  -  -   -    -   -     -  CRUD  -  -  -  -    - -   -  -  CRUD
Notification               -  -  -   R    -   -     -  -     -  -  -  -    - -   -  -  R
"""
    + contested.MATRIX
    + "".join(f"{kind} {one.letters}\n" for kind, one in BESIDES.items())
)
"""Per kind of row (a type, and which of its rows) and role: what may be done with the row here. B brings back what was
deleted: whoever may delete may, but of sessions only superadmins."""

FIELD_WRITERS: Mapping[str, Mapping[str, str]] = {
    **{kind: one.writers for kind, one in BESIDES.items()},
    "User": {"*": "SA XA", "platformRole": "MG XA", "superadmin": "XA"},
    "Device": {"*": "SA XA", "config": "PA SA DV SV XA", "notes": "PA SA SV XA"},
    "Project": {"*": "PA SA SV XA", "quarantine": "PA SA XA", "participantSessions": "PA SA XA"},
    "Session": {"*": "OW PU PA SA PT DV SV XA", "comments": "OW PU PA SA SV XA"},
    "ParticipantGroup": {"*": "PA SA SV XA", "project": "PA SA XA"},
    **contested.FIELD_WRITERS,
    "Participant": {"*": "PU PA SA SV XA", "project": "PA SA XA", **dict.fromkeys(("username", "email", "loginEnabled", "tokenEnabled"), "PA SA SV XA")},
}  # fmt: skip
"""Per type: who may change which field, where not all who have a U in the matrix may change each. The account of a
participant is written by those who may see it, and only administrators give one away; of SV's "RU linked" of devices, what OpenTera lets a service keep."""

MUTATIONS = {
    "Credential": {"D": "revokeCredential"},
    "RoleGrant": {"C": "grantRole", "D": "revokeRole"},
    "Simulation": {"C": "submitSimulation"},
    "Spec": {"C": "putSpec"},
    "Upload": {"C": "createUpload"},
    "Preference": {"C": "setPreference"},
    **contested.MUTATIONS,
}
"""What stands for createX, deleteX where it has a name of its own."""

# The table of fields, 6.7 ---------------------------------------------------------------------------------------------

_PEOPLE = "OW PU PA SU SA SV XA"
_PRIVATE = "OW PA SA SV XA"
_ACCOUNT = "PA SA PT SV XA"
_WORKING = "PU PA SU SA DV SV XA"
_ENDPOINT = "SA SV XA"

FIELDS: Mapping[str, str] = {
    **{f"{kind}.{name}": roles for kind, one in BESIDES.items() for name, roles in one.fields.items()},
    # "sharing a project"; also for those of the site and its services, who read the user in the matrix
    **dict.fromkeys(("User.username", "User.firstName", "User.lastName", "User.affiliation", "User.lastOnlineAt", "User.online", "User.presence"), _PEOPLE),
    **dict.fromkeys(("User.email", "User.profile"), _PRIVATE),
    **dict.fromkeys(("User.emailVerified", "User.active"), "OW SA XA"),
    "User.platformRole": "OW MG SA XA",
    "User.notes": "SA XA",
    **dict.fromkeys(("User.superadmin", "User.forcePasswordChange", "User.twoFactor", "User.authProvider", "User.externalSubject", "User.language", "User.notified", "User.notifiedOfJobs", "User.specModelCount"), "OW XA"),
    # a service may write them, so it may read them
    **dict.fromkeys(("Participant.username", "Participant.email"), _ACCOUNT),
    **dict.fromkeys(("Participant.loginEnabled", "Participant.tokenEnabled"), _ACCOUNT),
    # "DV of linked" is against 6.6 and fault 18, by which a device reads name and id
    **dict.fromkeys(("Participant.enabled", "Participant.lastOnlineAt", "Participant.online", "Participant.presence"), "PU PA SA PT SV XA"),
    "Device.config": "PA SA DV SV XA",
    **dict.fromkeys(("Device.notes", "Device.infos"), "PA SA SV XA"),
    **dict.fromkeys(("Device.onlineable", "Device.lastOnlineAt", "Device.online", "Device.presence", "Device.status"), _WORKING),
    "Session.comments": "OW PU PA SA SV XA",
    "Session.parameters": "OW PU PA SA PT DV SV XA",
    **dict.fromkeys(("SessionType.online", "SessionType.config"), "PU PA SU SA SV XA"),
    **dict.fromkeys(
        ("Service.hostname", "Service.port", "Service.endpoint", "Service.endpointUser", "Service.endpointParticipant", "Service.endpointDevice"),
        _ENDPOINT,
    ),
    # Each user configures a service for themself.
    "Service.actsFor": "SA SV XA",
    "Service.configSchema": "PU PA SU SA SV XA",
    "Notification.error": "XA",
    **contested.FIELDS,
    **dict.fromkeys(("SimulationSetup.inputFiles", "SimulationSetup.inputJson"), "OW XA"),
    "Job.warnings": "OW XA",
    "Job.external": "XA",
    "AuditEvent.client": "OW XA",
}  # fmt: skip
"""Per guarded field: who sees the value of the row here, of those who see the row."""

NEVER = ("hash", "salt", "secret", "sealed", "storagekey", "path", "token", "certificate", "privatekey", "deletedat",
         "celery", "slurm", "jobdir", "leaseuntil", "holder", "family")  # fmt: skip
"""What no field of a node may hold, by parts of names."""
HARMLESS = {"Participant.tokenEnabled"}

# What is given ----------------------------------------------------------------------------------------------------------


_CONFIG = {"service": Ref("Service"), "specificId": Name(), "config": {"volume": 1}}
_WORDS = {"key": "new_challenge", "language": Name("x{:.8}"), "text": "x"}
NEW: Mapping[str, Mapping[str, Any]] = {
    **contested.NEW,
    **{kind: one.new for kind, one in BESIDES.items()},
    "User": {"username": Name(), "groups": [Ref("UserGroup")]},
    "UserGroup": {"name": Name(), "roles": [Ref("Role/core")]},
    "UserGroup/service": {"name": Name(), "roles": [Ref("Role/project")]},
    "Role/project": {"name": Name(), "service": Ref("Service"), "scope": "PROJECT", "project": Ref("Project")},
    "Role/site": {"name": Name(), "service": Ref("Service"), "scope": "SITE", "site": Ref("Site")},
    "RoleGrant": {"role": Ref("Role/core"), "grantee": Ref("ParticipantGroup")},
    "RoleGrant/service": {"role": Ref("Role/project"), "grantee": Ref("ParticipantGroup")},
    "Site": {"name": Name()},
    "Spec": {"name": Name("s{}"), "source": SPEC, "language": "JSON"},
    "Project": {"name": Name(), "site": Ref("Site")},
    "ParticipantGroup": {"name": Name(), "project": Ref("Project")},
    "Participant": {"name": Name(), "project": Ref("Project")},
    "SessionType": {"name": Name(), "category": "DATACOLLECT", "sites": [Ref("Site")]},
    "SessionType/own": {"name": Name(), "category": "SERVICE", "service": Ref("Service"), "sites": [Ref("Site")]},
    "Session": {
        "name": Name(),
        "type": Ref("SessionType/own"),
        "project": Ref("Project"),
        "startsAt": "2026-02-01T09:00:00Z",
    },
    "SessionEvent": {"session": Ref("Session"), "type": "USER_EVENT", "occurredAt": "2026-02-01T09:00:00Z"},
    "SessionEvent/device": {
        "session": Ref("Session/device"),
        "type": "DEVICE_EVENT",
        "occurredAt": "2026-02-01T09:00:00Z",
    },
    "Device": {"name": Name(), "type": Ref("DeviceType"), "sites": [Ref("Site")]},
    "DeviceType": {"name": Name(), "key": Name()},
    "DeviceSubtype": {"name": Name(), "type": Ref("DeviceType")},
    "Service": {"name": Name(), "key": Name(), "hostname": "x", "port": 1, "endpoint": "/", "clientEndpoint": "/"},
    "ServiceConfig/user": {**_CONFIG, "user": Ref("User")},
    "ServiceConfig/participant": {**_CONFIG, "participant": Ref("Participant")},
    "Preference": {"appTag": Name(), "value": {"wide": True}},
    "Simulation": {"title": "x", "simType": "SHIELDHIT", "inputFiles": FILES},
    "SimulationLink": {"simulation": Ref("Simulation")},
    "Upload": {"purpose": "DATASET", "name": Name("{}.csv"), "size": "5"},
    "Archive": {"subject": Ref("Simulation")},
    "NotificationTemplate/project": {**_WORDS, "project": Ref("Project")},
    "NotificationTemplate/site": {**_WORDS, "site": Ref("Site")},
}
"""The least that a new row of a kind needs."""
NEW_BY = {("User", "MG"): {"username": Name()}}
"""Managers have no groups to put someone into."""

OPEN: Mapping[str, str] = {
    **contested.OPEN,
    **{kind: one.open for kind, one in BESIDES.items()},
    "Archive": "title expiresAt owner simulation project job jobs file",
    "File": (
        "purpose state name mediaType size digest recordedAt expiresAt owner service participant device address session "
        "project archive "
        "simulation task submission challenge specVersion refusal downloadUrl"
    ),
    "Upload": (
        "purpose state name mediaType size received checksum checksumAlgorithm expiresAt owner service participant device session "
        "submission challenge project file parts "
        "refusal url grant"
    ),
    "UploadPart": "ordinal name size checksum checksumAlgorithm received upload",
    "AuditEvent": "action at actorKind entityType detail actor entity",
    "Cluster": "name description platform enabled maxTasks userGroups",
    "Credential": "label publicKey expiresAt lastUsedAt revokedAt user participant device service challenge spec madeBy kind scopes",
    "Device": "name enabled type subtype sites projects participants",
    "DeviceSubtype": "name type devices",
    "DeviceType": "name key subtypes devices",
    "Estimator": "name fileName metadata simulation pages",
    "Job": (
        "key kind state platform title attempt progress estimatedSeconds submittedAt queuePosition "
        "priority project archive evaluation specVersion "
        "estimatedStartAt startedAt endedAt lastUpdateAt history options merges owner cluster simulation "
        "tasks log error"
    ),
    "LogEntry": "sequence file text at task cursor",
    "Notification": "templateKey channel state subject attempts sentAt",
    "NotificationTemplate": "key channel language subject text html site project",
    "Page": (
        "number name dimension valueCount unit filterName hasNonFinite approximate metadata axis1 axis2 axis3 data "
        "estimator downloadUrl"
    ),
    "Participant": "name project group memberships devices",
    "ParticipantGroup": "name project participants",
    "Preference": "appTag value user",
    "Project": (
        "name enabled description quarantine participantSessions site roles participants participantGroups devices services "
        "sessions sessionTypes simulations"
    ),
    "Role": "name scope service site project grants",
    "RoleGrant": "role userGroup device participantGroup",
    "Service": "name key clientEndpoint enabled editableConfig hasAssets hasTests checksAssets roles sites sessionTypes projects",
    "ServiceConfig": "specificId config service user participant device",
    "Session": (
        "name startsAt endsAt durationSeconds status type project creator creatorParticipant creatorDevice creatorService "
        "members events simulations files"
    ),
    "SessionEvent": "type occurredAt text context clientId seq session user participant device service",
    "SessionMember": "state expiresAt session user participant device",
    "SessionType": "name color category service services sites projects sessions",
    "Simulation": "title simType inputType owner project session job jobs input estimators outputs labels links",
    "SimulationLabel": "name simulation",
    "SimulationSetup": "totalPrimaries simulation",
    "SimulationLink": "label expiresAt lastUsedAt simulation owner",
    "Site": "name roles twoFactorRequired projects devices services sessionTypes",
    "Spec": "name canonicalName state compatibility owner project labels latestVersion versions",
    "SpecLabel": "name spec",
    "SpecModel": "name tableName columnNames columns versionOf",
    "SpecVersion": "name canonicalName title description modelCount language source fetchedAt yankedAt yankReason spec job jobs files models",
    "Task": "ordinal state requested done attempt estimatedSeconds startedAt endedAt lastUpdateAt job error",
    "User": "groups simulations specs specModelLimit",
    "UserGroup": "name users grants",
}
"""The other fields of each type: whoever reads the row reads them. A new field belongs here or above."""

_HELD = {
    "name": Name(), "startsAt": "2026-02-02T09:00:00Z", "endsAt": None, "durationSeconds": 0, "comments": Name(),
    "parameters": {"a": Name()}, "type": Ref("SessionType/own"),
}  # fmt: skip
CHANGES: Mapping[str, Mapping[str, Any]] = {
    **contested.CHANGES,
    **{kind: one.changes for kind, one in BESIDES.items()},
    "User": {
        "email": "uma@torana.example", "emailVerified": True, "firstName": Name(), "lastName": Name(), "affiliation": Name(),
        "notes": Name(), "active": True, "forcePasswordChange": False, "platformRole": "CONTRIBUTOR", "superadmin": False,
    },
    "UserGroup": {"name": Name()},
    "UserGroup/service": {"name": Name()},
    "Role/project": {"name": Name()},
    "Role/site": {"name": Name()},
    "Site": {"name": Name(), "twoFactorRequired": False},
    "Project": {"name": Name(), "enabled": True, "description": Name(), "quarantine": True, "participantSessions": False},
    "SessionType/own": {"name": Name(), "category": "SERVICE", "color": "#123456", "online": True, "service": Ref("Service"), "config": {"volume": 1}},
    "SessionType": {"name": Name(), "category": "PROTOCOL", "color": "#123456", "online": True, "service": None, "config": {"volume": 1}},
    "Session": {**_HELD, "users": [Ref("User")], "participants": [Ref("Participant")], "devices": []},
    "Session/device": {**_HELD, "users": [], "participants": [], "devices": [Ref("Device")]},
    "Session/participant": {**_HELD, "users": [], "participants": [Ref("Participant")], "devices": []},
    "Session/invited": {**_HELD, "users": [Ref("User/invited")], "participants": [], "devices": []},
    "SessionEvent": {"type": "GENERAL_INFO", "occurredAt": "2026-02-02T09:00:00Z", "text": Name(), "context": Name()},
    "SessionEvent/device": {"type": "GENERAL_INFO", "occurredAt": "2026-02-02T09:00:00Z", "text": Name(), "context": Name()},
    "ParticipantGroup": {"name": Name(), "project": Ref("Project")},
    "Participant": {
        "name": Name(), "project": Ref("Project"), "group": Ref("ParticipantGroup"), "username": Name("p{}"),
        "email": Name("{}@example.org"), "enabled": True, "loginEnabled": True, "tokenEnabled": True,
    },
    "Device": {
        "name": Name(), "type": Ref("DeviceType"), "subtype": Ref("DeviceSubtype"), "enabled": True, "onlineable": True,
        "config": {"rate": Name()}, "infos": {"rate": Name()}, "notes": Name(),
    },
    "DeviceType": {"name": Name(), "key": Name()},
    "DeviceSubtype": {"name": Name()},
    "Service": {
        "name": Name(), "hostname": Name(), "port": 2, "endpoint": Name(), "clientEndpoint": Name(), "endpointUser": Name(),
        "endpointParticipant": Name(), "endpointDevice": Name(), "enabled": True, "editableConfig": True, "configSchema": {},
        "hasAssets": True, "hasTests": True, "checksAssets": True, "actsFor": "COGNITO",
    },
    "ServiceConfig/user": {"config": {"volume": 2, "name": Name()}},
    "ServiceConfig/participant": {"config": {"volume": 2, "name": Name()}},
    "Spec": {"state": "DEPRECATED", "compatibility": "FULL", "labels": ["x"], "project": Ref("Project")},
    "Simulation": {"title": Name(), "labels": ["x"], "project": Ref("Project"), "session": Ref("Session")},
    "Cluster": {"description": Name(), "enabled": True, "maxTasks": 3},
    "Cluster/closed": {"description": Name(), "enabled": True, "maxTasks": 3},
    "NotificationTemplate/project": {"subject": Name(), "text": Name(), "html": Name()},
    "NotificationTemplate/site": {"subject": Name(), "text": Name(), "html": Name()},
}  # fmt: skip
"""A value for each field of the input that changes a row of a kind."""

MORE_IDS: Mapping[str, Mapping[str, Any]] = {
    "createSession": {"users": [Ref("User")], "participants": [Ref("Participant")], "devices": [Ref("Device")]},
    "createSessionType": {"projects": [Ref("Project")], "services": [Ref("Service")]},
    "createParticipant": {"group": Ref("ParticipantGroup")},
    "createDevice": {"subtype": Ref("DeviceSubtype")},
    "createUpload": {"target": Ref("Project")},
    "createArchive": {"cluster": Ref("Cluster")},
    "createServiceConfig": {"device": Ref("Device")},
    "createChallenge": {"organisers": Ref("UserGroup"), "evaluator": Ref("Evaluator")},
    "createLeaderboard": {"phase": Ref("Phase")},
}
"""Ids that may be given besides the least."""

_STRANGER = {"user": Ref("User/stranger")}
ARGUMENTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **contested.ARGUMENTS,
    "grantRole": ("SA", {"role": Ref("Role/core"), "grantee": Ref("ParticipantGroup")}),
    "revokeRole": ("SA", {"id": Ref("RoleGrant")}),
    "addToGroup": ("SV", {"id": Ref("UserGroup"), "users": [Ref("User/stranger")]}),
    "removeFromGroup": ("SV", {"id": Ref("UserGroup"), "users": [Ref("User/stranger")]}),
    "setLinks": ("SA", {"kind": "DEVICE_SITES", "id": Ref("Device"), "ids": [Ref("Site")]}),
    "updateSession(input)": ("SA", {
        "id": Ref("Session"), "expectedVersion": 1,
        "input": {"type": Ref("SessionType/own"), "users": [Ref("User")], "participants": [Ref("Participant")], "devices": [Ref("Device")]},
    }),
    "startSession": ("SA", {"id": Ref("Session")}),
    "stopSession": ("SA", {"id": Ref("Session")}),
    "cancelSession": ("SA", {"id": Ref("Session")}),
    "terminateSession": ("SA", {"id": Ref("Session")}),
    "inviteToSession": ("SA", {"id": Ref("Session"), "users": [Ref("User")], "participants": [Ref("Participant")], "devices": [Ref("Device")]}),
    "removeFromSession": ("SA", {"id": Ref("Session"), "users": [Ref("User")]}),
    "removeFromSession(participants)": ("SA", {"id": Ref("Session"), "participants": [Ref("Participant")]}),
    "removeFromSession(devices)": ("SA", {"id": Ref("Session"), "devices": [Ref("Device")]}),
    "replyInvite": ("PT", {"id": Ref("Session"), "reply": "ACCEPT"}),
    "leaveSession": ("PT", {"id": Ref("Session")}),
    "reportEvents": ("SA", {"events": [{"session": Ref("Session"), "clientId": "x", "type": "USER_EVENT", "occurredAt": "2026-02-01T09:00:00Z"}]}),
    "createLoginCode": ("PU", {"service": Ref("Service")}),
    "disconnect": ("SA", {"id": Ref("Participant")}),
    "addLogEvent": ("SV", {"level": "INFO", "message": "x", "project": Ref("Project")}),
    "createAsset": ("SV", {"input": {"session": Ref("Session"), "name": "x.mp4", "address": "https://calls.example/x", "size": "5", "creator": Ref("Participant")}}),
    "createAssetGrant": ("SA", {"files": [Ref("File")]}),
    "releaseAsset": ("SV", {"id": Ref("File")}),
    "refuseAsset": ("SV", {"id": Ref("File"), "message": "x"}),
    "submitSimulation(from)": ("OW", {"from": Ref("Simulation"), "input": {}}),
    "submitSimulation": ("PU", {"input": {"simType": "SHIELDHIT", "inputFiles": FILES, "project": Ref("Project"), "session": Ref("Session"), "cluster": Ref("Cluster")}}),
    "updateSimulation": ("OW", {"id": Ref("Simulation"), "expectedVersion": 1, "input": {"project": Ref("Project"), "session": Ref("Session")}}),
    "buildPackage": ("OW", {"id": Ref("SpecVersion")}),
    "yankPackage": ("OW", {"id": Ref("SpecVersion"), "reason": "x"}),
    "unyankPackage": ("OW", {"id": Ref("SpecVersion")}),
    "updateSpec": ("OW", {"id": Ref("Spec"), "expectedVersion": 1, "input": {"project": Ref("Project")}}),
    "createDownload": ("PU", {"simulation": Ref("Simulation"), "kind": "RESULTS"}),
    "createExport": ("PU", {"list": "simulations"}),
    "cancelJob": ("OW", {"id": Ref("Job")}),
    "cancelJobs": ("OW", {"jobs": [Ref("Job")]}),
    "retryJobs": ("OW", {"jobs": [Ref("Job")]}),
    "deleteJobs": ("OW", {"jobs": [Ref("Job")]}),
    "deleteSimulations": ("OW", {"simulations": [Ref("Simulation")]}),
    "deleteFileForever": ("OW", {"id": Ref("File")}),
    "setJobPriority": ("OW", {"id": Ref("Job"), "priority": 1}),
    "retryJob": ("OW", {"id": Ref("Job"), "cluster": Ref("Cluster")}),
    "createSpecToken": ("OW", {"label": "x", "expiresAt": "2099-01-01T00:00:00Z", "spec": Ref("Spec")}),
    "createSpecToken(owner)": ("XA", {"label": "x", "expiresAt": "2099-01-01T00:00:00Z", "owner": _STRANGER}),
    "createApiKey": ("XA", {"label": "x", "scopes": ["READ"], "owner": _STRANGER}),
    "revokeAllCredentials": ("XA", {"owner": _STRANGER}),
    "deleteAllSpecs": ("XA", {"owner": _STRANGER}),
    "putSpec(owner)": ("XA", {"name": "x", "source": SPEC, "language": "JSON", "owner": _STRANGER}),
    "rotateApiKey": ("OW", {"id": Ref("Credential/user")}),
    "revokeCredential": ("SA", {"id": Ref("Credential/participant")}),
    "createParticipantToken": ("SA", {"participant": Ref("Participant")}),
    "createDeviceToken": ("SA", {"device": Ref("Device")}),
    "createDeviceCertificate": ("SA", {"device": Ref("Device"), "request": certificate_request()}),
    "createServiceToken": ("SA", {"service": Ref("Service")}),
    "setPassword": ("XA", {"id": Ref("User/stranger"), "newPassword": "a long enough password"}),
    "removeTwoFactor": ("XA", {"id": Ref("User/stranger")}),
    "closeSessions": ("XA", {"user": Ref("User/stranger")}),
    "sendNotification(notificationTemplate)": ("SA", {"participants": [Ref("Participant")], "notificationTemplate": Ref("NotificationTemplate/project")}),
    "sendNotification(participants)": ("SA", {"participants": [Ref("Participant")], "subject": "x", "text": "x"}),
    "sendNotification": ("XA", {"users": [Ref("User/stranger")], "subject": "x", "text": "x"}),
    "setParticipantPassword": ("SA", {"id": Ref("Participant"), "newPassword": "a long enough password"}),
}  # fmt: skip
"""Of mutations that take ids and are none of the common ones: who may run them, with what; also of one argument, where
others may run them than with the rest."""
NOTHING_HIDDEN = {
    "setPassword",
    "closeSessions",
    "closeSession",
    "sendNotification(users)",
    "removeTwoFactor",
    "workerDeliver",
    "workerPutResults",
    "createApiKey",
    "createSpecToken(owner)",
    "revokeAllCredentials",
    "deleteAllSpecs",
    "putSpec(owner)",
}
"""Mutations whose ids name users, of whom every user sees a card, or login sessions, which are no nodes; or what a
worker's own task uploaded."""


def typename_of(kind: str) -> str:
    return kind.partition("/")[0]


def known(kinds: Sequence[str]) -> list[str]:
    """Those of the kinds that the schema has a type for."""
    return [kind for kind in kinds if typename_of(kind) in NODES]


def mutation_of(kind: str, letter: str) -> str | None:
    """The mutation that does a letter of the matrix to rows of a kind, if the schema has it."""
    typename = typename_of(kind)
    verb = {"C": "create", "U": "update", "D": "delete", "B": "restore"}[letter]
    name = MUTATIONS.get(typename, {}).get(letter, f"{verb}{typename}")
    assert CORE.mutation_type is not None
    return name if name in CORE.mutation_type.fields else None


def may(kind: str, role: str, letter: str) -> bool:
    return letter in MATRIX[kind][role]


def sees(role: str, kind: str, other: str) -> bool:
    """Whether who has a role for rows of a kind sees the row here of another. Rows outside the matrix are users, of whom
    each user sees a card, and what both places have."""
    return other not in MATRIX or may(other, role, "R") or (role == "OW" and kind in OWNERS and may(other, "PU", "R"))


def may_write(kind: str, role: str, field: str) -> bool:
    """Whether a role may change a field of the row here."""
    writers = FIELD_WRITERS.get(typename_of(kind))
    return may(kind, role, "U") and (writers is None or role in writers.get(field, writers["*"]).split())


def fields_of(typename: str) -> list[str]:
    """The guarded fields of a type."""
    return [
        name
        for kind, name, _, declared in declared_fields(CORE)
        if kind.name == typename
        and (getattr(declared, "needs", ()) or {"online", "presence"} & {*getattr(declared, "asks", ())})
    ]


def refs(value: Any) -> Iterator[Ref]:
    """The rows that something given names."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from refs(one)


# The rows -------------------------------------------------------------------------------------------------------------

Rows = dict[str, UUID]
_ASSET = m.FilePurpose.SESSION_ASSET


async def settle(session: AsyncSession, world: World) -> tuple[Rows, Rows, dict[str, UUID]]:
    """Add what the world has no row of; the rows here and there by kind, and the people that were added."""
    owen, uma, olga = (
        m.User(
            id=uuid7(), username=name, email=f"{name}@torana.example", email_verified=True, first_name=name, last_name="x",
            affiliation="x", profile={"a": 1}, notes="x", last_online_at=START,
        )
        for name in ("owen", "uma", "olga")
    )  # fmt: skip
    session.add_all([owen, uma, olga])
    await session.flush()
    await roles.enrol(session, await session.get_one(m.Project, world.shared), uma.id)
    await _complete(session, world)
    root = (world.root, None, None)
    here = await _place(session, world, world.here, owen.id, uma.id, world.sita)
    there = await _place(session, world, world.there, *root)
    here |= await contested.contest(session, world.here, owen.id, olga.id, here["Cluster"], shown=True)
    there |= await contested.contest(session, world.there, world.root, None, there["Cluster"], shown=False)
    here |= {
        "User": uma.id, "DeviceType": world.device_type,
        "DeviceSubtype": await _first(session, m.DeviceSubtype, name="subtype at Harbour"),
        "User/invited": world.silo,
    }  # fmt: skip
    invited = await _hold(session, await _first(session, m.SessionType, name="Visit"), None, owen.id)
    session.add(m.SessionMember(session_id=invited, user_id=world.silo))
    opened = m.Cluster(id=uuid7(), name="open to all", platform=m.Platform.SLURM)
    session.add(opened)
    await session.flush()
    await archive_of(session, owen.id, "of a project", project_id=world.here.project)
    await file_of(session, "by a service.csv", service_id=world.here.service)
    await upload_of(
        session, "by a service.csv", service_id=world.here.service, session_id=here["Session"], file_id=here["File"]
    )
    here["File/public"] = await file_of(session, "public.csv", purpose=m.FilePurpose.PUBLIC)
    here |= {"Session/invited": invited, "Cluster": opened.id, "Cluster/closed": here["Cluster"]}
    return here, there, {"owen": owen.id, "uma": uma.id, "olga": olga.id}


async def _complete(session: AsyncSession, world: World) -> None:
    """Give what guarded columns may hold."""
    values: list[tuple[Any, UUID, dict[str, Any]]] = [
        (m.Device, world.here.device, {"last_online_at": START, "status": {"battery": 1}}),
        (m.Participant, world.here.participant, {"last_online_at": START}),
        (
            m.Service,
            world.here.service,
            {"has_assets": True} | {f"endpoint_{who}": "/x" for who in ("user", "participant", "device")},
        ),
    ]
    for model, key, given in values:
        row = await session.get_one(model, key)
        for name, value in given.items():
            setattr(row, name, value)
    await session.flush()


async def _first(session: AsyncSession, model: Any, **having: Any) -> UUID:
    wanted = sa.select(model.id).filter_by(**having).order_by(model.id).limit(1)
    key: UUID = (await session.scalars(wanted)).one()
    return key


async def _hold(
    session: AsyncSession, kind: UUID, project: UUID | None, creator: UUID, column: str = "creator_id"
) -> UUID:
    held = m.Session(id=uuid7(), type_id=kind, project_id=project, name="held", starts_at=START, comments="x",
                     parameters={"a": 1}, **{column: creator})  # fmt: skip
    session.add(held)
    await session.flush()
    return held.id


async def _group_of(session: AsyncSession, role: UUID, name: str) -> UUID:
    """A group that holds this role alone."""
    group = m.UserGroup(id=uuid7(), name=name)
    session.add(group)
    await session.flush()
    session.add(m.RoleGrant(role_id=role, user_group_id=group.id))
    await session.flush()
    return group.id


async def _kind(session: AsyncSession, place: Place, name: str, *, own: bool = False) -> UUID:
    """A type of sessions in a place; with `own`, run by its service."""
    kind = m.SessionType(
        id=uuid7(), name=name, online=True, color="#2f7ed8", config={"volume": 1},
        category=m.SessionCategory.SERVICE if own else m.SessionCategory.DATACOLLECT,
        service_id=place.service if own else None,
    )  # fmt: skip
    session.add(kind)
    await session.flush()
    if not own:
        session.add(m.SessionTypeService(service_id=place.service, session_type_id=kind.id))
    session.add_all([
        m.SessionTypeSite(site_id=place.site, session_type_id=kind.id),
        m.SessionTypeProject(project_id=place.project, session_type_id=kind.id),
    ])  # fmt: skip
    await session.flush()
    return kind.id


async def _place(
    session: AsyncSession, world: World, place: Place, owner: UUID, configured: UUID | None, notified: UUID | None
) -> Rows:
    """A row of every kind in a place, of an owner."""
    kind = await _first(session, m.SessionType, name="Visit")
    held = await _hold(session, kind, place.project, owner)
    made = await simulate(session, owner, place.project, "by its owner", tasks=1)
    job = await session.get_one(m.Job, made.job)
    (await session.get_one(m.Simulation, made.simulation)).session_id = held
    given = await session.scalars(sa.select(m.SimulationSetup).filter_by(simulation_id=made.simulation))
    given.one().project = {"beam": {}}
    job.warnings, job.error = ["x"], {"code": "PROGRAM_FAILED", "message": "x"}
    spec, version = await specify(session, owner, f"spec-{place.project}")
    (await session.get_one(m.Spec, spec)).project_id = place.project
    by_device = await _hold(session, kind, place.project, place.device, "creator_device_id")
    by_participant = await _hold(session, kind, place.project, place.participant, "creator_participant_id")
    keys = {name: uuid7() for name in ("SessionEvent/device", "Credential/user", "Preference", "Notification", "AuditEvent", "SessionEvent",
                                       "SessionMember", "Role/project", "Role/site", "RoleGrant/service",
                                       "NotificationTemplate/project", "NotificationTemplate/site", "ServiceConfig/user")}  # fmt: skip
    cluster, link, label = uuid7(), uuid7(), uuid7()
    session.add(m.Cluster(id=cluster, name=f"of {place.project}", platform=m.Platform.SLURM))
    for name, where in (("Role/project", {"project_id": place.project}), ("Role/site", {"site_id": place.site})):
        scope = m.RoleScope[name.partition("/")[2].upper()]
        session.add(m.Role(id=keys[name], service_id=place.service, scope=scope, name="operator", **where))
    await session.flush()
    session.add_all([
        m.Credential(id=keys["Credential/user"], user_id=owner, kind=m.CredentialKind.API_KEY, algorithm="sha256",
                     public_key=f"k{place.project}", secret_hash=digest_of(str(uuid4())), expires_at=later(3600)),
        m.Credential(user_id=owner, kind=m.CredentialKind.SPEC_TOKEN, label="specs", algorithm="sha256",
                     secret_hash=digest_of(spec_token_of(place)), scopes=["read"], expires_at=later(3600)),
        m.Credential(user_id=owner, kind=m.CredentialKind.SPEC_TOKEN, label="spec", algorithm="sha256", spec_id=spec,
                     secret_hash=digest_of(str(uuid4())), scopes=["read"], expires_at=later(3600)),
        m.Preference(id=keys["Preference"], user_id=owner, app_tag="x", value={"a": 1}),
        m.Notification(id=keys["Notification"], user_id=owner, recipient="x", text="x", error="x"),
        m.AuditEvent(id=keys["AuditEvent"], actor_kind="user", actor_id=owner, action="X", entity_type="User",
                     site_id=place.site, project_id=place.project, client={"ip": "127.0.0.1"}),
        m.SessionEvent(id=keys["SessionEvent"], session_id=held, type=m.SessionEventType["USER_EVENT"], occurred_at=START),
        m.SessionEvent(id=keys["SessionEvent/device"], session_id=by_device, device_id=place.device,
                       type=m.SessionEventType["DEVICE_EVENT"], occurred_at=START),
        m.SessionMember(session_id=by_device, device_id=place.device, state=m.SessionMemberState.JOINED),
        m.SessionMember(session_id=by_participant, participant_id=place.participant),
        m.ClusterUserGroup(cluster_id=cluster, user_group_id=place.members),
        m.SimulationLabel(id=label, simulation_id=made.simulation, name="paper"),
        m.SimulationLink(id=link, simulation_id=made.simulation, user_id=owner, secret_hash=digest_of(link_to(place)),
                         expires_at=later(3600)),
        m.SessionMember(id=keys["SessionMember"], session_id=held, participant_id=place.participant),
        m.RoleGrant(id=keys["RoleGrant/service"], role_id=keys["Role/project"], participant_group_id=place.group),
        m.NotificationTemplate(id=keys["NotificationTemplate/project"], key="x", text="x", project_id=place.project),
        m.NotificationTemplate(id=keys["NotificationTemplate/site"], key="x", text="x", site_id=place.site),
        m.ServiceConfig(id=keys["ServiceConfig/user"], service_id=place.service, user_id=configured or owner,
                        config={"volume": 3}),
    ])  # fmt: skip
    await session.flush()
    job.cluster_id, job.platform = cluster, m.Platform.SLURM
    await session.flush()
    asset = await file_of(
        session, "asset.csv", purpose=_ASSET, owner_user_id=owner, session_id=held, project_id=place.project
    )
    upload, part = await upload_of(session, "own.csv", owner_user_id=owner, project_id=place.project)
    archived = await archive_of(session, owner, "archive", simulation_id=made.simulation)
    plain = await _kind(session, place, "plain")
    await _hold(session, plain, place.project, place.service, "creator_service_id")
    told = {"session_id": held, "type": m.SessionEventType["GENERAL_INFO"], "occurred_at": START}
    session.add_all(m.SessionEvent(**told, **whose) for whose in (
        {"user_id": owner}, {"participant_id": place.participant}, {"service_id": place.service}
    ))  # fmt: skip
    for whose in ({"participant_id": place.participant}, {"device_id": place.device}):
        await upload_of(session, "brought.csv", session_id=held, **whose)
    await file_of(
        session,
        "brought.csv",
        purpose=_ASSET,
        participant_id=place.participant,
        session_id=held,
        project_id=place.project,
    )
    brought = await file_of(
        session, "sensor.csv", purpose=_ASSET, device_id=place.device, session_id=by_device, project_id=place.project
    )
    spot = Spot(place.project, place.participant, place.device)
    return {
        **keys,
        **await furnish_further(session, spot, "further"),
        "Session/device": by_device, "Session/participant": by_participant, "File/device": brought,
        "SessionType": plain, "SessionType/own": await _kind(session, place, "own", own=True),
        "Credential/participant": place.participant_key, "Credential/device": place.device_key,
        "UserGroup/service": await _group_of(session, keys["Role/project"], "of a service"),
        "UserGroup": place.members, "RoleGrant": place.grant, "Site": place.site, "Project": place.project,
        "ParticipantGroup": place.group, "Participant": place.participant, "Device": place.device,
        "Service": place.service, "ServiceConfig/participant": place.config, "Session": held, "Spec": spec,
        "SpecVersion": version, "Simulation": made.simulation, "Estimator": made.estimator, "Page": made.page,
        "Job": made.job, "Task": made.task, "User/stranger": world.eve, "Cluster": cluster, "SimulationLink": link,
        "SimulationLabel": label, "SpecLabel": await _first(session, m.SpecLabel, spec_id=spec),
        "SpecModel": await _first(session, m.SpecModel, spec_version_id=version),
        "SimulationSetup": await _first(session, m.SimulationSetup, simulation_id=made.simulation),
        "LogEntry": await _first(session, m.LogEntry, job_id=made.job), "Archive": archived.archive,
        "Job/archive": archived.job, "File": asset, "File/archive": archived.file,
        "Job/package": await _build(session, version, owner, place.project),
        "File/package": await file_of(session, "x-1.0.tar.gz", purpose=m.FilePurpose.SPEC_PACKAGE, spec_version_id=version),
        "File/output": await _output(session, "out.bdo", made, owner, place.project), "File/own": await file_of(session, "own.csv", owner_user_id=owner),
        "Upload": upload, "UploadPart": part,
        "Role/core": await _first(session, m.Role, project_id=place.project, service_id=m.CORE, name=m.USER),
    }  # fmt: skip


async def _build(session: AsyncSession, version: UUID, owner: UUID, project: UUID) -> UUID:
    """A job that built the packages of a version."""
    key = uuid7()
    session.add(m.Job(id=key, key=f"build-{key}", kind=m.JobKind.PACKAGE_BUILD, owner_user_id=owner, project_id=project,
                      title="x", state=m.JobState.COMPLETED, spec_version_id=version, progress=1.0))  # fmt: skip
    await session.flush()
    return key


async def _output(session: AsyncSession, name: str, made: Simulated, owner: UUID, project: UUID) -> UUID:
    """What the program of a simulation wrote."""
    of = {"simulation_id": made.simulation, "task_id": made.task, "project_id": project, "owner_user_id": owner}
    return await file_of(session, name, purpose=m.FilePurpose.OUTPUT, **of)


def link_to(place: Place) -> str:
    """The secret of the link to the simulation of a place."""
    return f"sl_{place.project}"


def spec_token_of(place: Place) -> str:
    """The secret of the token of the specs that are shared with a place."""
    return f"tk_{place.project}"


async def fresh(
    session: AsyncSession, kind: str, world: World, place: Place, people: Mapping[str, UUID], beside: Rows
) -> UUID:
    """A further row of a kind in a place, which nothing uses."""
    key, name = uuid7(), str(uuid4())
    common = {"id": key, "name": name}
    mine = people["owen"] if place == world.here else world.root
    in_project, config = (
        {"project_id": place.project},
        {"service_id": place.service, "specific_id": name, "config": {"volume": 1}},
    )
    match kind:
        case "User":
            session.add(m.User(id=key, username=name))
            await session.flush()
            session.add(m.UserGroupMember(user_group_id=place.members, user_id=key))
        case "UserGroup":
            session.add(m.UserGroup(**common))
            await session.flush()
            role = await _first(session, m.Role, project_id=place.project, service_id=m.CORE, name=m.USER)
            session.add(m.RoleGrant(role_id=role, user_group_id=key))
        case "UserGroup/service":
            return await _group_of(session, beside["Role/project"], name)
        case "Role/project":
            session.add(m.Role(**common, service_id=place.service, scope=m.RoleScope.PROJECT, **in_project))
        case "Role/site":
            session.add(m.Role(**common, service_id=place.service, scope=m.RoleScope.SITE, site_id=place.site))
        case "RoleGrant" | "RoleGrant/service":
            group = m.ParticipantGroup(id=uuid7(), name=name, **in_project)
            session.add(group)
            await session.flush()
            service = m.CORE if kind == "RoleGrant" else place.service
            role = await _first(session, m.Role, project_id=place.project, service_id=service)
            session.add(m.RoleGrant(id=key, role_id=role, participant_group_id=group.id))
        case "Site":
            session.add(m.Site(**common))
        case "Project":
            session.add(m.Project(**common, site_id=place.site))
            await session.flush()
            session.add(m.ProjectService(project_id=key, service_id=place.service))
        case "ParticipantGroup":
            session.add(m.ParticipantGroup(**common, **in_project))
        case "Participant":
            session.add(m.Participant(**common, **in_project))
        case "DeviceType":
            session.add(m.DeviceType(**common, key=name))
        case "DeviceSubtype":
            session.add(m.DeviceSubtype(**common, type_id=world.device_type))
        case "Device":
            session.add(m.Device(**common, type_id=world.device_type))
            await session.flush()
            session.add(m.SiteDevice(site_id=place.site, device_id=key))
        case "Service":
            session.add(m.Service(**common, key=name, hostname="x", port=1, endpoint="/", client_endpoint="/"))
        case "ServiceConfig/user":
            session.add(m.ServiceConfig(id=key, user_id=people["uma"] if place == world.here else world.root, **config))
        case "ServiceConfig/participant":
            session.add(m.ServiceConfig(id=key, participant_id=place.participant, **config))
        case "Session" | "Session/invited":
            project = place.project if kind == "Session" else None
            return await _hold(session, await _first(session, m.SessionType, name="Visit"), project, mine)
        case "Session/device" | "Session/participant":
            who = kind.partition("/")[2]
            type_ = await _first(session, m.SessionType, name="Visit")
            return await _hold(session, type_, place.project, getattr(place, who), f"creator_{who}_id")
        case "SessionType" | "SessionType/own":
            return await _kind(session, place, name, own=kind != "SessionType")
        case "SessionEvent" | "SessionEvent/device":
            session.add(
                m.SessionEvent(
                    id=key,
                    session_id=beside["Session" if kind == "SessionEvent" else "Session/device"],
                    type=m.SessionEventType["USER_EVENT"],
                    occurred_at=START,
                )
            )
        case "Credential/user" | "Credential/participant" | "Credential/device":
            who = kind.partition("/")[2]
            owner = mine if who == "user" else getattr(place, who)
            what = m.CredentialKind.API_KEY if who == "user" else m.CredentialKind.STATIC_TOKEN
            session.add(
                m.Credential(
                    id=key,
                    kind=what,
                    algorithm="sha256",
                    label=name,
                    secret_hash=digest_of(name),
                    **{f"{who}_id": owner},
                )
            )
        case "NotificationTemplate/project":
            session.add(m.NotificationTemplate(id=key, key=name, text="x", **in_project))
        case "NotificationTemplate/site":
            session.add(m.NotificationTemplate(id=key, key=name, text="x", site_id=place.site))
        case "Spec" | "SpecVersion":
            spec, version = await specify(session, mine, name)
            (await session.get_one(m.Spec, spec)).project_id = place.project
            return spec if kind == "Spec" else version
        case "Job/package":
            _, version = await specify(session, mine, name)
            return await _build(session, version, mine, place.project)
        case "Simulation" | "Job":
            made = await simulate(session, mine, place.project, name, tasks=1)
            return made.simulation if kind == "Simulation" else made.job
        case "File":
            held = await _hold(session, await _first(session, m.SessionType, name="Visit"), place.project, mine)
            return await file_of(
                session, name, purpose=_ASSET, owner_user_id=mine, session_id=held, project_id=place.project
            )
        case "File/device":
            return await file_of(
                session, name, purpose=_ASSET, device_id=place.device, session_id=beside["Session/device"],
                project_id=place.project,
            )  # fmt: skip
        case "File/own":
            return await file_of(session, name, owner_user_id=mine)
        case "File/package":
            _, version = await specify(session, mine, name)
            return await file_of(session, name, purpose=m.FilePurpose.SPEC_PACKAGE, spec_version_id=version)
        case "File/archive":
            return (await archive_of(session, mine, name)).file
        case "File/output":
            return await _output(
                session, name, await simulate(session, mine, place.project, name, tasks=1), mine, place.project
            )
        case "File/public":
            return await file_of(session, name, purpose=m.FilePurpose.PUBLIC)
        case "Upload":
            return (await upload_of(session, name, owner_user_id=mine))[0]
        case "Archive" | "Job/archive":
            archived = await archive_of(session, mine, name)
            return archived.archive if kind == "Archive" else archived.job
        case "SimulationLink":
            made = await simulate(session, mine, place.project, name, tasks=1)
            session.add(
                m.SimulationLink(
                    id=key,
                    simulation_id=made.simulation,
                    user_id=mine,
                    secret_hash=digest_of(name),
                    expires_at=later(60),
                )
            )
        case _ if kind in contested.KINDS:
            return await contested.further(session, kind, beside, place, mine)
        case _:
            return await BESIDES[kind].make(session, Spot(place.project, place.participant, place.device), name)
    await session.flush()
    return key


async def mutate(
    platform: Platform, who: str | Principal, name: str, selected: str = "", /, **given: Any
) -> tuple[dict[str, Any], list[Any]]:
    """What a mutation answered, and the errors beside that. `selected` goes below the type of its success. A mutation of
    several rows that refuses its one row answers as one that refuses."""
    assert CORE.mutation_type is not None
    field = CORE.mutation_type.fields[name]
    parameters = ",".join(f"${n}:{field.args[n].type}" for n in given)
    passed = ",".join(f"{n}:${n}" for n in given)
    members = getattr(get_named_type(field.type), "types", ())
    node = "...on Node{id}" if any(member.name in NODES for member in members) else ""
    several = [member.name for member in members if "outcomes" in member.fields]
    selected += "".join(f"...on {one}{{outcomes{{problem{{__typename code message field}}}}}}" for one in several)
    query = f"mutation{f'({parameters})' if given else ''}{{done:{name}{f'({passed})' if given else ''}{{__typename {node} ...on Problem{{code message field}} {selected}}}}}"
    answer = await platform.answer(query, who, **given)
    assert answer.body.get("data"), answer.body
    done = answer.body["data"]["done"] or {"__typename": None}
    if len(outcomes := done.get("outcomes", ())) == 1 and outcomes[0]["problem"]:
        done = outcomes[0]["problem"]
    return done, answer.body.get("errors", [])


# The stage ------------------------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """A database with a row of every kind here and there, asked in both ways: rendered, and row by row."""

    rendered: Platform
    rows: Platform
    here: Rows
    there: Rows
    added: Mapping[str, UUID]
    people: dict[str, Principal]

    @property
    def world(self) -> World:
        return self.rendered.world

    @property
    def ways(self) -> tuple[Platform, Platform]:
        return (self.rendered, self.rows)

    @property
    def sqlite(self) -> bool:
        return self.rendered.services.database.dialect == "sqlite"

    def both(self, role: str) -> Sequence[Platform]:
        """Both ways, for some roles: row by row gets the same clauses, and on PostgreSQL the same statements but pages."""
        some = ("OW", "PU", "SA", "PT", "DV", "SV", "LK") if self.sqlite else ("PU", "SV", "LK")
        return self.ways if role in some else self.ways[:1]

    def who(self, role: str, kind: str = "") -> Principal:
        """Who has a role; OW of a kind of row is its owner."""
        name = OWNERS.get(kind, PEOPLE["OW"]) if role == "OW" else PEOPLE[role]
        return ANONYMOUS if name is None else self.people[name]

    async def now(self, role: str, kind: str = "") -> Principal:
        """The same with the rights of this moment."""
        known, database = self.who(role, kind), self.rendered.services.database
        name = OWNERS.get(kind, PEOPLE["OW"]) if role == "OW" else PEOPLE[role]
        if known.kind is Kind.USER:
            assert name is not None
            return await principal_named(database, name)
        if name in PRESENTED:
            secret = self.world.here.secrets["participant" if name == "limited" else name]
            return await principal_of(database, Secret(PRESENTED[name], digest_of(secret)))
        return known

    def id(self, kind: str, *, there: bool = False) -> str:
        return global_id(typename_of(kind), (self.there if there else self.here)[kind])

    def given(self, value: Any, *, there: Any = ()) -> Any:
        """What a client sends: ids of rows here, but there for the kinds in `there`; `Name`s as texts."""
        if isinstance(value, Ref):
            return self.id(value.kind, there=value.kind in there)
        if isinstance(value, Name):
            return value.pattern.format(uuid4().hex)
        if isinstance(value, Mapping):
            return {name: self.given(one, there=there) for name, one in value.items()}
        if isinstance(value, list):
            return [self.given(one, there=there) for one in value]
        return value

    async def fresh(self, kind: str, *, there: bool = False, deleted: bool = False) -> str:
        """The id of a further row."""
        place = self.world.there if there else self.world.here
        model: Any = model_of(CORE.get_type(typename_of(kind)))
        async with self.rendered.services.database.write(as_system="test") as session:
            key = await fresh(session, kind, self.world, place, self.added, self.there if there else self.here)
            if deleted:
                await erase(session, await session.get_one(model, key))
        return global_id(typename_of(kind), key)

    async def run(
        self, who: Principal, name: str, selected: str = "", /, **given: Any
    ) -> tuple[dict[str, Any], list[Any]]:
        """What a mutation answered, and the errors beside that."""
        return await mutate(self.rendered, who, name, selected, **given)

    async def written(self, who: Principal, name: str, /, **given: Any) -> str | None:
        """The code with which a mutation was refused; None for success."""
        done, errors = await self.run(who, name, **given)
        assert not errors, errors
        return done.get("code") if done["__typename"] == "Problem" else None

    async def version(self, id: str) -> int:
        found = await self.rows.ask("query($id:ID!){node(id:$id){version}}", self.people["root"], id=id)
        version: int = found["node"]["version"]
        return version

    async def all(self) -> dict[str, list[str]]:
        """The ids of all rows, by type."""
        found = {}
        for typename in NODES:
            model: Any = model_of(CORE.get_type(typename))
            rows = await self.rendered.services.database.rows(sa.select(model.id).order_by(model.id))
            found[typename] = [global_id(typename, row.id) for row in rows]
        return found

    @asynccontextmanager
    async def filled(self) -> AsyncIterator[None]:
        """Inside, a user and a service have what they have when the one acts for the other."""
        await self._fill(m.AuthProvider.KEYCLOAK, "4f1c")
        try:
            yield
        finally:
            await self._fill(None, None)

    async def _fill(self, acts_for: m.AuthProvider | None, subject: str | None) -> None:
        async with self.rendered.services.database.write(as_system="test") as session:
            user, service = (self.here[kind] for kind in ("User", "Service"))
            await session.execute(sa.update(m.User).where(m.User.id == user).values(external_subject=subject))
            await session.execute(sa.update(m.Service).where(m.Service.id == service).values(acts_for=acts_for))

    def changes(self) -> AbstractContextManager[list[str]]:
        """The tables that are changed for good inside."""
        return changes(self.rendered.services.database)


async def _stage(session: AsyncSession, world: World) -> tuple[World, Rows, Rows, dict[str, UUID]]:
    return world, *await settle(session, world)


STAGE = Recipe("stage", _stage, WORLD)


@asynccontextmanager
async def staged_on(prepared: Prepared, backend: str, schema: Schema, folder: Path) -> Any:
    """A database of its own, set for trying the matrix."""
    url, (world, here, there, added) = await prepared.copy(backend, STAGE)
    async with platform_on(url, world, schema, folder, Bounds()) as platform:
        others = (None, "link", "external", "token", *added)
        people = {name: await platform.principal(name) for name in PEOPLE.values() if name not in others} | {
            name: await principal_as(platform.services, key) for name, key in added.items()
        }
        presented = Secret(Kind.LINK, digest_of(link_to(world.here)))
        people["link"] = await principal_of(platform.services.database, presented)
        worker = Secret(Kind.CHALLENGE_WORKER, digest_of(contested.token_of(world.here)))
        people["external"] = await principal_of(platform.services.database, worker)
        token = Secret(Kind.SPEC_TOKEN, digest_of(spec_token_of(world.here)))
        people["token"] = await principal_of(platform.services.database, token)
        by_rows = replace(platform, execution=Execution(schema, Bounds(), timeout=PATIENCE, rendering=False))
        yield Stage(platform, by_rows, here, there, added, people)  # type: ignore[arg-type]
