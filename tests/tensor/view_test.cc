#include "tensor/view.h"

#include <gtest/gtest.h>

#include <vector>

namespace gossamer::tensor {
namespace {

TEST(ShapeTest, CountsTheElementsOfEveryRank) {
  EXPECT_EQ(Shape().num_elements(), 1);
  EXPECT_EQ(Shape({7}).num_elements(), 7);
  EXPECT_EQ(Shape({32, 5760, 90, 16}).num_elements(), 265'420'800);
  EXPECT_EQ(Shape({3, 0, 5}).num_elements(), 0);
}

TEST(ShapeTest, IsWrittenOutermostFirst) {
  EXPECT_EQ(Shape({32, 5760, 90, 16}).to_string(), "[32, 5760, 90, 16]");
  EXPECT_EQ(Shape().to_string(), "[]");
}

TEST(ShapeTest, EqualityLooksAtRankAndExtents) {
  EXPECT_EQ(Shape({2, 3}), Shape({2, 3}));
  EXPECT_NE(Shape({2, 3}), Shape({3, 2}));
  EXPECT_NE(Shape({2}), Shape({2, 0}));
}

TEST(ViewTest, RowsAreAStretchOfTheOutermostAxis) {
  std::vector<float> values(24);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const View view(
      reinterpret_cast<const std::byte*>(values.data()), DType::kF32, Shape({4, 2, 3})  // NOLINT
  );
  const View middle = view.rows(1, 3);
  EXPECT_EQ(middle.shape(), Shape({2, 2, 3}));
  EXPECT_EQ(middle.size_bytes(), 12 * sizeof(float));
  EXPECT_EQ(middle.as<float>()[0], 6.0F);
  EXPECT_EQ(view.rows(4, 4).size_bytes(), 0U);
}

TEST(ViewTest, AnEmptyViewHasNoBytes) {
  EXPECT_TRUE(View().empty());
  EXPECT_EQ(View().size_bytes(), 0U);
}

TEST(ViewDeathTest, ElementsOfAnotherTypeAreRefused) {
  const std::byte byte{};
  const View view(&byte, DType::kU8, Shape({1}));
  EXPECT_DEATH(static_cast<void>(view.as<float>()), "does not hold");
  EXPECT_DEATH(static_cast<void>(view.rows(0, 2)), "does not hold");
}

}  // namespace
}  // namespace gossamer::tensor
