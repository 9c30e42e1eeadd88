"""The errors that every tokenizer method shares, worded once."""

from __future__ import annotations

from pathlib import Path

from loquela.core.errors import DataError, ErrorCode, RecipeError


def no_text(method: str) -> DataError:
    """There was not one character to train on."""
    return DataError(
        ErrorCode.TOKENIZER_TRAIN_FAILED,
        f"the {method} tokenizer has no text to learn from: every training document is empty",
        "give data.sources that hold text",
    )


def vocabulary_too_small(method: str, asked: int, needed: int, why: str) -> RecipeError:
    """`asked` tokens cannot hold what the method must have; `why` says what that is."""
    return RecipeError(
        ErrorCode.TOKENIZER_TRAIN_FAILED,
        f"tokenizer.vocab_size {asked} is too small for {method}: {why}, {needed} in all",
        f"set tokenizer.vocab_size: {needed} or more",
        details={"vocab_size": asked, "needed": needed},
    )


def nothing_frequent(method: str, min_frequency: int) -> DataError:
    """All the text is rarer than the recipe wants to learn; every token would be unknown."""
    return DataError(
        ErrorCode.TOKENIZER_TRAIN_FAILED,
        f"the {method} tokenizer learns nothing: nothing occurs {min_frequency} times in the training text",
        "give more text in data.sources, or set tokenizer.min_frequency: 1",
        details={"min_frequency": min_frequency},
    )


def training_failed(method: str, reason: str) -> DataError:
    """The library that trains refused the text."""
    return DataError(
        ErrorCode.TOKENIZER_TRAIN_FAILED,
        f"training the {method} tokenizer failed: {reason}",
        "give more or other text in data.sources, or choose another tokenizer.method",
    )


def corrupt_file(path: Path, reason: str) -> DataError:
    """A tokenizer file that cannot be read as what it should be."""
    return DataError(
        ErrorCode.CORRUPTION,
        f"{path} is not a whole tokenizer file: {reason}",
        "delete its folder and run the stage that makes it again, or give another tokenizer.model_file",
        details={"path": str(path)},
    )


def missing_file(path: Path, what: str) -> DataError:
    """No such tokenizer file or folder."""
    return DataError(
        ErrorCode.DATA_NOT_FOUND,
        f"no {what} at {path}",
        "run the tokenizer stage first, or correct the path (tokenizer.model_file)",
        details={"path": str(path)},
    )


def read_file(path: Path, what: str) -> bytes:
    """The bytes at `path`; DataError(DATA_NOT_FOUND, READ_FAILED) names `what` was looked for there."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise missing_file(path, what) from error
    except OSError as error:
        raise DataError(
            ErrorCode.READ_FAILED,
            f"the {what} at {path} cannot be read: {error.strerror or error}",
            "give yourself permission to read it, or check the disk that holds it",
            details={"path": str(path)},
        ) from error


def check_unicode(text: str) -> None:
    """Refuse text with a lone surrogate: it has no UTF-8 form, and no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            ErrorCode.TOKENIZATION_FAILED,
            f"the text holds a lone surrogate at character {error.start}; it is not valid Unicode",
            "decode the source file with its real encoding, or remove that character",
            details={"position": error.start},
        ) from error


def check_ids(ids: list[int], vocab_size: int) -> None:
    """Refuse ids that the vocabulary does not have; libraries drop them in silence."""
    if ids and (min(ids) < 0 or max(ids) >= vocab_size):
        wrong = next(token_id for token_id in ids if not 0 <= token_id < vocab_size)
        raise DataError(
            ErrorCode.TOKENIZATION_FAILED,
            f"token id {wrong} is outside the vocabulary of {vocab_size} tokens",
            "decode with the tokenizer the ids were made with",
            details={"token_id": wrong, "vocab_size": vocab_size},
        )
