# Every operator of PyTorch's own test database (OpInfo): value, dtype, shape, strides, gradients, errors.
import collections
import fnmatch

import expected
import opinfo
import pytest
import report as reports
import tolerances


@pytest.mark.parametrize("aspect", opinfo.ASPECTS)
def test_every_operator_gives_what_python_gives(report, aspect):
    outcomes = [outcome for outcome in report.outcomes if outcome.aspect == aspect]
    wrong = [outcome for outcome in outcomes if outcome.wrong and not expected.reason(outcome)]
    assert outcomes
    if wrong:
        lines = [f"{outcome.name}: {outcome.wrong:.300}" for outcome in wrong[:60]]
        pytest.fail("\n".join([f"{len(wrong)} of {len(outcomes)} calls differ, see build/test/parity_failures.txt", *lines]))


def test_every_entry_is_run(report):
    ran = {outcome.operator for outcome in report.outcomes}
    missed = {op.full_name for op in opinfo.entries()} - ran
    assert missed == set(expected.NOT_RUN), (missed - set(expected.NOT_RUN), set(expected.NOT_RUN) - missed)


def test_what_is_expected_to_differ_still_does(report, schema_report):
    """Operators that are expected to differ are run whole in a sample, too: each entry is needed by a case."""
    needed = collections.Counter(expected.reason(outcome) for outcome in report.outcomes + schema_report.outcomes
                                 if outcome.wrong)
    assert not [key for key in expected.FAILURES if not needed[key]]
    assert all(expected.FAILURES.values())


def test_every_tolerance_is_of_an_operator_that_is_run(report, schema_report):
    operators = {outcome.operator for outcome in report.outcomes + schema_report.outcomes}
    stale = [pattern for pattern in tolerances.TOLERANCES if not fnmatch.filter(operators, pattern)]
    stale += [name for name in tolerances.UNDEFINED if not any(each.rpartition(".")[2] == name for each in operators)]
    assert not stale


def test_few_calls_have_no_lua_form(report):
    count = sum(report.untranslatable.values())
    assert count < len(report.outcomes) / 50, report.untranslatable.most_common(20)


@pytest.mark.parametrize("reason", expected.DROPPED)
def test_few_cases_are_dropped(report, reason):
    """At most so many of a hundred calls."""
    count = reports.drops(report)[reason]
    assert count <= expected.DROPPED[reason] / 100 * len(report.outcomes), count


def test_no_case_is_dropped_for_another_reason(report, schema_report):
    assert not set(reports.drops(report)) - set(expected.DROPPED)
    assert not reports.drops(schema_report)
