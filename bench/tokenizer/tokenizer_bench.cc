// Times the tokenizer: loading, and encoding and decoding texts of one kind and of a file.
//
//   tokenizer_bench [corpus.txt] [--benchmark_filter=...]      bench/tokenizer/corpus.mjs writes a
//   corpus
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/mapped_file.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::tokenizer {
namespace {

constexpr std::size_t kTextBytes = 1'000'000;

void count_bytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void load_o200k(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::o200k_harmony());
}

void load_json(benchmark::State& state, std::string_view json) {
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::from_json(json, "bench"));
  count_bytes(state, json.size());
}

void encode(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode_ordinary(text));
  count_bytes(state, text.size());
}

void decode(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  const auto tokens = tokenizer.encode_ordinary(text);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.decode(tokens));
  count_bytes(state, text.size());
}

std::string repeat(std::string_view part) {
  std::string text;
  while (text.size() < kTextBytes) text += part;
  return text;
}

void add_encode(const Tokenizer& tokenizer, const std::string& name, const std::string& text) {
  benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode, tokenizer, text)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace gossamer::tokenizer

int main(int argc, char** argv) {
  using namespace gossamer::tokenizer;  // NOLINT(google-build-using-namespace): its own program
  benchmark::Initialize(&argc, argv);
  const Tokenizer tokenizer = Tokenizer::o200k_harmony().value();
  benchmark::RegisterBenchmark("load/o200k_harmony", load_o200k)->Unit(benchmark::kMillisecond);
  const auto json = gossamer::MappedFile::open(GOSSAMER_SMALL_TOKENIZER).value();
  const std::string_view json_text(
      reinterpret_cast<const char*>(json.bytes().data()), json.bytes().size()
  );
  benchmark::RegisterBenchmark("load/tokenizer.json of 4105 tokens", load_json, json_text)
      ->Unit(benchmark::kMillisecond);
  add_encode(tokenizer, "1 MB of one letter", repeat("a"));
  add_encode(tokenizer, "1 MB of two letters", repeat("abaabbb"));
  add_encode(tokenizer, "1 MB of spaces", repeat(" "));
  add_encode(tokenizer, "1 MB of newlines", repeat("\n"));
  add_encode(tokenizer, "1 MB of digits", repeat("1234567890"));
  add_encode(tokenizer, "1 MB of CJK", repeat("你好世界我们"));
  add_encode(tokenizer, "1 MB of emoji", repeat("😀👩‍👩‍👧🏳️‍🌈"));
  add_encode(tokenizer, "1 MB of combining marks", repeat("\u0301"));
  add_encode(tokenizer, "1 MB of invalid bytes", repeat("\xFF"));
  if (argc > 1) {
    const auto corpus = gossamer::MappedFile::open(argv[1]);
    if (!corpus.ok()) {
      fmt::print(stderr, "tokenizer_bench: {}\n", corpus.error().message);
      return 1;
    }
    const auto bytes = corpus->bytes();
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    add_encode(tokenizer, "corpus", text);
    benchmark::RegisterBenchmark("decode/corpus", decode, tokenizer, text)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
