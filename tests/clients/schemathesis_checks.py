"""Checks that Schemathesis is told to make, instead of some of its own."""

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.openapi.checks import AuthScenario, IgnoredAuth, RejectedPositiveData
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance


@schemathesis.check
def authentication_is_required(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """The part of `ignored_auth` that holds for an identity that is opaque."""
    try:
        ignored_auth(ctx, response, case)
    except IgnoredAuth as failure:
        if failure.scenario is AuthScenario.NO_AUTH:
            raise


BEYOND_ITS_SCHEMA = {
    "There is nothing with this id.",
    "Value should have a time that is at most a day ahead",
    "One filter at least is needed",
    "Value should be an e-mail address",
    "Value should be a URL",
    "Value should have no NUL character and no lone surrogate",
    "Value should have no number that JavaScript cannot hold",
    "Value should have at most 16384 bytes as JSON",
    "Value should be at most 10 levels deep",
}
"""Why a request is refused that fits its schema."""


@schemathesis.check
def valid_data_is_accepted(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """`positive_data_acceptance`, unless it is refused for what no schema says."""
    try:
        positive_data_acceptance(ctx, response, case)
    except RejectedPositiveData:
        errors = response.json().get("errors", [])
        if not errors or any(error["detail"] not in BEYOND_ITS_SCHEMA for error in errors):
            raise
