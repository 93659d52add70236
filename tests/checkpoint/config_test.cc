#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "checkpoint/synthetic_spec.h"

namespace gossamer::checkpoint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ConfigTest, TheReleasedModelsAreValid) {
  EXPECT_TRUE(validate(config_20b(), "20b").ok());
  EXPECT_TRUE(validate(config_120b(), "120b").ok());
}

TEST(ConfigTest, LayersAlternateAndTheFirstSlides) {
  EXPECT_THAT(
      model::alternating_layer_types(3),
      ElementsAre(model::LayerType::kSliding, model::LayerType::kFull, model::LayerType::kSliding)
  );
}

TEST(ConfigTest, NotANumberIsRefused) {
  model::Config config = config_20b();
  config.rope_theta = std::numeric_limits<double>::quiet_NaN();
  const Status status = validate(config, "here");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("here: rope_theta is nan"));
}

TEST(ConfigTest, TheErrorNamesTheFieldAndWhatItMayBe) {
  model::Config config = config_20b();
  config.sliding_window = 0;
  const Status status = validate(config, "here");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(status.error().message, "here: sliding_window is 0, expected 1 to 1073741824");
}

}  // namespace
}  // namespace gossamer::checkpoint
