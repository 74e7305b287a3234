"""What the workers of jobs call, with the tokens of their tasks."""

from typing import Annotated
from uuid import UUID

import strawberry

from resolvers.challenges import external
from resolvers.queue.reports import Line, Report
from resolvers.work import deliveries, worker_api
from resolvers.work.worker_api import Assignment
from schema.fields.fields import Info
from schema.fields.mutations import CHALLENGE_WORKER, WORKER, mutation
from schema.fields.scalars import JSON, BigInt, key_of
from schema.fields.values import PRINTED, Shape, readable
from schema.types.files.files import FilePurpose
from schema.types.jobs import JobState


@strawberry.type(description="An input file that a worker fetches before it starts the program.")
class FetchedFile:
    name: str = strawberry.field(description="Its name in the input folder.")
    path: str = strawberry.field(description="Where it is fetched at this gateway; who has the path may fetch it.")
    sha256: str | None = strawberry.field(description="Its SHA-256 in hexadecimal digits, where that is known.")


@strawberry.type(description="All that a worker needs to run the task that it claimed.")
class WorkerAssignment:
    token: str = strawberry.field(
        description="The token with which it reports and delivers, as long as it holds the task."
    )
    program: JSON = strawberry.field(description="How the program is started, told its progress, and its results read.")
    files: JSON = strawberry.field(description="The input files: an object of name to text.")
    checksums: JSON = strawberry.field(description="Their SHA-256 in hexadecimal digits, by name.")
    fetched: list["FetchedFile"] = strawberry.field(description="Larger input files, to be fetched.")
    purpose: FilePurpose | None = strawberry.field(  # type: ignore[valid-type]
        description="What the files are for that it delivers, as uploads with its token; null: it delivers estimators."
    )
    ordinal: int = strawberry.field(description="The task's number; it tells the seeds apart.")
    attempt: int = strawberry.field(description="Which run of the task this is.")
    requested: BigInt = strawberry.field(description="The share of the work: primary particles to simulate.")
    lease_seconds: float = strawberry.field(
        description="A worker that reports nothing for so many seconds loses the task."
    )
    report_seconds: float = strawberry.field(description="How many seconds lie between two reports.")
    silence_seconds: float = strawberry.field(
        description="A program that tells no progress for so many seconds is to be ended."
    )
    value_limit: int = strawberry.field(description="The most values of a page.")
    number_limit: BigInt = strawberry.field(description="The most numbers of all pages.")
    body_limit: int = strawberry.field(description="The most bytes of a request.")
    file_limit: BigInt = strawberry.field(description="The most bytes of a file.")


@strawberry.input(description="A line of a task's log.")
class LineInput:
    number: int = strawberry.field(
        description="Counts the lines of this run from 1; a number sent twice is stored once."
    )
    text: str = strawberry.field(description="The line.", metadata=PRINTED)
    file: str | None = strawberry.field(
        description="What it was read from: stdout, stderr, or the name of a log, 1 to 255 characters; left out: the "
        "worker says it.",
        default=None,
        metadata=PRINTED,
    )


@strawberry.type(description="The report was taken.")
class WorkerReceipt:
    state: JobState = strawberry.field(description="The state of the job.")  # type: ignore[valid-type]


def _keys(uploads: list[strawberry.ID]) -> list[UUID]:
    return [key_of("Upload", id, f"uploads.{number}") for number, id in enumerate(uploads)]


def _assignment(task: Assignment) -> WorkerAssignment:
    return WorkerAssignment(
        token=task.token,
        program=JSON(task.program),
        files=JSON(task.files),
        checksums=JSON(task.checksums),
        fetched=[FetchedFile(name=one.name, path=one.path, sha256=one.checksum) for one in task.fetched],
        purpose=task.purpose,
        ordinal=task.ordinal,
        attempt=task.attempt,
        requested=BigInt(task.requested),
        lease_seconds=task.lease,
        report_seconds=task.interval,
        silence_seconds=task.silence,
        value_limit=task.values,
        number_limit=BigInt(task.numbers),
        body_limit=task.body,
        file_limit=BigInt(task.upload),
    )


_RESULTS = Shape(object, None)
"""Their reader checks each, and the bound is that of a worker's request."""


@strawberry.type
class WorkersMutation:
    @mutation(needs=WORKER, always=True)
    async def worker_report(
        self,
        info: Info,
        number: Annotated[
            int | None,
            strawberry.argument(description="Counts this run's reports from 1; an earlier one sent later is ignored."),
        ] = None,
        done: Annotated[BigInt | None, strawberry.argument(description="Primaries done so far.")] = None,
        estimated_seconds: Annotated[
            int | None, strawberry.argument(description="Seconds that the task may still take.")
        ] = None,
        lines: Annotated[list[LineInput], strawberry.argument(description="New log lines, at most 2000.")] = [],  # noqa: B006
        error: Annotated[
            str | None,
            strawberry.argument(description="The program failed for this reason; the task ends.", metadata=PRINTED),
        ] = None,
        lost: Annotated[
            str | None,
            strawberry.argument(
                description="The program was ended from outside, for this reason; the task is to run again.",
                metadata=PRINTED,
            ),
        ] = None,
    ) -> WorkerReceipt:
        """Report progress and log lines, and keep the task. STATE means that this run is no longer wanted: stop."""
        said = [Line(line.number, readable(line.text), line.file and readable(line.file)) for line in lines]
        report = Report(number, done, estimated_seconds, said, error and readable(error), lost and readable(lost))
        return WorkerReceipt(state=await worker_api.report(info.context, report))

    @mutation(needs=WORKER, always=True)
    async def worker_put_results(
        self,
        info: Info,
        estimators: Annotated[
            JSON,
            strawberry.argument(
                description=_RESULTS.described(
                    "Estimators, in YAPTIDE's shape, with up to three axes; or the scores of an evaluation, an object."
                ),
                metadata=_RESULTS.metadata,
            ),
        ],
        done: Annotated[
            BigInt | None,
            strawberry.argument(description="They are of so many primaries only; the task goes on and sends more."),
        ] = None,
        delivery: Annotated[
            str | None, strawberry.argument(description="Its numbers came before, by `workerPutNumbers`.")
        ] = None,
        warnings: Annotated[
            list[str],
            strawberry.argument(description="What is not in the results, and why: sentences.", metadata=PRINTED),
        ] = [],  # noqa: B006
        uploads: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="Files of the program, uploaded with the task's token, at most 100."),
        ] = [],  # noqa: B006
    ) -> WorkerReceipt:
        """Deliver the task's results, and end it; with `done`, what it has so far. The same again changes nothing.
        UNAVAILABLE while a file is being checked."""
        state = await deliveries.put_results(
            info.context,
            estimators,
            done=done,
            delivery=delivery,
            warnings=[readable(text) for text in warnings],
            uploads=_keys(uploads),
        )
        return WorkerReceipt(state=state)

    @mutation(needs=WORKER, always=True)
    async def worker_put_numbers(
        self,
        info: Info,
        delivery: Annotated[
            str, strawberry.argument(description="The worker's own name for these results, 8 to 64 characters.")
        ],
        number: Annotated[int, strawberry.argument(description="Which slab of the delivery, from 0.")],
        data: Annotated[
            str,
            strawberry.argument(
                description="Doubles, the lowest byte first, NaN for none; zlib; base64. Each slab but the last has "
                "131072.",
                metadata=PRINTED,
            ),
        ],
    ) -> WorkerReceipt:
        """Deliver some of the numbers of results that are too large for one request. In the results, where numbers
        stand, `{"first": 0, "count": 10}` then means the first ten of the delivery."""
        return WorkerReceipt(state=await deliveries.put_numbers(info.context, delivery, number, data))

    @mutation(needs=WORKER, always=True)
    async def worker_deliver(
        self,
        info: Info,
        uploads: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="The files that the task uploaded with its token, at most 100."),
        ],
    ) -> WorkerReceipt:
        """Deliver files, and end the task; the same again changes nothing. UNAVAILABLE while one is being checked."""
        return WorkerReceipt(state=await deliveries.deliver(info.context, _keys(uploads)))

    @mutation(needs=WORKER, always=True)
    async def worker_claim(
        self,
        info: Info,
        number: Annotated[
            str, strawberry.argument(description="The worker's own, 8 to 64 characters: with it, it may ask again.")
        ],
    ) -> WorkerAssignment:
        """Take the task that the worker was started for. STATE means that another has it, or that it is over: stop."""
        return _assignment(await worker_api.claim(info.context, number))

    @mutation(needs=CHALLENGE_WORKER, always=True)
    async def challenge_worker_claim(
        self,
        info: Info,
        number: Annotated[
            str, strawberry.argument(description="The worker's own, 8 to 64 characters: with it, it may ask again.")
        ],
        version: Annotated[
            str, strawberry.argument(description="The version of its program, which the evaluation will name.")
        ],
    ) -> WorkerAssignment | None:
        """Take the evaluation of the challenge whose turn it is; null when none waits. From then on the worker calls
        what all workers call, with the token of the task."""
        task = await external.claim(info.context, number, version)
        return None if task is None else _assignment(task)

    @mutation(needs=WORKER, always=True)
    async def worker_collect(
        self,
        info: Info,
        reason: Annotated[
            str, strawberry.argument(description="How the batch ended, for its owner.", metadata=PRINTED)
        ],
    ) -> WorkerReceipt:
        """Tell that all tasks of a batch have ended: those that did not say so wait again, or failed."""
        return WorkerReceipt(state=await worker_api.collect(info.context, readable(reason)))
