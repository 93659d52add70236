// Trained checkpoints continue 24 prompts each exactly as transformers does in float32.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "engine/engine.h"
#include "tests/end_to_end/golden.h"
#include "tests/end_to_end/model_runs.h"

namespace gossamer::end_to_end {
namespace {

/// (checkpoint, file of prompts and continuations, backend, prompts to run)
class TrainedTest : public testing::TestWithParam<
                        std::tuple<std::string, std::string, std::string, std::size_t>> {
 protected:
  std::string source(const std::string& path) const { return GOSSAMER_SOURCE_DIR "/" + path; }
};

TEST_P(TrainedTest, ContinuesEveryPromptAsTransformersDoes) {
  const auto& [directory, prompts, backend_name, count] = GetParam();
  auto opened = checkpoint::Checkpoint::open(source(directory));
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const checkpoint::Checkpoint checkpoint = std::move(opened).value();
  const auto backend = make_backend(backend_name, 2);
  if (backend == nullptr) GTEST_SKIP() << "no CUDA device";
  const kernels::ResidentWeights resident = load(*backend, checkpoint.weights());
  auto engine = engine::Engine::create(
      checkpoint.config(), resident.weights, *backend, {.context_length = 1024, .max_sequences = 8}
  );
  ASSERT_TRUE(engine.ok());
  std::ifstream file(source(prompts));
  auto golden = nlohmann::json::parse(file);
  ASSERT_EQ(golden.size(), 24U);
  golden.erase(golden.begin() + static_cast<std::ptrdiff_t>(count), golden.end());
  engine::SamplingParams greedy;
  greedy.temperature = 0;
  std::vector<std::vector<TokenId>> continuations(golden.size());
  engine::SequenceId first = 0;
  for (const auto& entry : golden) {
    const auto id = (*engine)->submit(
        {.prompt = entry["prompt_tokens"].get<std::vector<TokenId>>(),
         .sampling = greedy,
         .max_tokens = static_cast<int>(entry["greedy_tokens"].size())}
    );
    ASSERT_TRUE(id.ok()) << id.error().message;
    if (first == 0) first = *id;
  }
  while (!(*engine)->idle()) {
    for (const engine::Output& output : (*engine)->step()) {
      continuations[output.sequence - first].push_back(output.sampled.token);
    }
  }
  for (std::size_t i = 0; i < golden.size(); ++i) {
    EXPECT_EQ(continuations[i], golden[i]["greedy_tokens"].get<std::vector<TokenId>>()) << i;
  }
}

// Under a sanitizer the double-precision loops take minutes for each continuation.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kReferencePilots = 1;
constexpr int kReferenceDemos = 1;
#else
constexpr int kReferencePilots = 24;
constexpr int kReferenceDemos = 2;
#endif

INSTANTIATE_TEST_SUITE_P(
    Models,
    TrainedTest,
    testing::Values(
        std::tuple(
            "tests/golden/pilot", "tests/golden/pilot/greedy.json", "reference", kReferencePilots
        ),
        std::tuple("tests/golden/pilot", "tests/golden/pilot/greedy.json", "cpu", 24),
        std::tuple("tests/golden/pilot", "tests/golden/pilot/greedy.json", "cpu_f16", 24),
        std::tuple("tests/golden/pilot", "tests/golden/pilot/greedy.json", "cuda", 24),
        std::tuple("data/demo", "tests/golden/demo_greedy.json", "reference", kReferenceDemos),
        std::tuple("data/demo", "tests/golden/demo_greedy.json", "cpu", 24),
        std::tuple("data/demo", "tests/golden/demo_greedy.json", "cpu_f16", 24),
        std::tuple("data/demo", "tests/golden/demo_greedy.json", "cuda", 24)
    )
);

}  // namespace
}  // namespace gossamer::end_to_end
