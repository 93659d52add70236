// `gossamer generate`, `score` and `bench`, as a user runs them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "tests/end_to_end/golden.h"
#include "tests/end_to_end/program.h"

namespace gossamer::end_to_end {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

std::vector<json> lines_of(const Outcome& outcome) {
  std::vector<json> lines;
  std::istringstream stream(outcome.output);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(json::parse(line, nullptr, false));
    EXPECT_TRUE(lines.back().is_object()) << line;
  }
  return lines;
}

std::string list_of(const std::vector<TokenId>& tokens) {
  std::string list;
  for (const TokenId token : tokens) list += (list.empty() ? "" : ",") + std::to_string(token);
  return list;
}

TEST(GenerateTest, JsonGivesTheGoldenTokensWithEveryBackend) {
  const GoldenFile golden_file("small");
  const auto prompt = list_of(golden_file.tokens("greedy.prompt"));
  const auto expected = golden_file.tokens("greedy.tokens");
  for (const std::string backend : {"reference", "cpu", "auto"}) {
    const Outcome outcome =
        run("gossamer generate -m " + golden("small/hf") + " --tokens " + prompt +
            " -n 24 -t 0 --ignore-eos --json --backend " + backend);
    ASSERT_EQ(outcome.status, 0) << outcome.output;
    const auto lines = lines_of(outcome);
    ASSERT_EQ(lines.size(), expected.size() + 1);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(lines[i]["token"], expected[i]);
      EXPECT_LE(lines[i]["logprob"], 0.0);
    }
    EXPECT_EQ(lines.back()["finish_reason"], "length");
    EXPECT_EQ(lines.back()["completion_tokens"], 24);
  }
}

TEST(GenerateTest, TheCachesTypeIsTheCpusToChoose) {
  const std::string command = "gossamer generate -p 'What is 12 + 30?' -n 4 -t 0 --backend ";
  const Outcome floats = run(command + "cpu --kv-cache-dtype f32");
  EXPECT_EQ(floats.status, 0) << floats.output;
  EXPECT_EQ(run(command + "cpu").output, floats.output);
  const Outcome refused = run(command + "reference --kv-cache-dtype f16");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.output, AllOf(HasSubstr("the reference backend"), HasSubstr("F64")));
}

TEST(GenerateTest, WithoutATokenizerIdsGoInAndOut) {
  EXPECT_THAT(
      run("gossamer generate -m " + golden("tiny/original") + " --tokens 1,2,3 -n 3 -t 0").output,
      testing::MatchesRegex("[0-9]+ [0-9]+ [0-9]+\n")
  );
  const Outcome text = run("gossamer generate -m " + golden("tiny/original") + " -p hello");
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.output, AllOf(HasSubstr("tokenizer.json"), HasSubstr("--tokens")));
}

TEST(GenerateTest, ChatAnswersOnStdoutAndThinksOnStderr) {
  const Outcome answer = run("gossamer generate --chat -p 'What is 12 + 30?' -t 0 2>/dev/null");
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.output, "12 + 30 = 42\n");
  const Outcome thoughts =
      run("gossamer generate --chat -p 'What is 12 + 30?' -t 0 2>&1 >/dev/null");
  EXPECT_THAT(thoughts.output, AllOf(HasSubstr("42"), Not(HasSubstr("\x1b"))));
}

TEST(GenerateTest, ChatJsonSeparatesAnalysisAndAnswer) {
  const auto lines = lines_of(run("gossamer generate --chat --json -p 'What is 12 + 30?' -t 0"));
  ASSERT_GT(lines.size(), 1U);
  EXPECT_EQ(lines.back()["answer"], "12 + 30 = 42");
  EXPECT_NE(lines.back()["analysis"], "");
  EXPECT_EQ(lines.back()["finish_reason"], "stop");
  std::string text;
  for (const json& line : lines) text += line["text"].get<std::string>();
  EXPECT_THAT(
      text,
      AllOf(HasSubstr("<|channel|>final<|message|>12 + 30 = 42"), Not(HasSubstr("<|return|>")))
  );
}

TEST(GenerateTest, AStopStringEndsTheTextBeforeIt) {
  const std::string prompt = "gossamer generate -m " + golden("pilot") +
                             " -t 0 -n 40 --specials -p "
                             "'<|start|>user<|message|>What is 14 + 37?<|end|><|start|>assistant'";
  const std::string whole = run(prompt).output;
  // Across a token boundary: the end of a special token, and the start of the text after it.
  const std::size_t marker = whole.find("<|message|>");
  ASSERT_NE(marker, std::string::npos) << whole;
  const std::size_t middle = whole.find("ge|>", marker);
  const std::string stop = whole.substr(middle, 6);
  const Outcome stopped = run(prompt + " --stop '" + stop + "'");
  EXPECT_EQ(stopped.output, whole.substr(0, middle) + "\n");
}

TEST(GenerateTest, TheSameSeedSaysTheSame) {
  const std::string command = "gossamer generate -p 'gossamer is' -n 30 -t 1.5 --seed ";
  const std::string first = run(command + "7").output;
  EXPECT_EQ(run(command + "7").output, first);
  EXPECT_NE(run(command + "8").output, first);
}

TEST(GenerateTest, SpecialTokensInTextAreTextUnlessAllowed) {
  const std::string score = "gossamer score --json -p '<|start|>' ";
  EXPECT_GT(lines_of(run(score)).size(), 1U);
  EXPECT_EQ(lines_of(run(score + "--specials")).size(), 1U);
}

TEST(GenerateTest, ReadsThePromptFromStdinByteForByte) {
  const auto piped = lines_of(run("printf 'a\\n' | gossamer score --json"));
  const auto given = lines_of(run("gossamer score --json -p \"$(printf 'a\\nx')\""));
  ASSERT_EQ(piped.size() + 1, given.size());
  EXPECT_EQ(piped.back()["token"], given[piped.size() - 1]["token"]);
}

TEST(GenerateTest, BatchLinesAnswerInOrderAsEachAlone) {
  const Outcome outcome =
      run("printf '%s\\n' '{\"prompt\":\"gossamer is a\"}' '{\"tokens\":[1,2,3],\"max_tokens\":3}' "
          "'nonsense' "
          "'{\"tokens\":[99999]}' '{\"prompt\":\"gossamer is a\",\"max_tokens\":7}' | "
          "gossamer generate --batch-jsonl -t 0 -n 5 --parallel 3");
  EXPECT_EQ(outcome.status, 0);
  const auto lines = lines_of(outcome);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0]["tokens"].size(), 5U);
  EXPECT_EQ(lines[1]["tokens"].size(), 3U);
  EXPECT_THAT(lines[2]["error"].get<std::string>(), HasSubstr("JSON"));
  EXPECT_THAT(lines[3]["error"].get<std::string>(), HasSubstr("99999"));
  EXPECT_EQ(lines[4]["tokens"].size(), 7U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(lines[4]["tokens"][i], lines[0]["tokens"][i]);
  EXPECT_EQ(
      lines[0]["text"].get<std::string>() + "\n",
      run("gossamer generate -p 'gossamer is a' -n 5 -t 0").output
  );
}

TEST(GenerateTest, BadRequestsFailWithAReason) {
  const auto error = [](const std::string& arguments) {
    const Outcome outcome = run("gossamer generate " + arguments + " </dev/null");
    EXPECT_EQ(outcome.status, 1) << arguments;
    return outcome.output;
  };
  EXPECT_THAT(error("--tokens 1,x"), HasSubstr("\"x\" is not one"));
  EXPECT_THAT(
      error("--tokens 4000000000"), HasSubstr("token 4000000000 is not in this model's vocabulary")
  );
  EXPECT_THAT(error("--tokens 99999999999"), HasSubstr("is not one"));
  EXPECT_THAT(error("-p ''"), HasSubstr("prompt is empty"));
  EXPECT_THAT(error("-p hello --context 200000"), HasSubstr("131072"));
  EXPECT_THAT(
      error("-p 'one two three four five six' --context 3"), HasSubstr("and the context holds 3")
  );
  EXPECT_THAT(error("-p hello -t -1"), HasSubstr("temperature is -1"));
  EXPECT_THAT(error("-p hello --logit-bias five"), HasSubstr("TOKEN=BIAS"));
  EXPECT_THAT(error("-p hello -m /nowhere"), HasSubstr("/nowhere"));
  EXPECT_EQ(run("gossamer generate --backend gpu -p hello").status, 2);
}

TEST(GenerateTest, CtrlCEndsCleanlyWithWhatThereIs) {
  const Outcome outcome =
      interrupt_after_a_line("generate -p a --ignore-eos --json --backend reference -n 100000");
  EXPECT_EQ(outcome.status, 130);
  EXPECT_THAT(outcome.output, HasSubstr("\"finish_reason\":\"interrupted\""));
}

TEST(ScoreTest, JsonMatchesTheGoldenLogits) {
  const GoldenFile golden_file("tiny");
  const auto tokens = golden_file.tokens("prompt3.tokens");
  const auto logits = golden_file.floats("prompt3.logits_f64ref");
  const auto lines = lines_of(
      run("gossamer score -m " + golden("tiny/hf") +
          " --backend reference --json --top 3 --tokens " + list_of(tokens))
  );
  ASSERT_EQ(lines.size(), tokens.size());
  EXPECT_TRUE(lines[0]["logprob"].is_null());
  const std::size_t vocab = logits.size() / tokens.size();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const float* row = logits.data() + i * vocab;
    double sum = 0;
    for (std::size_t v = 0; v < vocab; ++v) sum += std::exp(static_cast<double>(row[v]));
    const double log_sum = std::log(sum);
    EXPECT_EQ(lines[i]["position"], i);
    EXPECT_EQ(lines[i]["token"], tokens[i]);
    ASSERT_EQ(lines[i]["top"].size(), 3U);
    for (const json& top : lines[i]["top"]) {
      EXPECT_NEAR(
          top["logprob"].get<double>(), row[top["token"].get<std::size_t>()] - log_sum, 1e-4
      );
    }
    if (i + 1 < tokens.size()) {
      EXPECT_NEAR(lines[i + 1]["logprob"].get<double>(), row[tokens[i + 1]] - log_sum, 1e-4);
    }
  }
}

TEST(ScoreTest, TextFormTellsThePerplexity) {
  EXPECT_THAT(
      run("gossamer score -p 'gossamer is written in C++20.'").output, HasSubstr("perplexity")
  );
  EXPECT_EQ(run("gossamer score --tokens 5").status, 1);
}

TEST(BenchTest, ReportsSpeedAndBandwidth) {
  const Outcome outcome =
      run("gossamer bench --prompt 32 --generate 8 --batch 2 --repeat 2 --backend cpu --profile "
          "--json 2>/dev/null");
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  const json report = json::parse(outcome.output);
  EXPECT_GT(report["prefill_tokens_per_second"]["min"], 0);
  EXPECT_GE(
      report["decode_tokens_per_second"]["max"], report["decode_tokens_per_second"]["median"]
  );
  EXPECT_GT(report["read_bandwidth_gb_per_second"], 0);
  EXPECT_EQ(report["context"], 32);
  EXPECT_GT(report["memory"]["kv_cache_tokens"], 64);
  EXPECT_GT(report["choosing_share"], 0);
  EXPECT_LT(report["choosing_share"], 1);
  const json& decode = report["decode_profile"];
  EXPECT_EQ(decode["steps"], 8);
  double seconds = 0;
  double bytes = 0;
  for (const json& op : decode["operations"]) {
    seconds += op["seconds"].get<double>();
    bytes += op["bytes"].get<double>();
  }
  EXPECT_LE(seconds, decode["seconds"].get<double>());
  EXPECT_GT(bytes, 8 * report["decode_bytes_per_step"].get<double>());
}

TEST(BenchTest, TellsWhereMemoryAndTimeGo) {
  const Outcome outcome =
      run("gossamer bench --prompt 16 --context 100 --generate 4 --repeat 1 --backend cpu --profile"
      );
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, ContainsRegex("memory: weights 14.[0-9]+ MB, KV cache .* tokens"));
  EXPECT_THAT(outcome.output, HasSubstr("decode, 4 after 100"));
  EXPECT_THAT(outcome.output, ContainsRegex("project_qkv +8 "));
  EXPECT_THAT(outcome.output, ContainsRegex("moe +8 "));
}

TEST(BenchTest, MoreThanTheModelTakesIsRefused) {
  const Outcome outcome = run("gossamer bench --context 131072");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("this model takes "));
}

TEST(BackendTest, CudaWithoutADeviceIsAnErrorThatSaysWhy) {
  if (run("gossamer --version | grep -q '^device '").status == 0) GTEST_SKIP() << "has a device";
  const Outcome outcome = run("gossamer generate -p hello --backend cuda");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.output, ContainsRegex("without CUDA|no NVIDIA driver|no device|CUDA"));
  EXPECT_EQ(run("gossamer generate -p hello --device -1").status, 2);
}

}  // namespace
}  // namespace gossamer::end_to_end
