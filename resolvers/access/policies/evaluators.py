"""Policies of evaluators, their versions, and the files of those."""

from typing import Any

from db.aliases import Alias
from db.models import Evaluator, EvaluatorFile, EvaluatorVersion
from resolvers.access.challenge_rules import EVALUATOR_ORGANISER, EVALUATOR_USER, ORGANISER
from resolvers.access.clauses import FALSE, Clause, some
from resolvers.access.policy import Policy, Rules
from resolvers.access.rules import SUPERADMIN, Rule
from resolvers.identity.principal import AccessProfile

_INSIDE: Rules = (EVALUATOR_ORGANISER, SUPERADMIN)


def _of_version(entity: Any, profile: AccessProfile) -> Clause:
    version = Alias(EvaluatorVersion)
    may = EVALUATOR_ORGANISER.clause(version, profile)
    return FALSE if may is FALSE else some(version, version.id == entity.evaluator_version_id, may)


_VERSION_ORGANISER = Rule(EVALUATOR_ORGANISER.words, EVALUATOR_ORGANISER.roles, _of_version)

POLICIES = (
    Policy(
        model=Evaluator,
        read=(EVALUATOR_USER, ORGANISER),
        fields={"host": (ORGANISER, SUPERADMIN)},
        create=(ORGANISER, SUPERADMIN),
        update=(ORGANISER, SUPERADMIN),
        delete=(ORGANISER, SUPERADMIN),
        goes_with=(Evaluator.challenge_id,),
        stays=(Evaluator.current_version_id,),
    ),
    Policy(
        model=EvaluatorVersion,
        through=EvaluatorVersion.evaluator,
        fields=dict.fromkeys(("program", "executor_arguments", "arguments"), _INSIDE),
        goes_with=(EvaluatorVersion.evaluator_id,),
        stays=(EvaluatorVersion.cluster_id,),
    ),
    Policy(
        model=EvaluatorFile,
        read=(_VERSION_ORGANISER,),
        goes_with=(EvaluatorFile.evaluator_version_id,),
        blocks=(EvaluatorFile.file_id,),
    ),
)
