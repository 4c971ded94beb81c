# Every function, attribute and operator that PyTorch has is callable from Lua by its name, or skipped with a reason.
import fnmatch

import coverage
import pytest
import spaces


@pytest.fixture(scope="module")
def covered(trainhost, tmp_path_factory, report, schema_report, folder, lines):
    found = coverage.entries()
    coverage.check(found, trainhost, tmp_path_factory.mktemp("coverage"))
    coverage.mark_equal(found, report.outcomes + schema_report.outcomes)
    for entry in found:
        if not entry.callable:
            entry.skip = next((reason for pattern, reason in coverage.skips().items()
                               if fnmatch.fnmatchcase(entry.name, pattern)), "")
    (folder / "coverage.tsv").write_text(coverage.table(found))
    count = sum(entry.callable for entry in found)
    lines.append(f"coverage: {count} of {len(found)} callable ({100 * count / len(found):.1f} %), "
                 f"{sum(entry.equal for entry in found)} equal, {sum(bool(entry.skip) for entry in found)} skipped; "
                 "table: build/test/coverage.tsv")
    return found


def test_every_name_is_callable_or_skipped_with_a_reason(covered):
    missing = [entry.name for entry in covered if not entry.callable and not entry.skip]
    assert not missing, f"{len(missing)} of {len(covered)}: {' '.join(missing)}"


def check_skips(found, skips):
    """Each pattern matches a name that is not there, and none that is."""
    for wanted in (True, False):
        names = [entry.name for entry in found if entry.callable != wanted]
        matched = {pattern for pattern in skips if any(fnmatch.fnmatchcase(name, pattern) for name in names)}
        expected = set(skips) if wanted else set()
        assert matched == expected, matched ^ expected


def test_no_skip_is_stale(covered):
    check_skips(covered, coverage.skips())


def test_nearly_all_is_callable(covered):
    assert sum(entry.callable for entry in covered) >= coverage.LEAST * len(covered)


@pytest.fixture(scope="module")
def beside(trainhost, tmp_path_factory, lines):
    found = list(spaces.entries())
    spaces.check(found, trainhost, tmp_path_factory.mktemp("spaces"))
    for entry in found:
        if not entry.callable:
            entry.skip = next((reason for pattern, reason in spaces.skips().items()
                               if fnmatch.fnmatchcase(entry.name, pattern)), "")
    lines.append(f"beside the operators: {sum(entry.callable for entry in found)} of {len(found)} names are there, "
                 f"{sum(bool(entry.skip) for entry in found)} skipped with a reason")
    return found


def test_every_name_beside_the_operators_is_there_or_skipped_with_a_reason(beside):
    assert len(beside) > 350
    missing = [entry.name for entry in beside if not entry.callable and not entry.skip]
    assert not missing, f"{len(missing)} of {len(beside)}: {' '.join(missing)}"


def test_no_skip_beside_the_operators_is_stale(beside):
    check_skips(beside, spaces.skips())
