"""How the examples state their claims: in one table, each with the number that decides it."""


def settle(*claims: tuple[str, object, object]) -> None:
    """Prints each claim with its number and whether it holds.

    Args:
        claims: of each its words, the number that was found, and whether it holds.

    Raises:
        AssertionError: naming the first that does not.
    """
    width = max(len(words) for words, _, _ in claims)
    for words, found, holds in claims:
        number = f"{found:.6g}" if isinstance(found, float) else str(found)
        print(f"{words:{width}}  {number:>14}  {'holds' if holds else 'FAILS'}")
    for words, found, holds in claims:
        assert holds, f"{words}: {found}"
