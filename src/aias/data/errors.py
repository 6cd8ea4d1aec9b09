"""What can be wrong with a file, and with what it holds."""

from aias.core.errors import NotFound, UserError


class Unreadable(UserError):
    """The bytes are not a table that we can read."""

    code = "data.unreadable"


class NoSuchFile(NotFound):
    """No file at the path, or no such member of an archive."""

    code = "data.no-such-file"


class TooLarge(UserError):
    """The data exceeds a limit: bytes, columns, files, or the size of an archive once unpacked."""

    code = "data.too-large"


class BadTarget(UserError):
    """The target column cannot be predicted as it stands."""

    code = "data.bad-target"


class BadSplit(UserError):
    """The rows cannot be split as asked."""

    code = "data.bad-split"


class NoInputs(UserError):
    """Beside the target no column is left that could be learned from."""

    code = "data.no-inputs"
