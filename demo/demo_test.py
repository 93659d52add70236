"""Tests of the generators and the judge: `python3 demo/demo_test.py [VOCABULARY]`."""

from __future__ import annotations

import random
import re
import sys
import unittest

import dialogues
from arithmetic import Term, check, steps, worded
from dialogues import LEVELS, answer_is_right, last_number, level_rule_holds, load_topics, make_case
from evaluate import held_out_trials, judge, read_questions
from harmony_format import completion_tokens, prompt_tokens
from vocabulary import DEFAULT_VOCABULARY, NUM_TEXT_TOKENS, SPECIAL_IDS, Vocabulary
from problems import DIFFERENCE_TEMPLATES
from stories import SUBTRACT_STORIES
from wording import Split, count_wordings, message_held_out, sides, wording_held_out

_EQUATION = re.compile(r"(?<![\d+=x<-])(\d+(?:[-+x]\d+)*)=(?:(\d+)\+(\d+)=)?(-?\d+)(?![\dx])")


def _value(expression: str) -> int:
    """Left to right, as the steps are written: they never mix x with + or -."""
    numbers = [int(n) for n in re.findall(r"\d+", expression)]
    result = numbers[0]
    for sign, number in zip(re.findall(r"[-+x]", expression), numbers[1:]):
        result = {"+": result + number, "-": result - number, "x": result * number}[sign]
    return result


class ArithmeticTest(unittest.TestCase):
    def test_every_step_is_true_and_the_last_is_the_result(self) -> None:
        rng = random.Random(3)
        for _ in range(3000):
            sign = rng.choice("+-*")
            limit = 100 if sign == "*" else 1000
            term = Term(rng.randrange(limit), sign, rng.randrange(limit))
            for text in (steps(term), worded(term), check(term)):
                for left, tens, carry, right in _EQUATION.findall(text):
                    value = int(tens) if tens else int(right)
                    self.assertEqual(_value(left), value, text)
                    if tens:
                        self.assertEqual(int(tens) + int(carry), int(right), text)
            self.assertTrue(steps(term).endswith(f"={term.value}."))
            self.assertTrue(worded(term).endswith(f"={term.value}."))

    def test_a_check_ends_where_it_should(self) -> None:
        self.assertIn("=347, which fits.", check(Term(347, "+", 268)))
        self.assertIn("=282, which fits.", check(Term(47, "*", 6)))
        self.assertIn("=237, which fits.", check(Term(14, "-", 237)))


def any_held_out(turns: tuple[tuple[str, str], ...]) -> bool:
    return any(message_held_out(user) for user, _ in turns)


class DialogueTest(unittest.TestCase):
    def test_generated_answers_are_right_by_the_judges_rules(self) -> None:
        rng = random.Random(4)
        for _ in range(2000):
            case = make_case(rng)
            self.assertTrue(answer_is_right(case, case.dialogue.final))
            self.assertTrue(level_rule_holds(case.level, case.dialogue.analysis))
            self.assertFalse(answer_is_right(case, "I do not know."))

    def test_levels_are_told_apart(self) -> None:
        rng = random.Random(5)
        for _ in range(300):
            case = make_case(rng)
            held = [level_rule_holds(level, case.dialogue.analysis) for level in LEVELS]
            self.assertEqual(sum(held), 1)

    def test_one_word_answers_are_one_word(self) -> None:
        rng = random.Random(6)
        for _ in range(500):
            case = make_case(rng, skill="help topics", style="word")
            self.assertEqual(len(case.dialogue.final.split()), 1)

    def test_there_are_sixty_wordings_a_topic_on_either_side_of_the_split(self) -> None:
        rng = random.Random(7)
        for topic in load_topics():
            for split in (Split.TRAIN, Split.UNSEEN_WORDING):
                asked = {dialogues.topic_item(rng, split, topic).user.lower() for _ in range(250)}
                self.assertGreaterEqual(len(asked), 60, topic.key)

    def test_the_split_keeps_about_an_eighth(self) -> None:
        held = sum(wording_held_out(f"a wording, number {i}") for i in range(4000))
        self.assertAlmostEqual(held / 4000, 0.125, delta=0.02)

    def test_training_sees_no_message_that_is_judged(self) -> None:
        rng = random.Random(8)
        for skill in dialogues.SKILLS:
            for _ in range(40):
                trained = make_case(rng, Split.TRAIN, skill, style="none").dialogue
                self.assertFalse(any_held_out(trained.turns))
        for trial in held_out_trials(10, seed=2):
            if trial.group in ("sums", "differences", "help topics", "only a demo", "greetings"):
                user = dialogues.item_of(rng, Split.UNSEEN_WORDING, trial.group).user
                self.assertTrue(message_held_out(user))

    def test_every_essential_form_of_a_difference_is_trained_by_several_skeletons(self) -> None:
        trained = sides(DIFFERENCE_TEMPLATES)[0]
        forms = ("−", "–", " off ", "less than", " less ", "away from", "without", "reduce", "deduct",
                 "difference", "minus", "remains", "remove", "more is")  # fmt: skip
        for form in forms:
            self.assertGreaterEqual(sum(form in template for template in trained), 2, form)
        self.assertGreaterEqual(sum("apart" in story for story in sides(SUBTRACT_STORIES)[0]), 2)

    def test_wordings_are_counted(self) -> None:
        self.assertEqual(count_wordings("a {b|c{d|e|}} {f|g} h"), 8)
        self.assertEqual(count_wordings("what is |x|"), 1)

    def test_the_last_number_is_found(self) -> None:
        self.assertEqual(last_number("14 - 37 = -23"), -23)
        self.assertEqual(last_number("14 - 37 = 23 apples."), 23)
        self.assertEqual(last_number("$-5"), 5)
        self.assertIsNone(last_number("none"))


class TokenTest(unittest.TestCase):
    vocabulary: Vocabulary

    @classmethod
    def setUpClass(cls) -> None:
        cls.vocabulary = Vocabulary(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_VOCABULARY)

    def test_text_survives_encoding(self) -> None:
        for text in ("What's 12 + 7?", "Réponds, 3 × 4\n\n  = …", "--max-tokens 100", ""):
            self.assertEqual(self.vocabulary.decode(self.vocabulary.encode(text)), text)

    def test_digits_are_single_tokens(self) -> None:
        self.assertEqual(len(self.vocabulary.encode("12345")), 5)

    def test_every_merge_of_the_tokenizer_file_makes_its_token(self) -> None:
        model = self.vocabulary.tokenizer_json()["model"]
        self.assertEqual(len(model["vocab"]), NUM_TEXT_TOKENS)
        for left, right in model["merges"]:
            self.assertIn(left + right, model["vocab"])

    def test_the_judge_accepts_the_expected_and_nothing_cut_short(self) -> None:
        for trial in held_out_trials(20, seed=1):
            wanted = completion_tokens(self.vocabulary, trial.case.dialogue)
            self.assertTrue(judge(self.vocabulary, trial, wanted).right)
            cut = judge(self.vocabulary, trial, wanted[:-1])
            self.assertFalse(cut.well_formed or cut.right)

    def test_prompts_end_where_the_assistant_begins(self) -> None:
        ending = [SPECIAL_IDS["<|start|>"], *self.vocabulary.encode("assistant")]
        trials = read_questions()
        self.assertGreaterEqual(len(trials), 150)
        for trial in trials:
            prompt = prompt_tokens(self.vocabulary, trial.case.dialogue)
            self.assertEqual(prompt[-len(ending) :], ending)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
