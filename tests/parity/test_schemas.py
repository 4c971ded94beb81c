# Operators with random arguments made from their schemas: what Python takes gives the same here.
import coverage
import expected
import pytest
import schemas


def test_every_operator_gives_what_python_gives(schema_report):
    outcomes = schema_report.outcomes
    wrong = [outcome for outcome in outcomes if outcome.wrong and not expected.reason(outcome)]
    assert len({outcome.operator for outcome in outcomes}) > 1500
    if wrong:
        lines = [f"{outcome.name}: {outcome.wrong:.300}" for outcome in wrong[:60]]
        pytest.fail("\n".join([f"{len(wrong)} of {len(outcomes)} calls differ, see build/test/schema_failures.txt", *lines]))


def test_what_is_not_run_is_there():
    names = {entry.name.rpartition(".")[2] for entry in coverage.entries()}
    assert not set(schemas.NOT_RUN) - names
