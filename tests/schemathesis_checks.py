"""Checks that Schemathesis is told to make, instead of some of its own."""

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.openapi.checks import IgnoredAuth
from schemathesis.specs.openapi.checks import AuthScenario, ignored_auth


@schemathesis.check
def authentication_is_required(ctx: CheckContext, response: Response, case: Case) -> None:
    """The part of `ignored_auth` that holds for an identity that is opaque."""
    try:
        ignored_auth(ctx, response, case)
    except IgnoredAuth as failure:
        if failure.scenario is AuthScenario.NO_AUTH:
            raise
