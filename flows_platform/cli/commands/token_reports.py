"""What a new token says of reports, compared with their declarations."""

from collections.abc import Iterable, Mapping, Sequence

from api_server.http.tokens import Scope, report_scope
from flows_platform.components.report import declared_reports
from flows_platform.declared import did_you_mean
from flows_platform.domain.errors import ConfigurationError
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.parameters import BadParameter, ReportParameter
from flows_platform.settings import load_settings


def check_reports(scopes: Sequence[str], fixed: Mapping[str, str]) -> None:
    """Refuse scopes of reports that are not declared, and fixed parameters that theirs lack or do not allow.

    Raises:
        ConfigurationError: there is one, with the nearest name or what is allowed.
    """
    declared, left_out = _declared()
    named = [scope.partition(":")[2] for scope in scopes if scope not in set(Scope)]
    for name in named:
        if name not in declared:
            if why := left_out.get(name):
                raise ConfigurationError(f"the report {name} is not served.", remedy=why)
            near = did_you_mean(name, declared) or "."
            raise ConfigurationError(
                f"there is no report {name!r}{near}", remedy=f"The declared ones are {', '.join(declared) or 'none'}."
            )
    opened = {report_scope(name): [declared[name]] for name in named}
    if Scope.REPORTS_READ in scopes:
        opened = {Scope.REPORTS_READ: list(declared.values())}
    for scope, reports in opened.items():
        _check_parameters(scope, reports, fixed)


def _declared() -> tuple[dict[str, ReportDeclaration], dict[str, str]]:
    """The project's reports by name, and the messages of those with a fault."""
    found = declared_reports(load_settings())
    left_out = {fault.name: fault.message for fault in found.faults if fault.name}
    return {report.name: report for report in found.reports}, left_out


def _check_parameters(scope: str, reports: Sequence[ReportDeclaration], fixed: Mapping[str, str]) -> None:
    """A report must have all fixed parameters, since a token reads none without; and its values must be allowed."""
    having = [report for report in reports if fixed.keys() <= {one.name for one in report.parameters}]
    if fixed and not having:
        names = {one.name for report in reports for one in report.parameters}
        unknown = [name for name in fixed if name not in names]
        near = (did_you_mean(unknown[0], names) or ".") if unknown else "."
        missing = unknown[0] if unknown else " and ".join(fixed)
        raise ConfigurationError(
            f"--with: no report that {scope} opens has the parameter {missing}{near}",
            remedy="`flows report show NAME` lists a report's parameters.",
        )
    _check_values([one for report in having for one in report.parameters if one.name in fixed], fixed)


def _check_values(parameters: Iterable[ReportParameter], fixed: Mapping[str, str]) -> None:
    for parameter in parameters:
        try:
            parameter.read(fixed[parameter.name])
        except BadParameter as error:
            raise ConfigurationError(
                f"--with {parameter.name}={fixed[parameter.name]}: {error.message}", remedy=f"Allowed: {error.allowed}."
            ) from error
