"""Arithmetic questions: bare expressions, spoken ones, follow-ups and word problems."""

from __future__ import annotations

import dataclasses
import random

from arithmetic import Term, supported
from wording import Split, draw, fill

_ASK = (
    "{what is|what's|whats|how much is|how much's|what does|what do you get for|what's the result of"
    "|what is the result of|calculate|compute|work out|evaluate|solve|tell me|give me|find"
    "|can you calculate|could you compute|can you work out|can you tell me|could you tell me what is"
    "|do you know|I need|I want to know|what would be|what comes out of|figure out|determine"
    "|let's do|try|i'd like to know|can you do|what makes|what equals|how many is|add up"
    "|what will you get from|the answer to|the result of|the value of|what is the value of|do|crunch}"
)

SUM_TEMPLATES = (
    "<a>+<b>", "<a> + <b>", "<a>+<b>=", "<a> + <b> =", "<a>+<b>?", "<a> + <b> = ?", "<a> +<b>", "<a>+ <b>",
    "<a> plus <b>", "<a> plus <b>?", "<a> and <b> {makes|make|is|gives|equals} {what|how much}?",
    "{what is|what's|whats|what does|how much is|how much does} <a> {plus|+|and|added to} <b>?",
    "{what is|what's|whats|how much is} <a>+<b>?", "{what is|what's} <a> + <b>",
    f"{_ASK} <a> + <b>", f"{_ASK} <a>+<b>", f"{_ASK} <a> plus <b>", f"{_ASK} <a> + <b> {{for me|please|now|}}?",
    "{add|sum|sum up|add up|add together|please add|can you add|could you add|total} <a> and <b>",
    "{add|please add|can you add|could you add|would you add} <a> to <b>", "add <a> {with|plus|+} <b>",
    "{add|sum|total} the {numbers|two numbers|values|figures} <a> and <b>",
    "{the|what is the|what's the|find the|give me the|compute the|calculate the|tell me the|I need the} "
    "{sum|total} of <a> and <b>",
    "sum of <a> and <b>", "total of <a> {and|+} <b>", "sum: <a>, <b>", "<a> and <b> {added together|together|summed|in total|combined}",
    "what do you get {when|if} you add <a> {and|to} <b>?", "what {happens|comes out} {when|if} I add <a> to <b>?",
    "if I add <a> {to|and} <b>, what do I get?", "how much {do|would} <a> and <b> make?",
    "what {number|value} do I get by adding <a> {and|to} <b>?", "{how much|what} is <a> increased by <b>?",
    "increase <a> by <b>", "raise <a> by <b>", "what is <b> more than <a>?", "what number is <b> more than <a>?",
    "put <a> and <b> together", "start with <a> and add <b>", "begin at <a>, then add <b>", "take <a> and add <b>",
    "I have <a> and <b>, what's the {sum|total}?", "{count|go} <b> {up|on|further} from <a>",
    "<a> + <b> {equals|is|makes|gives}", "what does <a> + <b> {equal|make|give|come to|add up to}?",
    "how much do you get from <a> + <b>", "can you {do|solve|handle} <a> + <b>?", "do you know {what|how much} <a> + <b> is?",
    "is it possible for you to add <a> and <b>?", "help me add <a> and <b>", "I want to add <a> and <b>",
    "{what is|what's} the sum: <a> + <b>", "<a> added to <b>", "<a> with <b> added", "<a> more than <b>", "{what's|what is} <b> on top of <a>?", "<a> together with <b>", "<b> more than <a> is?", "so what do <a> plus <b> {come out to|make|give}", "I need <b> added {onto|to} <a>", "what do <a> and <b> {come to|add up to|sum to}?",
    "my {homework|teacher|son|boss} {says|asks|wants}: <a> + <b>", "{quick|easy one|maths|math|arithmetic}: <a> + <b>",
)  # fmt: skip
DIFFERENCE_TEMPLATES = (
    "<a>-<b>", "<a> - <b>", "<a>-<b>=", "<a> - <b> =", "<a>-<b>?", "<a> - <b> = ?", "<a> -<b>", "<a> − <b>",
    "<a> minus <b>", "<a> minus <b>?", "<a> less <b>", "<a> take away <b>", "<a> {without|reduced by|decreased by|lowered by} <b>",
    "{what is|what's|whats|how much is|what does} <a> {minus|-|less|take away} <b>?",
    "{what is|what's|whats|how much is} <a>-<b>?", "{what is|what's} <a> - <b>",
    f"{_ASK} <a> - <b>", f"{_ASK} <a>-<b>", f"{_ASK} <a> minus <b>", f"{_ASK} <a> - <b> {{for me|please|now|}}?",
    "{subtract|take|take away|deduct|remove|please subtract|can you subtract|could you take} <b> from <a>",
    "subtract <b> from <a> {for me|please|now}", "{what is|how much is|what's} <b> {subtracted|taken|taken away|deducted} from <a>?",
    "{the|what is the|what's the|find the|give me the|compute the|calculate the|tell me the|I need the} "
    "difference {of|between} <a> and <b>",
    "difference {of|between} <a> and <b>", "what do you get {when|if} you {subtract|take} <b> from <a>?",
    "if I {take|take away|subtract|remove} <b> from <a>, what {do I get|is left|remains}?",
    "what {is left|remains} {when|if} {you|I} take <b> {away from|from|off} <a>?", "take <b> off <a>",
    "decrease <a> by <b>", "reduce <a> by <b>", "lower <a> by <b>", "what is <b> less than <a>?", "what number is <b> less than <a>?",
    "start with <a> and {subtract|take away|remove} <b>", "begin at <a>, then take away <b>", "take <a> and {subtract|remove} <b>",
    "{count|go} <b> {down|back|backwards} from <a>", "<a> - <b> {equals|is|makes|gives}",
    "what does <a> - <b> {equal|make|give|come to|leave}?", "can you {do|solve|handle} <a> - <b>?",
    "do you know {what|how much} <a> - <b> is?", "help me {subtract|take} <b> from <a>", "I want to subtract <b> from <a>",
    "my {homework|teacher|son|boss} {says|asks|wants}: <a> - <b>", "{quick|easy one|maths|math|arithmetic}: <a> - <b>",
    "how much {more|bigger|larger|greater} is <a> than <b>?", "how far is it from <b> to <a>?",
    "how much {is missing|do I need} from <b> to <a>?", "what {number|value} do I get by {subtracting|taking} <b> from <a>?",
    "<a>−<b>", "<a> − <b>?", "{what is|what's|how much is|calculate} <a> − <b>", "<a> − <b> =", "<a>–<b>", "<a> – <b>", "{what is|what's|how much is|compute} <a> – <b>", "<a> – <b>?", "<a> — <b>",
    "take <b> off <a> {please|for me|now}", "{can you|could you|please|now} take <b> off <a>?", "what is <a> with <b> taken off?", "<b> off <a>", "what do I get if I take <b> off <a>?", "what's left when <b> comes off <a>?", "knock <b> off <a>", "what remains when you take <b> off <a>?",
    "take <b> away from <a>", "{please|can you|could you} take <b> away from <a>", "take away <b> from <a>", "if you take <b> away from <a>, what is left?", "<b> taken away from <a>",
    "<b> less than <a>", "{what's|what is|how much is|give me|find} <b> less than <a>", "what number is <b> smaller than <a>?", "which number is <b> less than <a>?", "the number that is <b> less than <a>", "<b> fewer than <a>", "<b> below <a>", "what is <b> below <a>?", "a number <b> smaller than <a>",
    "<a> less <b>?", "how much is <a> less <b>?", "<a> without <b>", "<a> without <b>?", "what is <a> without <b>?", "how much is <a> without <b>", "<a> reduced by <b>", "<a> decreased by <b>?", "{what is|how much is} <a> {reduced|decreased|lowered|diminished} by <b>?", "<a> down by <b>", "drop <a> by <b>", "cut <a> by <b>", "reduce the number <a> by <b>", "make <a> smaller by <b>",
    "subtract <b> from <a>", "{please|can you|could you} subtract <b> from <a>", "<b> subtracted from <a>", "subtracting <b> from <a> {gives|gives what|makes}?", "from <a> subtract <b>", "from <a>, take <b>", "from <a> remove <b>", "from <a> take away <b>", "deduct <b> from <a>", "what is left after deducting <b> from <a>?", "remove <b> from <a>", "{can you|please} remove <b> from <a>",
    "what remains of <a> after <b>?", "what {remains|is left} of <a> {after|without|when I take|if you remove} <b>?", "how much {remains|is left|stays} if <a> {loses|drops by|falls by} <b>?", "<a>, take away <b>", "<a> and take <b> away", "<a> take <b>", "I have <a> and {lose|spend|give away|remove} <b>, {what is left|how much is left|how many are left}?", "I had <a>, now I have <b> less. how much is that?", "start at <a> and go down <b>", "go down <b> from <a>", "count down <b> from <a>", "count <b> back from <a>",
    "difference: <a>, <b>", "the difference between <a> and <b>", "difference between <a> and <b>?", "what is the difference between <a> and <b>?", "what's the difference of <a> and <b>?", "how big is the difference between <a> and <b>?", "how much more is <a> than <b>?", "by how much is <a> {more|bigger|larger|greater} than <b>?", "<a> is how much more than <b>?", "{tell me |so |}how much more is <a> than <b>", "how much more is <a> compared to <b>?", "how much smaller is <b> than <a>?", "how much less is <b> than <a>?", "how much must I {take from|subtract from|remove from} <a> to get <b>?", "what do I add to <b> to get <a>?", "how far apart are <a> and <b>?", "how much is between <b> and <a>?", "the gap between <a> and <b>",
    "<a> MINUS <b>", "minus: <a> and <b>", "<a> minus <b> please", "<a> minus <b> equals", "<a> minus <b> {equals|is|makes|gives} {what|how much}?", "so what is <a> minus <b>", "{hi|hello|hey}, what's <a> minus <b>?", "can you tell me <a> minus <b>?", "I need to know <a> minus <b>", "could you work out <a> minus <b> for me?", "compute the difference: <a> - <b>",
)  # fmt: skip
PRODUCT_TEMPLATES = (
    "<a>*<b>", "<a> * <b>", "<a>x<b>", "<a> x <b>", "<a>×<b>", "<a> × <b>", "<a>*<b>=", "<a> * <b> =", "<a>*<b>?", "<a> x <b> = ?",
    "<a> times <b>", "<a> times <b>?", "<a> multiplied by <b>", "<a> by <b>, multiplied", "<a> X <b>", "<a>·<b>",
    "{what is|what's|whats|how much is|what does} <a> {times|x|*|×|multiplied by} <b>?",
    "{what is|what's|whats|how much is} <a>{*|x|×}<b>?", "{what is|what's} <a> {x|*} <b>",
    f"{_ASK} <a> x <b>", f"{_ASK} <a>*<b>", f"{_ASK} <a> * <b>", f"{_ASK} <a> times <b>", f"{_ASK} <a> {{x|*|×}} <b> {{for me|please|now|}}?",
    "{multiply|please multiply|can you multiply|could you multiply|would you multiply} <a> {by|and|with|times} <b>",
    "multiply <a> by <b> {for me|please|now}", "multiply the {numbers|two numbers|values} <a> and <b>",
    "{the|what is the|what's the|find the|give me the|compute the|calculate the|tell me the|I need the} product of <a> and <b>",
    "product of <a> and <b>", "product: <a>, <b>", "<a> and <b> multiplied {together|}",
    "what do you get {when|if} you multiply <a> {by|and|with} <b>?", "if I multiply <a> by <b>, what do I get?",
    "what {number|value} do I get by multiplying <a> {by|and} <b>?", "how much {are|is|makes|make} <a> times <b>?",
    "<a> {lots|groups|sets} of <b>", "<a> {x|*|times} <b> {equals|is|makes|gives}",
    "what does <a> {x|*|times} <b> {equal|make|give|come to}?", "can you {do|solve|handle} <a> {x|*|times} <b>?",
    "do you know {what|how much} <a> times <b> is?", "help me multiply <a> and <b>", "I want to multiply <a> by <b>",
    "my {homework|teacher|son|boss} {says|asks|wants}: <a> {x|*} <b>", "{quick|easy one|maths|math|arithmetic}: <a> {x|*} <b>",
    "take <a> and multiply {it|} by <b>", "start with <a> and multiply by <b>", "<a> {times|x} <b> {please|thanks|}", "how many are <a> times <b>",
)  # fmt: skip
CHAIN_TEMPLATES = (
    "<e>", "<e> =", "<e>=?", "<e>?", "{what is|what's|whats|how much is|how much makes} <e>?",
    f"{_ASK} <e>", f"{_ASK} <e> {{for me|please|now|}}?", "what does <e> {equal|make|give|come to}?",
    "the {result|value} of <e>", "can you {do|solve|handle} <e>?", "{quick|easy one|maths|math|arithmetic}: <e>",
    "I need <e>", "help me with <e>", "do you know {what|how much} <e> is?", "<e> {equals|is|makes|gives}", "and <e>?",
)  # fmt: skip
DOUBLE_TEMPLATES = (
    "double <a>", "{what is|what's|how much is} {double|twice|two times} <a>?", "twice <a>", "the double of <a>",
    "{what is|what's} <a> doubled?", "what is the double of <a>?", "can you double <a>?", "two times <a>",
)  # fmt: skip

FOLLOW_UPS: dict[str, tuple[str, ...]] = {
    "+": (
        "plus <b>", "plus <b> please", "and plus <b>?", "and + <b>", "now plus <b>", "then plus <b>", "plus another <b>", "+ <b>?", "add <b>", "add <b> more", "now add <b>", "and add <b>", "add another <b>", "<b> more", "and <b> more", "and if you add <b>?", "what if I add <b>?", "what if it is <b> more?", "how much is that plus <b>?", "the result plus <b>", "that + <b>", "increase that by <b>", "raise it by <b>", "with <b> more?", "and <b> added",
        "{and|now|and now|then|next|ok,|great, now} {plus|add} <b>{?|}", "plus <b>?", "+ <b>", "+<b>", "add <b> {to that|to it|to the result|more}",
        "{and|what} if {I|you} add <b>?", "{now|then|next} add <b> {to that|to it|to the result|}", "{and|now} <b> more?", "increase {it|that} by <b>",
        "what is that plus <b>?", "that plus <b>", "what's {the result|that|it} plus <b>?", "and <b> on top?", "and with <b> added?",
        "now + <b>", "can you add <b> to {that|it|the result}?", "and another <b>?", "put <b> on top {of that|of it}",
    ),
    "-": (
        "minus <b>", "minus <b> please", "and minus <b>?", "now minus <b>", "then minus <b>", "ok, minus <b>", "minus another <b>", "− <b>", "- <b>?", "and - <b>", "subtract <b>", "subtract <b> from that", "now subtract <b>", "and subtract <b>", "subtract <b> more", "take <b> off", "take <b> off that", "take <b> away", "take away <b>", "take away <b> more", "<b> less", "and <b> less", "what if it is <b> less?", "less <b>", "without <b>", "reduce that by <b>", "lower it by <b>", "deduct <b>", "remove <b>", "and if I take <b> off?", "how much is that minus <b>?", "what remains after taking <b>?", "the result minus <b>", "that - <b>",
        "{and|now|and now|then|next|ok,|great, now} {minus|subtract|take away} <b>{?|}", "minus <b>?", "- <b>", "-<b>",
        "{subtract|take|take away|remove} <b> {from that|from it|from the result}", "{and|what} if {I|you} {subtract|take away} <b>?",
        "{now|then|next} {subtract|take away} <b> {from that|from it|from the result|}", "and <b> less?", "decrease {it|that} by <b>", "reduce it by <b>",
        "what is that minus <b>?", "that minus <b>", "what's {the result|that|it} minus <b>?", "and with <b> taken off?", "take off <b>",
        "now - <b>", "can you subtract <b> from {that|it|the result}?", "and without <b>?",
    ),
    "*": (
        "times <b>", "times <b> please", "and times <b>?", "now times <b>", "and now times <b>", "then times <b>", "x<b>", "× <b>", "×<b>", "and x <b>", "and * <b>", "multiply by <b>", "multiply that by <b>", "now multiply by <b>", "multiplied by <b>", "multiplied by <b>?", "<b> times", "<b> times that?", "<b> of those", "what if it's times <b>?", "how much is that times <b>?", "the result times <b>", "that x <b>", "that * <b>", "take that <b> times", "do it <b> times",
        "{and|now|and now|then|next|ok,|great, now} {times|multiply by|multiplied by} <b>{?|}", "times <b>?", "x <b>", "* <b>", "*<b>",
        "multiply {that|it|the result} by <b>", "{and|what} if {I|you} multiply {it|that|} by <b>?", "{now|then|next} multiply {that|it|the result} by <b>",
        "what is that times <b>?", "that times <b>", "what's {the result|that|it} times <b>?", "now x <b>", "can you multiply {that|it} by <b>?",
        "and <b> times that?", "<b> times that", "now <b> times as {much|many}",
    ),
    "double": (
        "double", "double that", "double it", "now double it", "and doubled", "twice that", "twice as much", "times two please", "and twice that?", "two times that", "make it double", "what is double that?", "please double the result", "and the double of that?",
        "{and|now|then|ok, now|great, now} double {it|that|the result}", "double {it|that|the result}{?|}", "{what is|what's} {twice|double} that?", "twice that?",
        "{and|what} if {I|you} double {it|that}?", "times two", "can you double {it|that}?", "and the double?", "now twice that", "and doubled?",
    ),
}  # fmt: skip

UNTAUGHT_FOLLOW_UPS = (
    "divide by <b>", "divide that by <b>", "and divided by <b>?", "halve it", "half of that", "and half of it?", "a third of that", "square it", "square that", "and squared?", "cube it", "cubed", "the root of that", "square root?", "percent of that?", "<b> percent of that", "add <b>%", "minus <b> percent", "is it prime?", "is that even?", "is that more than <b>?", "is it bigger than <b>?", "which is more, that or <b>?", "to the power of <b>", "^<b>", "mod <b>", "modulo <b>", "in hex?", "as a fraction?", "in roman numerals", "and in binary?", "round that", "plus <b>.5", "times 0.5", "times <b>000", "plus <b>0000",
    "{and|now|then|ok, now|} {divide|split} {it|that|the result} by <b>", "divided by <b>?", "/ <b>", "/<b>", "and {half|a third|a quarter} of {it|that}?", "{now|and|then} {halve|square} {it|that}", "half of {that|it}?", "{the|what is the} square root of {that|it}?",
    "<b>% of {that|it}", "{is|and is} {that|it} {prime|a prime|even|odd|divisible by <b>}?", "to the power of <b>?", "{and|now} {that|it} squared?", "{what is|how much is} {that|it} {divided by|over} <b>?", "{that|it} in {binary|hex|roman numerals}{?|}", "{which is|is that} {bigger|more} than <b>?", "round it{ to tens| up|}",
)  # fmt: skip

_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS_WORDS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()


def in_words(number: int, rng: random.Random) -> str:
    """A number below 100 written out."""
    if number < 20:
        return _SMALL_WORDS[number]
    tens, ones = divmod(number, 10)
    if not ones:
        return _TENS_WORDS[tens]
    return _TENS_WORDS[tens] + ("-" if rng.random() < 0.6 else " ") + _SMALL_WORDS[ones]


@dataclasses.dataclass(frozen=True)
class Problem:
    """A question with the operations that answer it; each result feeds the next operation."""

    skill: str
    text: str
    terms: tuple[Term, ...]
    unit: str = ""  # of the answer, such as "apples" or "$"
    expression: str = ""  # a chain as written in the answer, empty for the single term

    @property
    def value(self) -> int:
        return self.terms[-1].value

    @property
    def answer(self) -> str:
        if self.unit == "$":
            return f"${self.value}"
        if self.unit:
            return f"{self.value} {self.unit}"
        return f"{self.expression or self.terms[0].spaced()} = {self.value}"


def number(rng: random.Random, digits: int) -> int:
    """A number of exactly so many digits; small sizes include zero."""
    if digits == 1:
        return rng.randrange(10)
    return rng.randrange(10 ** (digits - 1), 10**digits)


def _sizes(rng: random.Random) -> tuple[int, int]:
    return rng.choices(((1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3)),
                       (6, 5, 5, 20, 3, 6, 8, 10, 37))[0]  # fmt: skip


def _spelled(rng: random.Random, value: int, words: bool) -> str:
    return in_words(value, rng) if words and value < 100 else str(value)


def simple(rng: random.Random, split: Split, sign: str) -> Problem:
    """A sum, difference or product of two numbers."""
    if sign == "*":
        sizes = rng.choices(((1, 1), (2, 1), (1, 2), (2, 2)), (15, 25, 15, 45))[0]
        if rng.random() < 0.05:
            double = Term(number(rng, 2), "*", 2)
            return Problem("products", fill(draw(rng, split, DOUBLE_TEMPLATES), {"a": str(double.left)}), (double,))
    else:
        sizes = _sizes(rng)
    left, right = number(rng, sizes[0]), number(rng, sizes[1])
    if sign == "-" and left < right and rng.random() < 0.7:
        left, right = right, left
    skill, templates = {
        "+": ("sums", SUM_TEMPLATES),
        "-": ("differences", DIFFERENCE_TEMPLATES),
        "*": ("products", PRODUCT_TEMPLATES),
    }[sign]
    wording = draw(rng, split, templates)
    words = rng.random() < 0.1 and any(word in wording for word in ("plus", "minus", "times", "and ", "from ", "to ", "less", "off", "than", "by "))
    spelled = words and rng.choice(("ab", "ab", "a", "b"))  # one number in words, the other in digits, too
    slots = {name: _spelled(rng, value, bool(spelled) and name in spelled) for name, value in (("a", left), ("b", right))}
    term = Term(left, sign, right)
    return Problem(skill, fill(wording, slots), (term,))


def chain(rng: random.Random, split: Split) -> Problem:
    """An expression of three numbers: two signs, the product first."""
    kind = rng.choice(("++", "+-", "-+", "--", "*+", "*-", "+*"))
    while True:
        a, b, c = (number(rng, rng.choice((1, 2, 2, 2))) for _ in range(3))
        if rng.random() < 0.25 and "*" not in kind:
            a = number(rng, 3)
        if kind == "+*":
            b, c = (b, c % 10) if b > 9 else (b, c)
            first = Term(b, "*", c)
            second = Term(a, "+", first.value)
            marks = "+*"
        else:
            if kind[0] == "*":
                b %= 10
            first = Term(a, kind[0], b)
            second = Term(first.value, kind[1], c)
            marks = kind
        if supported(first) and supported(second):
            break
    spaced = f"{a} {_mark(marks[0])} {b} {_mark(marks[1])} {c}"
    wording = draw(rng, split, CHAIN_TEMPLATES)
    shown = _typed_expression(rng, a, marks[0], b, marks[1], c)
    return Problem("chains", fill(wording, {"e": shown}), (first, second), expression=spaced)


def _mark(sign: str) -> str:
    return "x" if sign == "*" else sign


def _typed_expression(rng: random.Random, a: int, s: str, b: int, t: str, c: int) -> str:
    style = rng.random()
    times = rng.choice(("*", "x", "*", "×"))
    if style < 0.35:
        names = {"+": "+", "-": "-", "*": times}
        return f"{a}{names[s]}{b}{names[t]}{c}"
    if style < 0.8:
        names = {"+": "+", "-": "-", "*": times}
    else:
        names = {"+": "plus", "-": "minus", "*": "times"}
    return f"{a} {names[s]} {b} {names[t]} {c}"


def follow_up(rng: random.Random, split: Split, before: int) -> Problem | None:
    """A question that goes on from the result of the turn before, None when none would fit.

    Results may have four digits: the steps of a sum or difference are the same for them. A result of
    three digits or more is doubled by adding it to itself.
    """
    for _ in range(20):
        kind = rng.choice(("+", "-", "*", "double", "+", "-"))
        if kind == "double":
            term = Term(before, "*", 2) if before < 100 else Term(before, "+", before)
        elif kind == "*":
            term = Term(before, "*", number(rng, rng.choice((1, 1, 2))))
        else:
            term = Term(before, kind, number(rng, rng.choice((1, 2, 2, 3))))
        if 0 <= before < 10_000 and (supported(term) or term.sign != "*"):
            text = fill(draw(rng, split, FOLLOW_UPS[kind]), {"b": str(term.right)})
            return Problem("follow-ups", text, (term,))
    return None


def untaught_follow_up(rng: random.Random, split: Split, before: int) -> str:
    """A follow-up that the model cannot work out."""
    if before >= 100 and rng.random() < 0.5:
        wording = draw(rng, split, FOLLOW_UPS["*"])
    else:
        wording = draw(rng, split, UNTAUGHT_FOLLOW_UPS)
    return fill(wording, {"b": str(number(rng, rng.choice((1, 1, 2))))})
