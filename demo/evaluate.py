"""Judges the demo model on wordings and numbers it has not seen, and on hand-written questions.

    python3 demo/evaluate.py --model data/demo                    with PyTorch
    python3 demo/evaluate.py --model data/demo --gossamer PATH    with the real program

prints a table of skill, prompts, right, share, and writes evaluation.json (the table, the failures and
a sample of answers) into the --report directory. Everything is greedy.

The main table is of unseen messages made from known templates, the second block ("unseen skeleton")
of templates kept from training altogether; wording.py says how they are told apart.

A final answer is right when it is the expected one; arithmetic in plain style is judged by the last
number of the answer, a refusal by the words "only a demo". The skill "reasoning level" also asks for
what dialogues.level_rule_holds states. "Well-formed" counts completions that are one analysis and one
final message with nothing around them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dialogues
from dialogues import NOT_TAUGHT, NOT_TAUGHT_MATHS, Case, answer_is_right, level_rule_holds, make_case
from harmony_format import Dialogue, System, parse_completion, prompt_tokens
from small_talk import SMALL_TALK
from vocabulary import DEFAULT_VOCABULARY, SPECIAL_IDS, Vocabulary
from wording import Split

Complete = Callable[[list[list[int]]], list[list[int]]]
MAX_TOKENS = 420
QUESTIONS = Path(__file__).resolve().parent / "questions.txt"
SAMPLES = 60
FAILURES_A_SKILL = 40
UNSEEN_SKELETON = "unseen skeleton: "  # begins the names of the second block's groups


@dataclasses.dataclass(frozen=True)
class Trial:
    """A case under the name of the group it counts for."""

    group: str
    case: Case


def held_out_trials(count: int, seed: int) -> list[Trial]:
    """`count` prompts a skill, none of whose last messages was in training."""
    trials = []
    unseen = Split.UNSEEN_WORDING
    for skill in dialogues.SKILLS:
        rng = random.Random(f"{seed} {skill}")
        for _ in range(count):
            trials.append(Trial(skill, make_case(rng, unseen, skill, style="none")))
    for style in ("capitals", "word", "french"):
        rng = random.Random(f"{seed} {style}")
        for _ in range(count):
            skill = rng.choice(["greetings", "help topics", "sums", "only a demo", "word problems"])
            if style == "french" and rng.random() < 0.6:
                skill = "greetings"
            trials.append(Trial(f"style: {style}", make_case(rng, unseen, skill, style)))
    rng = random.Random(f"{seed} level")
    for _ in range(count):
        trials.append(Trial("reasoning level", make_case(rng, unseen)))
    rng = random.Random(f"{seed} turns")
    for _ in range(count):
        trials.append(Trial("several turns", make_case(rng, unseen, with_history=True)))
    return trials


def unseen_skeleton_trials(count: int, seed: int) -> list[Trial]:
    """`count` prompts a skill whose last messages come from templates kept from training whole."""
    trials = []
    for skill in dialogues.SKILLS:
        rng = random.Random(f"{seed} unseen skeleton, {skill}")
        try:
            cases = [make_case(rng, Split.UNSEEN_SKELETON, skill, style="none") for _ in range(count)]
        except ValueError:  # the hash holds out none of this skill's templates
            continue
        trials += [Trial(f"{UNSEEN_SKELETON}{skill}", case) for case in cases]
    return trials


def read_questions(path: Path = QUESTIONS) -> list[Trial]:
    """The hand-written questions; the head of questions.txt says how they are written."""
    trials = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        head, _, text = line.partition(" | ")
        if not text:
            raise ValueError(f"{path}:{number}: no ' | ' between the expectation and the question")
        *turns, user = text.split(" >> ")
        level = dialogues.LEVELS[len(trials) % 3]
        case = _expected_case(head.split(), user, level)
        system = System(date=f"2026-{len(trials) % 12 + 1:02}-15", reasoning=level)
        pairs = tuple(zip(turns[0::2], turns[1::2]))
        dialogue = dataclasses.replace(case.dialogue, system=system, turns=pairs)
        trials.append(Trial(f"by hand: {case.skill}", dataclasses.replace(case, dialogue=dialogue)))
    return trials


def _expected_case(words: list[str], user: str, level: str) -> Case:
    style = words.pop(0) if words[0] in dialogues.STYLE_NOTES else "plain"
    developer = {
        "capitals": "Answer in capitals.",
        "word": "Answer in one word.",
        "french": "Answer greetings in French.",
    }.get(style)
    kind, name = words[0], words[1] if len(words) > 1 else ""
    final, word, french, value = "", "", None, None
    if kind == "topic":
        topic = next(topic for topic in dialogues.load_topics() if topic.key == name)
        skill, final, word = "help topics", topic.answer, topic.word
    elif kind == "talk":
        talk = next(talk for talk in SMALL_TALK if talk.key == name)
        skill, final, word, french = talk.skill, talk.answer, talk.word, talk.french
    elif kind == "demo":
        skill, final, word = "only a demo", NOT_TAUGHT, "Demo"
    elif kind == "maths":
        skill, final, word = "untaught maths", NOT_TAUGHT_MATHS, "Demo"
    elif kind == "value":
        skill, final, word, value = "arithmetic", name, name, int(name)
    else:
        raise ValueError(f"unknown kind of expectation: {kind}")
    if style == "capitals":
        final = final.upper()
    elif style == "word":
        final = word
    elif style == "french" and french:
        final = french
    text = f"# Instructions\n\n{developer}" if developer else None
    return Case(Dialogue(None, text, (), user, final=final), skill, style, level, value)


@dataclasses.dataclass(frozen=True)
class Verdict:
    trial: Trial
    text: str  # the completion as text
    well_formed: bool
    right: bool


def judge(vocabulary: Vocabulary, trial: Trial, completion: Sequence[int]) -> Verdict:
    parsed = parse_completion(vocabulary, completion)
    right = parsed is not None and answer_is_right(trial.case, parsed[1])
    if right and parsed is not None and trial.group == "reasoning level":
        right = level_rule_holds(trial.case.level, parsed[0])
    return Verdict(trial, vocabulary.decode(list(completion)), parsed is not None, right)


def torch_completer(model_directory: Path) -> Complete:
    import torch

    import checkpoint
    from model import greedy

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("highest")
    model = checkpoint.load(model_directory, device)
    return lambda prompts: greedy(model, prompts, MAX_TOKENS, SPECIAL_IDS["<|return|>"])


def gossamer_completer(program: Path, model_directory: Path | None) -> Complete:
    """Runs `gossamer generate --batch-jsonl`: one request a line on stdin, one result a line."""

    def complete(prompts: list[list[int]]) -> list[list[int]]:
        command = [str(program), "generate", "--batch-jsonl", "--max-tokens", str(MAX_TOKENS), "-t", "0"]
        if model_directory is not None:
            command += ["-m", str(model_directory)]
        requests = "".join(json.dumps({"tokens": prompt}) + "\n" for prompt in prompts)
        done = subprocess.run(command, input=requests, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
        results = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        if len(results) != len(prompts):
            raise RuntimeError(f"{program} gave {len(results)} results for {len(prompts)} requests")
        return [_with_stop_token(result) for result in results]

    return complete


def _with_stop_token(result: dict) -> list[int]:
    """The program may leave the stop token out of the tokens it reports; the judge wants it."""
    tokens, stop = result["tokens"], SPECIAL_IDS["<|return|>"]
    if result.get("finish_reason") == "stop" and tokens[-1:] != [stop]:
        return [*tokens, stop]
    return tokens


def table(verdicts: Sequence[Verdict]) -> list[dict]:
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.trial.group, []).append(verdict)
    rows = []
    for name, members in groups.items():
        rows.append(_row(name, [v.right for v in members]))
    by_hand = [v.right for v in verdicts if v.trial.group.startswith("by hand")]
    rows.append(_row("by hand, all", by_hand))
    for level in dialogues.LEVELS:
        sums = [
            v.right
            for v in verdicts
            if v.trial.case.value is not None
            and v.trial.case.level == level
            and not v.trial.group.startswith(UNSEEN_SKELETON)
        ]
        rows.append(_row(f"arithmetic, {level}", sums))
    rows.append(_row("well-formed Harmony", [v.well_formed for v in verdicts]))
    return rows


def _row(name: str, right: list[bool]) -> dict:
    share = sum(right) / len(right) if right else 0.0
    return {"skill": name, "prompts": len(right), "right": sum(right), "share": round(share, 4)}


def describe(verdict: Verdict) -> dict:
    dialogue = verdict.trial.case.dialogue
    return {
        "skill": verdict.trial.group,
        "reasoning": verdict.trial.case.level,
        "developer": dialogue.developer,
        "turns": dialogue.turns,
        "prompt": dialogue.user,
        "got": verdict.text,
        "expected": dialogue.final,
        "right": verdict.right,
    }


def write_report(directory: Path, rows: list[dict], verdicts: Sequence[Verdict]) -> None:
    failures: dict[str, list[dict]] = {}
    for verdict in verdicts:
        if not verdict.right:
            failures.setdefault(verdict.trial.group, []).append(describe(verdict))
    sample = random.Random(0).sample(list(verdicts), min(SAMPLES, len(verdicts)))
    report = {
        "table": [row for row in rows if not row["skill"].startswith(UNSEEN_SKELETON)],
        "unseen skeletons": [row for row in rows if row["skill"].startswith(UNSEEN_SKELETON)],
        "failures": {
            # every hand-written failure is of interest; of the generated ones a few are enough
            name: found if name.startswith("by hand") else found[:FAILURES_A_SKILL]
            for name, found in failures.items()
        },
        "sample": [describe(verdict) for verdict in sample],
    }
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, ensure_ascii=False, indent=1)
    (directory / "evaluation.json").write_text(text + "\n", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="checkpoint directory")
    parser.add_argument("--gossamer", type=Path, help="judge this program instead of PyTorch")
    parser.add_argument("--vocab", type=Path, default=DEFAULT_VOCABULARY, help="o200k_base.tiktoken")
    parser.add_argument("--report", type=Path, default=Path("."), help="where evaluation.json goes")
    parser.add_argument("--count", type=int, default=500, help="prompts a skill, a fifth for skeletons")
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--by-hand-only", action="store_true", help="only the hand-written questions")
    arguments = parser.parse_args()
    if arguments.gossamer is None and arguments.model is None:
        parser.error("name a --model, a --gossamer program, or both")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    begin = time.monotonic()
    vocabulary = Vocabulary(arguments.vocab)
    trials = read_questions()
    if not arguments.by_hand_only:
        trials = (
            held_out_trials(arguments.count, arguments.seed)
            + unseen_skeleton_trials(max(1, arguments.count // 5), arguments.seed)
            + trials
        )
    prompts = [prompt_tokens(vocabulary, trial.case.dialogue) for trial in trials]
    print(f"{time.monotonic() - begin:6.1f} s  {len(prompts)} prompts", flush=True)
    if arguments.gossamer is not None:
        complete = gossamer_completer(arguments.gossamer, arguments.model)
    else:
        complete = torch_completer(arguments.model)
    completions = complete(prompts)
    print(f"{time.monotonic() - begin:6.1f} s  answered", flush=True)
    verdicts = [judge(vocabulary, t, c) for t, c in zip(trials, completions)]
    rows = table(verdicts)
    for row in sorted(rows, key=lambda row: row["skill"].startswith(UNSEEN_SKELETON)):
        print(f"{row['skill']:34} {row['prompts']:6} {row['right']:6} {100 * row['share']:7.2f} %")
    write_report(arguments.report, rows, verdicts)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
