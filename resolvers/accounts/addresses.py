"""The canonical form of an e-mail address, in which it is stored, compared and mailed to."""

from email_validator import EmailNotValidError, validate_email

from resolvers.failures import Invalid

LONGEST = 254


def canonical(text: str, field: str = "email") -> str:
    """The address in lower case, with its domain as DNS has it (`xn--` for one with accents). Raises INVALID for an
    address that can't be mailed: the part before the `@` must be ASCII, because few mail servers take more."""
    try:
        if len(text) > LONGEST:
            raise Invalid(f"not an e-mail address: it has more than {LONGEST} characters", field=field)
        found = validate_email(text.strip(), allow_smtputf8=False, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise Invalid(f"not an e-mail address: {error}", field=field) from None
    assert found.ascii_email is not None
    return found.ascii_email.lower()


def spellings(text: str) -> tuple[str, str]:
    """The texts by which rows may hold a typed address: the canonical form, and the lower-case form of rows from before
    that rule. For a text that is no address, such as a username, both are the lower-case form."""
    typed = text.strip().lower()
    try:
        return canonical(typed), typed
    except Invalid:
        return typed, typed
