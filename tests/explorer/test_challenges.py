"""A challenge in the browser: submit, upload, and watch the evaluation and the leaderboard."""

from pathlib import Path

import pytest

from tests.support.contests import contest, done
from tests.support.explorer import Explorer

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

SCORE = """import json, sys
submission, reference, output = sys.argv[-3:]
text = open(f"{submission}/predictions.csv").read()
json.dump({"accuracy": float(text), "cost": {"seconds": 1}}, open(f"{output}/scores.json", "w"))
"""


async def test_a_submission_is_made_uploaded_evaluated_and_ranked_while_one_watches(
    explorer: Explorer, tmp_path: Path
) -> None:
    (tmp_path / "predictions.csv").write_text("0.75")
    root = await explorer.gateway.log_in("root")
    of = await contest(
        explorer.gateway, root, evaluator={"scoresSchema": {"type": "object"}}, files={"score.py": SCORE}
    )
    for other in (await explorer.gateway.ask("{challenges(first:9){nodes{id label}}}"))["challenges"]["nodes"]:
        if other["id"] != of.challenge:
            await explorer.gateway.ask("mutation($i:ID!){deleteChallenge(id:$i){__typename}}", root, i=other["id"])
    await explorer.sign_in_as_tom()
    await explorer.open("Challenges and leaderboards")
    data = await explorer.answered("ChallengeLeaderboards")
    assert data["challenges"]["nodes"][0]["phases"]["nodes"][0]["id"] == of.phase
    await explorer.open("Submit to a challenge")
    submission = (await explorer.answered("CreateSubmission"))["createSubmission"]
    assert submission["status"] == "UPLOADING"
    await explorer.open("Watch a submission")
    await explorer.run()
    await explorer.see(explorer.answer, '"status": "UPLOADING"')
    await explorer.page.get_by_role("button", name="Show Uploads").click()
    pane = explorer.page.get_by_role("region", name="Uploads")
    await pane.get_by_label("Belongs to").fill(submission["id"])
    await pane.locator("input[type=file]").set_input_files(tmp_path / "predictions.csv")
    await explorer.see(pane, "ready")
    await explorer.see(explorer.answer, '"status": "COMPLETED"')
    await explorer.see(explorer.answer, '"accuracy": 0.75')
    await explorer.page.get_by_role("button", name="Show Examples").click()
    await explorer.open("Watch a leaderboard")
    await explorer.run()
    await explorer.see(explorer.answer, '"authorLabel": "tom"')
    await done(explorer.gateway, root, "createExternalEntry", input={
        "leaderboard": of.board, "key": "baseline", "authorLabel": "the baseline", "baseline": True, "data": {"accuracy": 0.5},
    })  # fmt: skip
    await explorer.see(explorer.answer, '"authorLabel": "the baseline"')
