"""E-mail addresses: each has one text, which is stored, compared and mailed to."""

from email_validator import EmailNotValidError, validate_email

from resolvers.failures import Invalid

LONGEST = 254


def canonical(text: str, field: str = "email") -> str:
    """The address in lower case, its domain as DNS has it (`xn--` for one with accents); INVALID for what can't be
    mailed: the part before the `@` is ASCII, since few mail servers take more."""
    try:
        if len(text) > LONGEST:
            raise Invalid(f"not an e-mail address: it has more than {LONGEST} characters", field=field)
        found = validate_email(text.strip(), allow_smtputf8=False, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise Invalid(f"not an e-mail address: {error}", field=field) from None
    assert found.ascii_email is not None
    return found.ascii_email.lower()


def spellings(text: str) -> tuple[str, str]:
    """What rows may hold of an address that somebody typed: its canonical text, and the one of before that rule, in
    lower case; twice the latter for what is no such address, a username for one."""
    typed = text.strip().lower()
    try:
        return canonical(typed), typed
    except Invalid:
        return typed, typed
