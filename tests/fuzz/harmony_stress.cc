// Sends random and mutated token streams through the lenient parser and checks each against
// tests/fuzz/harmony_oracle.h; then checks that time is linear in the length of a stream.
//
//   harmony_stress [streams [seed]]

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/harmony_oracle.h"

namespace gossamer::harmony {
namespace {

using Tokens = std::vector<TokenId>;
using Random = std::mt19937;

Encoding make_encoding() {
  auto tokenizer = tokenizer::Tokenizer::o200k_harmony();
  return std::move(Encoding::create(std::move(tokenizer).value())).value();
}

constexpr std::string_view kWellFormed[] = {
    "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>A<|end|>",
    "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"a\": 1}<|call|>",
    " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>",
    "<|channel|>analysis to=python code<|message|>print(1)<|call|>",
    "<|start|>python to=assistant<|channel|>analysis<|message|>1\n<|end|><|start|>assistant",
    "<|start|>system<|message|>You are a robot.<|end|><|start|>user<|message|>hi 💖<|end|>",
    "I must refuse<|end|><|start|>assistant<|channel|>final<|message|>no 日本語<|return|>",
};

constexpr std::string_view kWords[] = {
    "assistant", "user",   "tool",     "system",     "functions.f", " to=functions.f",
    " to=",      "python", "analysis", "commentary", "final",       " json",
    " code",     " ",      "\n",       ":",          "user:bob",    "to=x",
    "Hello",     "💖",      "?!",       " and so on",
};

/// Makes streams; tokens of words are encoded once.
class StreamMaker {
 public:
  StreamMaker(const Encoding& encoding, std::uint64_t seed) : encoding_(encoding), random_(seed) {
    const auto& tokenizer = encoding.tokenizer();
    for (const auto text : kWellFormed)
      well_formed_.push_back(tokenizer.encode_with_specials(text));
    for (const auto word : kWords) words_.push_back(tokenizer.encode_ordinary(word));
  }

  std::optional<Role> role() {
    return random_() % 4 == 0 ? std::optional<Role>() : std::optional(Role::kAssistant);
  }

  Tokens stream() {
    if (random_() % 2 == 0) return random_stream();
    Tokens tokens = well_formed_[random_() % well_formed_.size()];
    for (auto edits = 1 + random_() % 4; edits > 0; --edits) mutate(tokens);
    return tokens;
  }

 private:
  TokenId any_token() {
    switch (random_() % 8) {
      case 0:
        return 199'998 + random_() % 1100;  // special, or just past the vocabulary
      case 1:
        return random_() % 256;  // one byte
      case 2:
        return static_cast<TokenId>(random_());
      default:
        return random_() % 199'998;
    }
  }

  Tokens piece() {
    const auto kind = random_() % 10;
    if (kind < 4) return {encoding_.id(static_cast<Marker>(random_() % kNumMarkers))};
    if (kind < 8) return words_[random_() % words_.size()];
    return {any_token()};
  }

  Tokens random_stream() {
    Tokens tokens;
    for (auto pieces = random_() % 24; pieces > 0; --pieces) {
      const Tokens next = piece();
      tokens.insert(tokens.end(), next.begin(), next.end());
    }
    return tokens;
  }

  void mutate(Tokens& tokens) {
    const auto at = tokens.begin() + static_cast<std::ptrdiff_t>(random_() % (tokens.size() + 1));
    const Tokens next = piece();
    switch (random_() % 4) {
      case 0:
        if (at != tokens.end()) tokens.erase(at);
        return;
      case 1:
        tokens.insert(at, next.begin(), next.end());
        return;
      case 2:
        if (at != tokens.end()) *at = next.front();
        return;
      default:
        tokens.erase(at, tokens.end());
    }
  }

  const Encoding& encoding_;
  Random random_;
  std::vector<Tokens> well_formed_;
  std::vector<Tokens> words_;
};

bool check_streams(const Encoding& encoding, std::uint64_t streams, std::uint64_t seed) {
  StreamMaker maker(encoding, seed);
  std::uint64_t num_tokens = 0;
  for (std::uint64_t i = 0; i < streams; ++i) {
    const auto role = maker.role();
    const Tokens tokens = maker.stream();
    num_tokens += tokens.size();
    const std::string problem = check_lenient_parse(encoding, tokens, role);
    if (problem.empty()) continue;
    fmt::print(
        "stream {} of seed {}: {}\n  role {}, tokens {}\n  {}\n",
        i,
        seed,
        problem,
        role ? role_name(*role) : "none",
        fmt::join(tokens, ","),
        encoding.tokenizer().decode(tokens)
    );
    return false;
  }
  fmt::print("{} streams, {} tokens: nothing lost\n", streams, num_tokens);
  return true;
}

double seconds_to_parse(const Encoding& encoding, const Tokens& unit, std::size_t length) {
  const auto begin = std::chrono::steady_clock::now();
  StreamParser parser(encoding, {.role = Role::kAssistant});
  for (std::size_t i = 0; i < length; ++i) parser.push(unit[i % unit.size()]);
  parser.finish();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Streams that repeat one thing: where a parser that reads anything twice would take forever.
bool check_linear_time(const Encoding& encoding) {
  constexpr std::size_t kLength = 100'000;
  constexpr double kGrowth = 4;
  bool is_linear = true;
  for (const std::string_view text :
       {"<|channel|>",
        "<|start|>",
        "<|message|>",
        "<|end|>",
        "<|constrain|>",
        " word",
        "\n",
        "<|message|>a<|channel|>b",
        "<|channel|>analysis<|message|>",
        "<|message|>\n<|channel|>final",
        " to=x",
        "<|reserved_200013|>",
        "<|start|>assistant<|message|>💖<|end|>"}) {
    const Tokens unit = encoding.tokenizer().encode_with_specials(text);
    double growth = 1e9;
    for (int attempt = 0; attempt < 5 && growth > 2 * kGrowth; ++attempt) {
      const double brief = seconds_to_parse(encoding, unit, kLength);
      const auto longer = static_cast<std::size_t>(kGrowth * kLength);
      growth = std::min(growth, seconds_to_parse(encoding, unit, longer) / brief);
    }
    if (growth <= 2 * kGrowth) continue;
    fmt::print("\"{}\": {} times the tokens take {:.1f} times as long\n", text, kGrowth, growth);
    is_linear = false;
  }
  if (is_linear) fmt::print("time is linear in the length of a stream\n");
  return is_linear;
}

int run(int argc, char** argv) {
  const std::uint64_t streams = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200'000;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const Encoding encoding = make_encoding();
  const bool passed = check_streams(encoding, streams, seed) && check_linear_time(encoding);
  return passed ? 0 : 1;
}

}  // namespace
}  // namespace gossamer::harmony

int main(int argc, char** argv) {
  return gossamer::harmony::run(argc, argv);
}
