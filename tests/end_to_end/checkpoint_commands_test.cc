// `gossamer inspect` and `gossamer synthesize`, as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/end_to_end/program.h"

namespace gossamer::end_to_end {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A directory for the files of a test.
class CheckpointCommandsTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(testing::TempDir()) / (std::string("gossamer_") + info->name());
    fs::remove_all(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string directory() const { return directory_.string(); }

  fs::path directory_;
};

constexpr const char* kSmall =
    "layers=2,experts=4,hidden=96,intermediate=64,heads=4,kv_heads=2,head_dim=32,vocab=512";

TEST(InspectTest, ShowsWhatACheckpointIsMadeOf) {
  const Outcome outcome = run("gossamer inspect " + golden("pilot"));
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_THAT(
      outcome.output,
      AllOf(
          HasSubstr("Hugging Face"),
          HasSubstr("pilot/model.safetensors"),
          HasSubstr("tokenizer.json"),
          HasSubstr("13,591,904"),
          HasSubstr("8 a layer, 4 of them a token"),
          Not(HasSubstr("warning"))
      )
  );
}

TEST(InspectTest, KnowsTheReleasedModelsWithoutMakingThem) {
  EXPECT_THAT(
      run("gossamer inspect synthetic:20b").output,
      AllOf(HasSubstr("20,914,757,184"), HasSubstr("3.61 B"), HasSubstr("13.76 GB"))
  );
  EXPECT_THAT(
      run("gossamer inspect synthetic:120b").output,
      AllOf(HasSubstr("116,829,156,672"), HasSubstr("5.13 B"), HasSubstr("65.25 GB"))
  );
}

TEST(InspectTest, PrintsJsonForPrograms) {
  const Outcome outcome = run("gossamer inspect --json --tensors " + golden("tiny/original"));
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  const auto document = nlohmann::json::parse(outcome.output);
  EXPECT_EQ(document["layout"], "original");
  EXPECT_EQ(document["config"]["num_experts"], 8);
  EXPECT_EQ(document["warnings"].size(), 0U);
  EXPECT_EQ(document["tensors"].size(), 4U * 15 + 3);
  EXPECT_EQ(document["tensors"][0]["name"], "block.0.attn.norm.scale");
  EXPECT_EQ(document["tensors"][0]["bytes"], 384);
}

TEST(InspectTest, ListsTheTensors) {
  EXPECT_THAT(
      run("gossamer inspect --tensors " + golden("tiny/hf")).output,
      AllOf(HasSubstr("model.layers.3.self_attn.sinks"), HasSubstr("[8, 320, 6, 16]"))
  );
}

TEST(InspectTest, ChecksScalesWhenAsked) {
  EXPECT_EQ(run("gossamer inspect --verify " + golden("small/hf")).status, 0);
}

TEST(InspectTest, FailsWithAnErrorForWhatIsNoModel) {
  const Outcome outcome = run("gossamer inspect /nonexistent");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("gossamer: /nonexistent: no such file or directory"));
}

TEST_F(CheckpointCommandsTest, ACheckpointIsWrittenAndReadBack) {
  for (const std::string layout : {"hf", "original"}) {
    const std::string target = directory() + "/" + layout;
    const Outcome written =
        run("gossamer synthesize " + std::string(kSmall) + " " + target + " --layout " + layout);
    EXPECT_EQ(written.status, 0) << written.output;
    EXPECT_EQ(run("gossamer inspect --verify " + target).status, 0);
  }
}

TEST_F(CheckpointCommandsTest, FilesAreOverwrittenOnlyByForce) {
  const std::string command = "gossamer synthesize " + std::string(kSmall) + " " + directory();
  EXPECT_EQ(run(command).status, 0);
  const Outcome refused = run(command);
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.output, AllOf(HasSubstr("the file exists"), HasSubstr("--force")));
  EXPECT_EQ(run(command + " --force").status, 0);
}

TEST_F(CheckpointCommandsTest, RunningOutOfRoomIsAnErrorThatLeavesNothing) {
  // The shell's unit is 1024 bytes: less than the model, as on a disk that fills up.
  const Outcome refused =
      run("ulimit -f 100; gossamer synthesize " + std::string(kSmall) + " " + directory());
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("model.safetensors: cannot write: File too large"));
  EXPECT_TRUE(fs::is_empty(directory()));
}

TEST_F(CheckpointCommandsTest, HelpTeachesWithExamples) {
  EXPECT_THAT(
      run("gossamer synthesize --help").output,
      AllOf(HasSubstr("gossamer synthesize 20b"), HasSubstr("num_hidden_layers (layers)"))
  );
  EXPECT_THAT(run("gossamer inspect --help").output, HasSubstr("gossamer inspect synthetic:120b"));
}

}  // namespace
}  // namespace gossamer::end_to_end
