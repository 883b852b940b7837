"""E-mail addresses and URLs: text that a library has checked, kept as it was sent.

The patterns are narrower than the libraries: ASCII, as RFC 5321 and RFC 3986 have it, and no
addresses of IPv6. So every client takes for valid what is stored, and most that matches is.
"""

from pydantic import AnyUrl, HttpUrl
from pydantic.networks import validate_email

# Of all that RFC 5321 allows in the local part, what Zod allows.
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
EMAIL = rf"^([A-Za-z0-9_'+-]+\.)*[A-Za-z0-9_'+-]*[A-Za-z0-9_+-]@({_LABEL}\.)+[A-Za-z]{{2,63}}$"
LONGEST_EMAIL = 254
_LONGEST_LOCAL_PART = 64

_USER = "(([A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?"
_SITE = f"{_USER}[A-Za-z0-9._-]+(:[0-9]{{1,5}})?"
_PATH = "([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
_QUERY = "([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*"
_END = rf"(\?{_QUERY})?(#{_QUERY})?$"
HTTP_URL = f"^https?://{_SITE}(/{_PATH})?{_END}"
ANY_URL = f"^[A-Za-z][A-Za-z0-9+.-]*:(//({_SITE})?(/{_PATH})?|{_PATH}){_END}"
LONGEST_URL = 2083


def check_email(text: str) -> str:
    """Refuse what is no e-mail address, as email-validator has it. Nothing is looked up."""
    try:
        validate_email(text)
        text.rindex("@", 0, _LONGEST_LOCAL_PART + 1)
    except ValueError:
        raise ValueError("Value should be an e-mail address") from None
    return text


def check_http_url(text: str) -> str:
    """Refuse what is no URL of http or https, as Pydantic has it."""
    return _check_url(HttpUrl, text)


def check_url(text: str) -> str:
    """Refuse what is no URL, of whatever scheme, as Pydantic has it."""
    return _check_url(AnyUrl, text)


def _check_url(kind: type[AnyUrl], text: str) -> str:
    try:
        kind(text)
    except ValueError:
        raise ValueError("Value should be a URL") from None
    return text
