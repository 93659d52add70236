"""Step-by-step arithmetic: how the demo model works out sums, differences and products.

The notation is digit by digit from the right, so that every step is a small fact: `7+8=15` is a
memorised sum, a third addend of 1 is the carry, and a left operand of 10..19 in a difference is a
digit that borrowed. `steps` is the tersest form (Reasoning: low), `worded` names the places
(medium), and `check` works the result out in a second way (high).
"""

from __future__ import annotations

import dataclasses

PLACES = ("Ones", "Tens", "Hundreds", "Thousands")
SIGNS = {"+": "+", "-": "-", "*": "x"}


@dataclasses.dataclass(frozen=True)
class Term:
    """One operation on two whole numbers."""

    left: int
    sign: str  # one of + - *
    right: int

    @property
    def value(self) -> int:
        if self.sign == "+":
            return self.left + self.right
        if self.sign == "-":
            return self.left - self.right
        return self.left * self.right

    def tight(self) -> str:
        return f"{self.left}{SIGNS[self.sign]}{self.right}"

    def spaced(self) -> str:
        return f"{self.left} {SIGNS[self.sign]} {self.right}"


def supported(term: Term) -> bool:
    """Whether the term is within what the model is taught."""
    if term.left < 0 or term.right < 0:
        return False
    if term.sign == "*":
        return term.left < 100 and term.right < 100
    return term.left < 1000 and term.right < 1000


def steps(term: Term) -> str:
    """The terse steps, with the result last: `47+36: 7+6=13; 4+3+1=8; =83.`"""
    return f"{term.tight()}: {_terse(term)}; ={term.value}."


def worded(term: Term) -> str:
    """The same steps with the places named."""
    if term.sign == "+":
        body = ". ".join(
            f"{place}: {text}, write {digit}" + (f", carry {carry}" if carry else "")
            for place, (text, digit, carry) in zip(PLACES, _sum_columns(term.left, term.right))
        )
    elif term.sign == "-":
        body = _worded_difference(term)
    else:
        body = _worded_product(term)
    return f"{body}. So {term.tight()}={term.value}."


def check(term: Term) -> str:
    """A second way to the same result."""
    if term.sign == "+":
        back = Term(term.value, "-", term.right)
        return f"Check: {steps(back)[:-1]}, which fits."
    if term.sign == "-":
        if term.value >= 0:
            back = Term(term.value, "+", term.right)
        else:
            back = Term(-term.value, "+", term.left)
        return f"Check: {steps(back)[:-1]}, which fits."
    swapped = Term(term.right, "*", term.left)
    if swapped.right >= 10 > swapped.left:
        tens, ones = term.left // 10 * 10, term.left % 10
        first, second = tens * term.right, ones * term.right
        total = Term(first, "+", second)
        return (
            f"Check: {tens}x{term.right}={first}; {ones}x{term.right}={second}; "
            f"{steps(total)[:-1]}, which fits."
        )
    return f"Check: {steps(swapped)[:-1]}, which fits."


def _digits(number: int, width: int) -> list[int]:
    """The digits from the right, padded with zeros."""
    return [number // 10**i % 10 for i in range(width)]


def _sum_columns(left: int, right: int) -> list[tuple[str, int, int]]:
    """For each column from the right: its step, the digit to write, the carry."""
    width = max(len(str(left)), len(str(right)))
    carry = 0
    columns = []
    for a, b in zip(_digits(left, width), _digits(right, width)):
        total = a + b + carry
        columns.append((f"{a}+{b}{'+1' if carry else ''}={total}", total % 10, total // 10))
        carry = total // 10
    return columns


def _difference_columns(left: int, right: int) -> list[tuple[str, int, int]]:
    """As _sum_columns, for left >= right, with the borrow in place of the carry."""
    borrow = 0
    columns = []
    width = len(str(left))
    for a, b in zip(_digits(left, width), _digits(right, width)):
        lent = int(a - borrow < b)
        digit = a + 10 * lent - borrow - b
        columns.append((f"{a + 10 * lent}{'-1' if borrow else ''}-{b}={digit}", digit, lent))
        borrow = lent
    return columns


def _product_row(left: int, digit: int) -> list[str]:
    """The steps of left (one or two digits) times one digit, the carry added on the left."""
    ones = left % 10 * digit
    first = f"{left % 10}x{digit}={ones}"
    if left < 10:
        return [first]
    tens = left // 10 * digit
    return [first, f"{left // 10}x{digit}={tens}+{ones // 10}={tens + ones // 10}"]


def _terse(term: Term) -> str:
    left, right = term.left, term.right
    if term.sign == "+":
        return "; ".join(column[0] for column in _sum_columns(left, right))
    if term.sign == "-":
        if left < right:
            swapped = Term(right, "-", left)
            return f"{left}<{right}, {swapped.tight()}: {_terse(swapped)}; ={swapped.value}"
        return "; ".join(column[0] for column in _difference_columns(left, right))
    if left < 10 <= right:
        return f"{right}x{left}: " + "; ".join(_product_row(right, left))
    if right < 10:
        return "; ".join(_product_row(left, right))
    ones, tens = left * (right % 10), left * (right // 10)
    rows = [
        f"{left}x{right % 10}: " + "; ".join([*_product_row(left, right % 10), f"={ones}"]),
        f"{left}x{right // 10}: " + "; ".join([*_product_row(left, right // 10), f"={tens}"]),
    ]
    total = Term(ones, "+", tens * 10)
    return "; ".join([*rows, f"{total.tight()}: {_terse(total)}"])


def _worded_difference(term: Term) -> str:
    left, right = term.left, term.right
    before = ""
    if left < right:
        before = f"{left} is less than {right}, so I take {right}-{left} and change the sign. "
        left, right = right, left
    return before + ". ".join(
        f"{place}: {text}, write {digit}" + (", borrow 1" if lent else "")
        for place, (text, digit, lent) in zip(PLACES, _difference_columns(left, right))
    )


def _worded_product(term: Term) -> str:
    left, right = term.left, term.right
    if left < 10 <= right:
        return f"It is the same as {right}x{left}. " + _worded_row(right, left)
    if right < 10:
        return _worded_row(left, right)
    ones, tens = left * (right % 10), left * (right // 10)
    total = Term(ones, "+", tens * 10)
    return (
        f"First {left}x{right % 10}. {_worded_row(left, right % 10)}, so {ones}. "
        f"Then {left}x{right // 10}. {_worded_row(left, right // 10)}, so {tens}, "
        f"with a zero {tens * 10}. Together {total.tight()}: {_terse(total)}"
    )


def _worded_row(left: int, digit: int) -> str:
    ones = left % 10 * digit
    if left < 10:
        return f"{left}x{digit}={ones}"
    tens = left // 10 * digit
    return (
        f"Ones: {left % 10}x{digit}={ones}, carry {ones // 10}. "
        f"Tens: {left // 10}x{digit}={tens}, {tens}+{ones // 10}={tens + ones // 10}"
    )
