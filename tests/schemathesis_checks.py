"""Checks that Schemathesis is told to make, instead of some of its own."""

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.openapi.checks import AuthScenario, IgnoredAuth
from schemathesis.specs.openapi.checks import ignored_auth


@schemathesis.check
def authentication_is_required(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """The part of `ignored_auth` that holds for an identity that is opaque."""
    try:
        ignored_auth(ctx, response, case)
    except IgnoredAuth as failure:
        if failure.scenario is AuthScenario.NO_AUTH:
            raise
