// Runs the fuzzers' inputs, found and seeded, in the normal build: a crash once found stays fixed.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace gossamer {
namespace {

TEST(CorpusReplayTest, EveryInputIsHandled) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(GOSSAMER_FUZZ_CORPUS)) {
    std::ostringstream content;
    content << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    const std::string input = content.str();
    SCOPED_TRACE(entry.path().string());
    EXPECT_EQ(
        LLVMFuzzerTestOneInput(
            reinterpret_cast<const std::uint8_t*>(input.data()),  // NOLINT
            input.size()
        ),
        0
    );
    ++inputs;
  }
  EXPECT_GT(inputs, 0) << "no inputs in " << GOSSAMER_FUZZ_CORPUS;
}

}  // namespace
}  // namespace gossamer
