"""Modules that tell whoever names an argument that their constructor doesn't have which one was meant."""

import inspect
from typing import TYPE_CHECKING, Any

import equinox as eqx

from gradientflow._meant import meant_argument, misfit

_Class: Any = type(eqx.Module)


class _Telling(_Class):
    """The class of such classes: what it was called with is looked at once the constructor has failed."""

    def __call__(cls, *args: Any, **options: Any) -> Any:  # pyright: ignore[reportSelfClsParameterName]
        """A module.

        Raises:
            TypeError: as the constructor; of an unknown name with the one that was meant, and all that it takes; of
                arguments that are missing or too many how it is called.
        """
        try:
            return super().__call__(*args, **options)
        except TypeError:
            signature = inspect.signature(cls.__init__)
            parameters = signature.parameters.values()
            _, *known = (one.name for one in parameters if one.kind is not one.VAR_KEYWORD)
            takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
            unknown = None if takes_any else next((name for name in options if name not in known), None)
            message = unknown and meant_argument(cls.__name__, unknown, known)
            if not message:
                own = signature.replace(parameters=[*signature.parameters.values()][1:])
                message = misfit(cls.__name__, own, args, options)
            if not message:
                raise
        raise TypeError(message)


# To a type checker they are modules like any other.
if TYPE_CHECKING:
    Told = eqx.Module
else:

    class Told(eqx.Module, metaclass=_Telling):
        """A module whose constructor tells what was meant."""
