"""What a class inherits: of what was said of a method that it overrides, nothing."""

from typing import Any


def is_abstract(question: Any) -> bool:
    """Whether a method or property is only declared."""
    return getattr(question, "__isabstractmethod__", False)


def owners_of(cls: type, question: str) -> list[type]:
    """The classes up the line that answer a question, or declare it, the nearest first."""
    return [base for base in cls.__mro__ if question in vars(base)]


def forwards(cls: type) -> bool:
    """Whether it is the class of wrappers, which answers as what is inside does, but for what its `changes` name."""
    return [base for base in cls.__mro__ if "changes" in vars(base)] == [cls]


def check_told_together(cls: type, *questions: str) -> None:
    """Refuses a subclass that answers some of the questions that belong together, and has others' answers to the rest.

    Raises:
        TypeError: naming both.
    """
    own = [question for question in questions if question in vars(cls)]
    for question in questions if own else ():
        if question not in own and not is_abstract(vars(owner := owners_of(cls, question)[0])[question]):
            raise_not_its_own(cls, own[0], owner, question)


def raise_not_its_own(cls: type, own: str, owner: type, question: str) -> None:
    """Raises `TypeError`: with another answer to one question a class can't have another's to the other."""
    raise TypeError(
        f"{cls.__name__}: its `{own}` is not that of {owner.__name__}, whose `{question}` it can't have; define it too"
    )
