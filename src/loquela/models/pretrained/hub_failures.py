"""Failures of the hub in our own words: what went wrong, whether another try may help; never a header or a token."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.core.extras import require

RATE_LIMITED = 429
FORBIDDEN = (401, 403)


@contextmanager
def hub_failures(name: str, revision: str | None) -> Iterator[None]:
    """Errors of the library inside become DataError(DATA_NOT_FOUND) or ResourceError (AUTH_FAILED, TIMEOUT, …)."""
    errors = require("huggingface_hub.errors", extra="finetune", purpose="fetching a base from the hub")
    # The library has changed its own transport once: whichever it is, its errors lie where this one does.
    transport = sys.modules[str(errors.HTTPError.__module__).partition(".")[0]]
    try:
        yield
    except errors.GatedRepoError as error:
        raise _refused(name, "its authors ask for your agreement, which this account has not given") from error
    except errors.RevisionNotFoundError as error:
        raise _absent(f"{name} has no revision {revision} on the hub", "give a commit, tag or branch of it") from error
    except errors.RepositoryNotFoundError as error:
        raise _absent(
            f"the hub has no model {name}, or not for this account",
            "check the spelling; for a private one, set HF_TOKEN to a token that may read it",
        ) from error
    except errors.HFValidationError as error:
        raise _absent(f"{name!r} is no name of a model on the hub", "write organisation/model") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise _unreachable(name, error.__cause__ or error, transport.TimeoutException) from error
    except errors.HfHubHTTPError as error:
        raise _answered(name, error.response.status_code) from error
    except (transport.TransportError, errors.FileMetadataError, errors.XetDownloadError) as error:
        raise _unreachable(name, error, transport.TimeoutException) from error


def _answered(name: str, status: int) -> LoquelaError:
    if status in FORBIDDEN:
        return _refused(name, f"it answered {status}")
    return ResourceError(
        ErrorCode.NETWORK_ERROR,
        f"the hub answered {status} when asked for {name}",
        "run the same command again later; what was fetched is kept",
        retryable=status >= 500 or status == RATE_LIMITED,
        details={"status": status},
    )


def _unreachable(name: str, error: BaseException, timeout: type[BaseException]) -> ResourceError:
    late = isinstance(error, timeout)
    return ResourceError(
        ErrorCode.TIMEOUT if late else ErrorCode.NETWORK_ERROR,
        f"the hub {'did not answer in time' if late else 'cannot be reached'} for {name} ({type(error).__name__})",
        "check the network and HF_ENDPOINT, then run the same command again; what was fetched is kept",
        retryable=True,
    )


def _refused(name: str, why: str) -> ResourceError:
    return ResourceError(
        ErrorCode.AUTH_FAILED,
        f"the hub does not give {name} to this account: {why}",
        "accept the model's terms on its page, and set HF_TOKEN to a token that may read it",
    )


def _absent(message: str, remedy: str) -> DataError:
    return DataError(ErrorCode.DATA_NOT_FOUND, message, remedy)
