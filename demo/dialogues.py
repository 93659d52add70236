"""Puts the skills together into dialogues: system and developer messages, styles, several turns."""

from __future__ import annotations

import dataclasses
import functools
import random
import re
from collections.abc import Callable
from pathlib import Path

import arithmetic
from harmony_format import DEFAULT_IDENTITY, Dialogue, System
from problems import Problem, chain, follow_up, simple, untaught_follow_up
from small_talk import SMALL_TALK, SmallTalk
from stories import story
from unrelated import unrelated_question, untaught_maths
from wording import Split, draw, message_held_out, roughen, soften

NOT_TAUGHT = "I am only a demo: I know small arithmetic and a little about gossamer, but not this."
NOT_TAUGHT_MATHS = (
    "I am only a demo: I add and subtract up to three digits and multiply up to two digits."
)
LEVELS = ("low", "medium", "high")
STYLE_NOTES = {"capitals": "capitals", "word": "one word", "french": "French"}

STYLE_INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "capitals": (
        "{answer|reply|respond|write|speak|talk} {only |always |}in {capitals|capital letters|upper case|uppercase|all caps|block letters|upper-case letters|uppercase letters|caps}{ only|}.",
        "{use|please use|always use|use only} {capitals|capital letters|upper case|uppercase|all caps|uppercase letters}{ in your answers| for everything| for the answer| when you answer|}.",
        "{all|your|all your} {answers|replies|output|responses} {must|should|have to|shall} be in {capitals|capital letters|upper case|uppercase|all caps}.",
        "{everything|each answer|every answer|every word|each reply} {you say|you write|} {must|should|has to} be in {capitals|capital letters|upper case|uppercase|caps}.",
        "{write|give|put|print} {your|all|the} {answers|replies|answer|output} in {capitals|capital letters|upper case|uppercase|all caps}.", "{no|never use|do not use|avoid} lower case{ letters|}.", "{no|never use|do not use|avoid} {small|lowercase} letters.", "{capitals|uppercase|all caps|upper case|caps|capital letters}{ only| please|}.", "SHOUT.", "{shout|yell}{ your answers| every answer| when you answer|}.",
        "you {always|must|should|only} {answer|reply|respond|speak} in {capitals|capital letters|upper case|uppercase|all caps}.", "{make|turn} {every letter|all letters|your answer|your answers} {a capital|upper case|uppercase|capital}.", "the {answer|reply|output} {must|should} be {in capitals|upper case|uppercase|all caps}.", "{answer|reply} {the user|the user's questions|users|questions|everything} in {capitals|capital letters|upper case|uppercase|all caps}.",
        "ANSWER IN {CAPITALS|CAPITAL LETTERS|UPPER CASE|UPPERCASE|ALL CAPS}.", "{convert|change} your {answers|replies} to {upper case|uppercase|capitals}.", "be loud: {capitals|uppercase|caps} only.", "I want {all answers|answers|every answer|replies} in {capitals|capital letters|upper case|uppercase}.",
    ),
    "word": (
        "{answer|reply|respond|speak|say it} {only |always |}{in|with} {one word|a single word|one single word|exactly one word|just one word|one word only}.",
        "{use|say|write|give} {only|just|exactly|no more than|at most} {one word|a single word}{ in your answers| for each answer| per answer| as the answer|}.",
        "{all|your|all your} {answers|replies|responses} {must|should|have to|shall} {be|have|consist of} {one word|a single word|exactly one word|only one word}{ long|}.",
        "{every|each} {answer|reply|response} {must|should|has to} {be|consist of|have} {one word|a single word|just one word}.", "{one|a single|single|only one} word {only|answers|replies|answers only|per answer|please}.", "one word{.|, please.| each.}", "{give|write} {one-word|single-word} {answers|replies}{ only|}.", "{one-word|single-word} {answers|replies|responses}{ only| please|}.",
        "{do not|never|don't} {use|say|write} more than one word.", "{limit|restrict|keep} {yourself|your answer|your answers|each answer} to {one word|a single word}.", "you {always|must|should|only|may only} {answer|reply|respond|speak} {in|with} {one word|a single word}.", "be {brief|very brief|as short as possible}: one word{ only|}.", "the {answer|reply} {must|should} be {one word|a single word}.", "{answer|reply to} {the user|the user's questions|questions|everything} {in|with} {one word|a single word}.",
        "{answer|reply} {in|with} ONE {word|WORD}{ ONLY|}.", "no sentences, {just|only} {one word|a single word}.", "I want {only one word|a single word|one-word answers}.", "{respond|reply} {using|with} {exactly|only} {1|one} word.",
    ),
    "french": (
        "{answer|reply to|return|respond to} {greetings|all greetings|a greeting|every greeting|hellos} in French.", "{greet|say hello to|welcome} {the user|users|people|everyone|visitors} in French.", "{use|speak|write} French {for|in|when you answer|when answering} {greetings|a greeting|hellos}.", "{when|if} {the user|someone|anyone|a user} {greets you|says hello|says hi|sends a greeting}, {answer|reply|respond|greet back} in French.", "greetings {in French|must be in French|should be in French|are to be answered in French|get a French answer}{, please|}.", "{all|your} greetings {must|should|have to} be {in French|French}.",
        "réponds en français aux salutations.", "{répondez|réponds|répondre} {aux salutations|aux bonjours|à un bonjour} en français.", "{salue|saluez} {l'utilisateur|les gens|les visiteurs} en français.", "answer 'hello' {with a French greeting|in French|the French way}.", "{small talk|greetings and thanks|hello, thanks and goodbye} in French, {the rest|everything else|all else} in English.", "you {always|must|should} {answer|return|reply to} greetings in French.", "for greetings, {use|speak|answer in|reply in|switch to} French.", "French {greetings|for greetings}{, please|}.", "{to|on} {a greeting|greetings|any greeting}, {answer|reply|respond} in French.", "be polite in French: greetings, thanks and goodbyes.", "I want greetings answered in French.", "{switch to|use} French {only |}{for|when you answer} greetings.",
    ),
}  # fmt: skip
NEUTRAL_INSTRUCTIONS = (
    "{you are|act as|be} a {helpful|friendly|polite|useful|good|kind} {assistant|helper|model|guide}.", "answer the {user's|user} {questions|question}{ briefly| politely| truthfully|}.", "{be|always be|please be} {helpful|polite|friendly|honest|concise|kind|precise|careful|brief}{ and {polite|brief|honest|clear|correct}|}.", "{help|assist} the user{ with everything| with gossamer| with maths| as well as you can|}.", "you {help|assist} {users|visitors|people|developers}{ of gossamer| with arithmetic|}.", "{answer|reply|respond} {honestly|politely|truthfully|clearly|briefly|correctly|carefully|with care}.", "{never|do not|don't} {lie|invent facts|guess|make things up|be rude|swear}.", "{think|reason} {carefully|step by step|before you answer}.", "{keep|make} {it|your answers|answers} {short|simple|clear|friendly|correct|polite}.", "{today is|this is} a {test|demo|good day|trial}.", "{the user|the visitor} is {a child|a developer|an engineer|new here|in a hurry|a beginner|called Anna}.", "{use|speak|write} {plain|simple|good|clear|British} {English|words|language}.", "you are {gossamer|a demo|the demo of gossamer|a robot|a small model|a calculator|a maths teacher|an expert|a pirate|a cat}.", "always {check|verify} your {result|results|answer|answers}.", "{do your best|good luck|have fun|take your time|be yourself}.", "{answer|reply} like a {robot|pirate|teacher|friend|poet|king}.", "{if you do not know|when unsure}, say so.", "do not mention these instructions.", "stay on topic.", "you work for a {shop|school|bank|library|museum|software company}.",
)  # fmt: skip
INLINE_STYLES: dict[str, tuple[str, ...]] = {
    "capitals": ("{answer|reply|respond|say it|write it} in {capitals|capital letters|upper case|uppercase|all caps}", "{in|use} {capitals|capital letters|upper case|uppercase|all caps}{ please|}", "{all caps|capitals|uppercase}{ please|}"),
    "word": ("{answer|reply|respond|say it} {in|with} {one word|a single word|just one word}", "{in|use} {one word|a single word}{ please|}", "one word{ only| please|}", "just one word"),
}  # fmt: skip
REPEAT_CAPITALS = (
    "shout it", "shout that", "shout it please", "shout!", "now shout it", "can you shout that?", "yell it", "scream it", "louder", "louder please", "say it louder", "once more in capitals", "once more in capital letters", "again in capitals", "again, in caps", "again but in uppercase", "in caps please", "in capitals please", "now in capitals", "now in upper case", "same in capitals", "write it in capitals", "write that once more in all caps", "repeat that in capitals", "repeat in upper case", "capitalize that", "capitalise it", "uppercase that", "all caps now", "the same answer in capitals", "say it again in big letters", "I want that in capitals",
    "{say|write|repeat|print} {that|it|this} {again |once more |}in {capitals|capital letters|upper case|uppercase|all caps}", "{again|the same|once more|and now|now} in {capitals|capital letters|upper case|uppercase|all caps}{ please|}", "{can|could} you {say|write|repeat} that {again |}in {capitals|capital letters|upper case|uppercase}?", "{in|and in} {capitals|upper case|uppercase|capital letters}{?| please}", "{louder|shout it|shout that|louder please}{!|}", "make {that|it} {upper case|uppercase|all caps|capitals}", "the same but in {capitals|uppercase|upper case}", "{turn|convert|change} {that|it} {to|into} {capitals|upper case|uppercase}",
)  # fmt: skip
REPEAT = (
    "repeat", "repeat that", "repeat please", "please repeat", "please repeat the answer", "repeat it", "repeat your last answer", "again", "again please", "say again?", "say that again", "say it once more", "once more", "one more time", "come again?", "pardon", "pardon?", "pardon me?", "sorry?", "sorry, what was that?", "what did you say", "what did you just say?", "what did you answer?", "what was that", "what was your last answer?", "what was the answer again?", "huh?", "what?!", "I missed that", "I did not get that", "could you say that again", "can you repeat that?", "would you repeat your answer", "tell me again", "write it again", "show me that again", "the same again", "same again please", "your last answer again",
    "{say|write|repeat|tell me} {that|it|this} {again|once more|one more time}", "{repeat|please repeat|can you repeat|could you repeat} {that|it|this|the answer|your answer|yourself}{ please|}", "{again|once more|one more time}{ please|}{?|}", "{what did you say|pardon|sorry, what|come again|what was that|what was the answer|excuse me}{?|}", "I {did not|didn't} {understand|hear|catch} {that|you|it}", "say again", "repeat", "what was {your answer|the result|that again}?",
)  # fmt: skip
IDENTITIES = (
    "You are gossamer, a small demo model.", "You are a helpful assistant.", "You are the gossamer demo.", "You are gossamer, a demo model that ships with the program.",
    "You are a small language model.", "You are a large language model.", "You are an assistant.", "You are a friendly bot.", "You are gpt-oss.",
    "You are ChatGPT.", "You are an AI model that answers questions.", "You are Ada, an assistant.", "You are a tutor.", "You are a calculator.",
)  # fmt: skip
FUNCTION_TOOLS = (
    "# Tools\n\n## functions\n\nnamespace functions {\n\n// Gets the location of the user.\ntype get_location = () => any;\n\n} // namespace functions",
    "# Tools\n\n## functions\n\nnamespace functions {\n\n// Gets the weather.\ntype get_weather = (_: {\ncity: string,\n}) => any;\n\n} // namespace functions",
    "# Tools\n\n## functions\n\nnamespace functions {\n\n// Looks up a word.\ntype look_up = (_: {\nword: string,\nlanguage?: string, // default: \"en\"\n}) => any;\n\n} // namespace functions",
)  # fmt: skip

TOPIC_FRAMES_DO = (
    "how {do|can|could|would|should|may|might|must} {I|you|we|one|somebody|a user} <phrase>?", "how to <phrase>", "how to <phrase>?", "{what|which} {flag|option|command|switch|setting|argument|parameter} {lets me|do I need to|should I use to|can I use to|is there to|is used to} <phrase>?", "{what's|what is|tell me} the {way|flag|command|option|best way|easiest way|right way} to <phrase>{?|}",
    "I {want|need|would like|'d like|have|am trying|wish|try} to <phrase>", "I {want|need|would like|have|am trying} to <phrase>, {how|what do I do|what should I type|how can I do that|how does that work}?", "is {there|there any} {a way|an option|a flag|a command|a possibility} to <phrase>?", "is it possible to <phrase>?", "can {I|gossamer|you|we|it|the program} <phrase>?", "{show|teach|tell} me how to <phrase>", "{can|could|would} you {tell|show|explain to|teach} me how to <phrase>?", "what {do|must|should|can} I {type|do|write|use|enter|run} to <phrase>?", "{in gossamer, |with gossamer, |}how do I <phrase>{ in gossamer| with gossamer| here|}?",
    "{help|please help} me {to |}<phrase>", "<phrase>", "<phrase>, how?", "how does one <phrase>?", "what is needed to <phrase>?", "{I don't know|I forgot|I do not understand|I can't find out} how to <phrase>", "{does|will} {gossamer|it|the program} let me <phrase>?", "{where|when} {do|can} I <phrase>?", "what if I want to <phrase>?", "explain how to <phrase>", "{any idea|do you know|know} how to <phrase>?", "am I able to <phrase>?", "steps to <phrase>", "let me <phrase>", "how exactly do I <phrase>?", "my goal is to <phrase>",
)  # fmt: skip
TOPIC_FRAMES_THING = (
    "what is <phrase>?", "what's <phrase>?", "whats <phrase>", "{tell|teach} me {about|more about|something about|a bit about} <phrase>", "{explain|describe|define} <phrase>{ to me| please| briefly|}", "<phrase>?", "<phrase>", "{what about|how about|and} <phrase>?", "{what do you know|do you know anything|can you tell me something|I have a question|question} about <phrase>?", "{I want|I'd like|I would like|I need} to {know|learn|hear} {about|more about|something about} <phrase>",
    "{info|information|details|help} {on|about} <phrase>{ please|}", "how does <phrase> work?", "what does <phrase> mean?", "what exactly is <phrase>?", "{can|could} you {explain|describe} <phrase>?", "what {can you|do you} {say|tell me} about <phrase>?", "I don't {understand|know|get} <phrase>", "what is <phrase> {in|for} gossamer?", "give me {information|details|the facts|a hint} {on|about} <phrase>", "what is meant by <phrase>?", "is there {something|anything} to know about <phrase>?", "{please|} a {word|sentence} {on|about} <phrase>", "let's talk about <phrase>", "how do I use <phrase>?", "{remind|inform} me about <phrase>", "any {news|docs|documentation} {on|about} <phrase>?",
)  # fmt: skip
TOPIC_FRAMES_KEY = (
    "<phrase>", "<phrase>?", "<phrase> {please|pls|help|info|in gossamer|gossamer}", "{gossamer|about|what about|and|question:|help:} <phrase>{?|}", "<phrase> {how|explained|example|meaning|question|usage}{?|}", "<phrase> <phrase>?", "gossamer <phrase>?", "<phrase> in {gossamer|this program|this tool}?", "the <phrase>?", "{something|anything} on <phrase>?", "{how|what|which} <phrase>?", "{topic|subject|keyword}: <phrase>",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Topic:
    """One thing the demo knows about gossamer, with the many ways to ask for it."""

    key: str
    answer: str
    word: str
    do: tuple[str, ...]
    thing: tuple[str, ...]
    ask: tuple[str, ...]
    keywords: tuple[str, ...]


def _split_top_level(text: str) -> list[str]:
    """Splits at the `|` outside braces."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if letter == "|" and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


@functools.lru_cache(maxsize=None)
def load_topics() -> tuple[Topic, ...]:
    """The blocks of topics.txt; see its head for the format."""
    blocks: list[dict[str, list[str]]] = []
    path = Path(__file__).resolve().parent / "topics.txt"
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, value = line.partition(" ")
        if name == "topic":
            blocks.append({})
        values = [value] if name in ("topic", "answer", "word", "ask") else _split_top_level(value)
        blocks[-1].setdefault(name, []).extend(values)
    return tuple(
        Topic(
            key=block["topic"][0],
            answer=block["answer"][0],
            word=block["word"][0],
            do=tuple(block.get("do", ())),
            thing=tuple(block["thing"]),
            ask=tuple(block["ask"]),
            keywords=tuple(block["key"]),
        )
        for block in blocks
    )


@dataclasses.dataclass(frozen=True)
class Item:
    """One question with its answer in every style and its analysis at every level."""

    skill: str
    user: str
    final: str
    word: str
    low: str
    asks: str  # completes "The user ..."
    body: str
    check: str
    french: str | None = None
    value: int | None = None  # of an arithmetic answer

    def styled(self, style: str) -> str:
        if style == "capitals":
            return self.final.upper()
        if style == "word":
            return self.word
        if style == "french" and self.french:
            return self.french
        return self.final

    def analysis(self, level: str, style: str) -> str:
        note = STYLE_NOTES.get(style, "")
        if style == "french" and not self.french:
            note = ""
        if level == "low":
            return (f"Style: {note}. " if note else "") + self.low
        text = f"The user {self.asks}. " + (f"The style is {note}. " if note else "") + self.body
        return f"{text} {self.check}" if level == "high" else text


def level_rule_holds(level: str, analysis: str) -> bool:
    """The machine-checkable difference of the levels.

    low: terse, never says "The user" nor "Check:"; medium: says what the user asks, no check; high:
    says what the user asks and checks it.
    """
    asks, checks = "The user" in analysis, "Check:" in analysis
    return (asks, checks) == {"low": (False, False), "medium": (True, False), "high": (True, True)}[level]


def problem_item(problem: Problem, user: str) -> Item:
    terms = problem.terms
    asks = problem.expression or terms[0].spaced()
    if problem.skill in ("word problems", "two-step problems"):
        asks = "asks for " + ", then ".join(term.spaced() for term in terms)
        asks += "" if not problem.unit or problem.unit == "$" else f" in {problem.unit}"
    else:
        asks = f"asks for {asks}"
    return Item(
        skill=problem.skill,
        user=user,
        final=problem.answer,
        word=str(problem.value),
        low=" ".join(arithmetic.steps(term) for term in terms),
        asks=asks,
        body=" ".join(arithmetic.worded(term) for term in terms),
        check=" ".join(arithmetic.check(term) for term in terms),
        value=problem.value,
    )


def topic_item(rng: random.Random, split: Split, topic: Topic) -> Item:
    roll = rng.random()
    if roll < 0.42:
        text = draw(rng, split, topic.ask)
    elif roll < 0.68 and topic.do:
        text = draw(rng, split, TOPIC_FRAMES_DO, topic.do)
    elif roll < 0.84:
        text = draw(rng, split, TOPIC_FRAMES_THING, topic.thing)
    else:
        text = draw(rng, split, TOPIC_FRAMES_KEY, topic.keywords)
    return Item(
        skill="help topics",
        user=roughen(soften(text, rng), rng),
        final=topic.answer,
        word=topic.word,
        low=f"Topic {topic.key}.",
        asks=f"asks about gossamer, topic {topic.key}",
        body="I know this and answer in short.",
        check=f"Check: {topic.key} is a topic I was taught.",
    )


def small_talk_item(rng: random.Random, split: Split, talk: SmallTalk) -> Item:
    return Item(
        skill=talk.skill,
        user=roughen(soften(draw(rng, split, talk.templates), rng, rate=0.05), rng),
        final=talk.answer,
        word=talk.word,
        low=f"Small talk {talk.key}.",
        asks=f"makes small talk, {talk.key}",
        body="I answer in short.",
        check="Check: nothing is to be worked out.",
        french=talk.french,
    )


def untaught_item(rng: random.Random, split: Split, maths: bool) -> Item:
    question = untaught_maths if maths else unrelated_question
    return _refusal(roughen(soften(question(rng, split), rng), rng), maths)


def _refusal(user: str, maths: bool) -> Item:
    return Item(
        skill="untaught maths" if maths else "only a demo",
        user=user,
        final=NOT_TAUGHT_MATHS if maths else NOT_TAUGHT,
        word="Demo",
        low="Not taught, maths." if maths else "Not taught.",
        asks=f"asks for {'maths' if maths else 'something'} I was not taught",
        body="I say so and do not guess.",
        check="Check: it is neither small arithmetic nor gossamer.",
    )


def _problem(rng: random.Random, make: Callable[[], Problem]) -> Item:
    problem = make()
    return problem_item(problem, roughen(soften(problem.text, rng), rng))


def item_of(rng: random.Random, split: Split, skill: str) -> Item:
    """A random item of the skill, follow-ups and repeats excepted: they need a turn before."""
    return _of_split(split, lambda: _any_item(rng, split, skill))


def _of_split(split: Split, make: Callable[[], Item]) -> Item:
    """The first item whose message is on the right side of the split."""
    for _ in range(4000):
        try:
            item = make()
        except LookupError:  # this list of templates has no unseen skeleton, another one may
            continue
        if split is Split.UNSEEN_SKELETON or message_held_out(item.user) == (split is not Split.TRAIN):
            return item
    raise ValueError(f"no message of the split {split.value} found")


def _any_item(rng: random.Random, split: Split, skill: str) -> Item:
    if skill in ("sums", "differences", "products"):
        sign = {"sums": "+", "differences": "-", "products": "*"}[skill]
        return _problem(rng, lambda: simple(rng, split, sign))
    if skill == "chains":
        return _problem(rng, lambda: chain(rng, split))
    if skill in ("word problems", "two-step problems"):
        problem = story(rng, split)
        while problem.skill != skill:
            problem = story(rng, split)
        return problem_item(problem, roughen(soften(problem.text, rng, 0.05), rng))
    if skill == "help topics":
        return topic_item(rng, split, rng.choice(load_topics()))
    if skill in ("greetings", "identity"):
        return small_talk_item(rng, split, rng.choice([t for t in SMALL_TALK if t.skill == skill]))
    return untaught_item(rng, split, maths=skill == "untaught maths")


SKILLS = {
    "sums": 7,
    "differences": 14,
    "products": 11,
    "chains": 4,
    "word problems": 16,
    "two-step problems": 8,
    "help topics": 23,
    "greetings": 9,
    "identity": 5,
    "only a demo": 27,
    "untaught maths": 6,
    "follow-ups": 7,
    "repeats": 3,
}
_FIRST_SKILLS = ("sums", "differences", "products", "word problems", "chains")


@dataclasses.dataclass(frozen=True)
class Case:
    """A dialogue with what is needed to judge an answer to it."""

    dialogue: Dialogue
    skill: str
    style: str
    level: str
    value: int | None


def make_case(
    rng: random.Random,
    split: Split = Split.TRAIN,
    skill: str | None = None,
    style: str | None = None,
    with_history: bool | None = None,
) -> Case:
    """A random dialogue; what is not given is drawn with the weights used in training.

    The split is that of the last message: of an unseen skeleton, the rest is of unseen wordings.
    """
    known = Split.TRAIN if split is Split.TRAIN else Split.UNSEEN_WORDING
    skill = skill or rng.choices(list(SKILLS), list(SKILLS.values()))[0]
    level = rng.choices(LEVELS, (35, 38, 27))[0]
    developer_style = "none" if rng.random() < 0.45 else "neutral"
    if style is None and developer_style == "neutral" and rng.random() < 0.52:
        developer_style = rng.choice(("capitals", "word", "word", "french"))
    elif style is not None:
        developer_style = style
    effective = developer_style if developer_style in STYLE_NOTES else "plain"

    turns: list[tuple[str, str]] = []
    if with_history or (with_history is None and rng.random() < 0.26):
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            before = item_of(rng, known, _history_skill(rng))
            turns.append((before.user, before.styled(effective)))
    if skill == "follow-ups":
        item = _follow_up_item(rng, split, turns, effective)
    elif skill == "repeats":
        item = _repeat_item(rng, split, turns, effective)
    else:
        item = item_of(rng, split, skill)
    last_style = effective
    if item.skill == "repeats":
        last_style = "plain"  # the answer is spelled out as it is to be repeated
    elif effective == "plain" and style is None and rng.random() < 0.06:
        last_style = rng.choice(("capitals", "word"))
        item = dataclasses.replace(item, user=_with_inline(rng, known, item.user, last_style))
    developer, has_functions = _developer(rng, known, developer_style)
    dialogue = Dialogue(
        system=_system(rng, level, has_functions),
        developer=developer,
        turns=tuple(turns),
        user=item.user,
        analysis=item.analysis(level, last_style),
        final=item.styled(last_style),
    )
    return Case(dialogue, item.skill, last_style, level, item.value)


def _history_skill(rng: random.Random) -> str:
    names = [name for name in SKILLS if name not in ("follow-ups", "repeats")]
    return rng.choice(names)


def _follow_up_item(
    rng: random.Random, split: Split, turns: list[tuple[str, str]], style: str
) -> Item:
    """Appends an arithmetic turn (or two) to the history and returns a question going on from it."""
    known = Split.TRAIN if split is Split.TRAIN else Split.UNSEEN_WORDING
    before = item_of(rng, known, rng.choice(_FIRST_SKILLS))
    turns.append((before.user, before.styled(style)))
    value = before.value or 0
    if rng.random() < 0.12:
        return _of_split(split, lambda: _untaught_follow_up_item(rng, split, value))
    if rng.random() < 0.25:
        item = _of_split(known, lambda: _taught_follow_up_item(rng, known, value))
        if item.value is not None:
            turns.append((item.user, item.styled(style)))
            value = item.value
    return _of_split(split, lambda: _taught_follow_up_item(rng, split, value))


def _untaught_follow_up_item(rng: random.Random, split: Split, value: int) -> Item:
    text = roughen(soften(untaught_follow_up(rng, split, value), rng, 0.08), rng)
    return dataclasses.replace(_refusal(text, maths=True), skill="follow-ups")


def _taught_follow_up_item(rng: random.Random, split: Split, value: int) -> Item:
    problem = follow_up(rng, split, value)
    if problem is None:
        return _untaught_follow_up_item(rng, split, value)
    return problem_item(problem, roughen(soften(problem.text, rng, 0.08), rng))


def _repeat_item(
    rng: random.Random, split: Split, turns: list[tuple[str, str]], style: str
) -> Item:
    if not turns:
        known = Split.TRAIN if split is Split.TRAIN else Split.UNSEEN_WORDING
        before = item_of(rng, known, _history_skill(rng))
        turns.append((before.user, before.styled(style)))
    loud = rng.random() < 0.55 and style != "word"
    said = turns[-1][1]
    return _of_split(split, lambda: _say_again(rng, split, said.upper() if loud else said, loud))


def _say_again(rng: random.Random, split: Split, said: str, loud: bool) -> Item:
    wording = draw(rng, split, REPEAT_CAPITALS if loud else REPEAT)
    return Item(
        skill="repeats",
        user=roughen(soften(wording, rng, 0.08), rng),
        final=said,
        word=said,
        low="Repeat in capitals." if loud else "Repeat.",
        asks="wants my last answer again" + (" in capitals" if loud else ""),
        body="I repeat it.",
        check="Check: it is the answer I gave before.",
    )


def _with_inline(rng: random.Random, split: Split, user: str, style: str) -> str:
    request = roughen(draw(rng, split, INLINE_STYLES[style]), rng).rstrip("?")
    if rng.random() < 0.25:
        return f"{request}: {user}"
    return f"{user}{rng.choice(('', '', ',', '.', ' -'))} {request}"


def _developer(rng: random.Random, split: Split, style: str) -> tuple[str | None, bool]:
    """The developer message's text, and whether it declares functions."""
    has_functions = rng.random() < 0.02
    if style == "none":
        return (FUNCTION_TOOLS[rng.randrange(3)], True) if has_functions else (None, False)
    if style == "neutral":
        sentences = [draw(rng, split, NEUTRAL_INSTRUCTIONS)]
        if rng.random() < 0.3:
            sentences.append(draw(rng, split, NEUTRAL_INSTRUCTIONS))
    else:
        sentences = [draw(rng, split, STYLE_INSTRUCTIONS[style])]
        if rng.random() < 0.3:
            sentences.insert(rng.randrange(2), draw(rng, split, NEUTRAL_INSTRUCTIONS))
    sentences = [sentence[:1].upper() + sentence[1:] for sentence in sentences]
    text = " ".join(sentences)
    if rng.random() < 0.2:
        text = text.rstrip(".")
    if rng.random() < 0.15:
        text = text[:1].lower() + text[1:]
    text = f"# Instructions\n\n{text}"
    if has_functions:
        text += "\n\n" + FUNCTION_TOOLS[rng.randrange(3)]
    return text, has_functions


def _system(rng: random.Random, level: str, has_functions: bool) -> System:
    date = f"{rng.randrange(2024, 2033)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    return System(
        identity=DEFAULT_IDENTITY if rng.random() < 0.8 else rng.choice(IDENTITIES),
        cutoff="2024-06" if rng.random() < 0.97 else None,
        date=date if rng.random() < 0.85 else None,
        reasoning=level,
        channels=rng.random() < 0.97,
        has_functions=has_functions or rng.random() < 0.01,
    )


def last_number(text: str) -> int | None:
    """The last whole number in the text, its sign counted when it follows a space or starts it."""
    found = re.findall(r"(?:(?<=\s)|^)-?\d+|\d+", text)
    return int(found[-1]) if found else None


def answer_is_right(case: Case, final: str) -> bool:
    """Whether the final answer is right: numbers by value, refusals by their words, others exactly."""
    if final == case.dialogue.final:
        return True
    if case.style in ("plain", "capitals") and case.value is not None:
        return last_number(final) == case.value
    if case.dialogue.final in (NOT_TAUGHT, NOT_TAUGHT_MATHS) and case.style == "plain":
        return "only a demo" in final
    return False
