// Panels give the bits of one activation row after another, on every instruction set of this
// machine.

#include "kernels/cpu/panel_matmul.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <string>
#include <vector>

#include "tests/kernels/random_tensors.h"

namespace gossamer::kernels::cpu {
namespace {

class PanelMatmulTest : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam());
    scratch_.resize(panel_scratch_floats());
  }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  struct Size {
    std::size_t rows;
    std::size_t columns;
    std::size_t tokens;
  };

  /// What multiply(range, rows) writes into y, which begins as ones: all rows at once through
  /// `panels`, in ranges that cut through panels, and one by one through `singles`.
  template <class Panels, class Singles>
  void expect_equal(const Size& size, const Panels& panels, const Singles& singles) {
    const auto tokens = static_cast<std::int64_t>(size.tokens);
    const auto x = random_.activations({tokens, static_cast<std::int64_t>(size.columns)}, 1).second;
    std::vector<float> together(size.tokens * size.rows + 1, 1.0F);
    std::vector<float> alone = together;
    std::vector<const float*> from(size.tokens);
    std::vector<float*> to(size.tokens);
    std::vector<float*> to_alone(size.tokens);
    for (std::size_t t = 0; t < size.tokens; ++t) {
      from[t] = x.as<float>() + t * size.columns;
      to[t] = together.data() + t * size.rows;
      to_alone[t] = alone.data() + t * size.rows;
    }
    const std::size_t cut = size.rows / 3;
    for (const RowRange range : {RowRange{0, cut}, RowRange{cut, size.rows}}) {
      if (range.begin < range.end) panels(range, Rows{from.data(), to.data(), size.tokens});
    }
    for (std::size_t t = 0; t < size.tokens; ++t) {
      singles(RowRange{0, size.rows}, Rows{&from[t], &to_alone[t], 1});
    }
    EXPECT_EQ(together, alone) << size.rows << " x " << size.columns << ", " << size.tokens;
  }

  std::vector<float> scratch_;
  RandomTensors random_{7};
};

TEST_P(PanelMatmulTest, Bf16EqualsRowsAlone) {
  for (const std::size_t columns : {1, 7, 8, 15, 64, 250, 256, 257, 530}) {
    for (const std::size_t rows : {1, 15, 16, 17, 33, 64}) {
      for (const std::size_t tokens : {1, 2, 5, 6, 7, 11, 32, 48, 49, 100}) {
        const Linear layer =
            random_.linear(static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns));
        const bool biased = tokens % 2 == 1;
        const Bf16Matrix matrix{
            layer.weight.as<BFloat16>(), biased ? layer.bias.as<BFloat16>() : nullptr, columns};
        const Store store = biased ? Store::kAdd : Store::kAssign;
        expect_equal(
            {rows, columns, tokens},
            [&](RowRange range, const Rows& part) {
              panel_matmul_bf16(matrix, range, part, store, scratch_.data());
            },
            [&](RowRange range, const Rows& part) {
              matmul_bf16(matrix, range, part, store, scratch_.data());
            }
        );
      }
    }
  }
}

TEST_P(PanelMatmulTest, Mxfp4EqualsRowsAlone) {
  for (const std::size_t columns : {32, 64, 256, 288, 544}) {
    for (const std::size_t rows : {1, 16, 17, 64}) {
      for (const std::size_t tokens : {1, 5, 7, 12, 49}) {
        const ExpertLinear layer =
            random_.experts(1, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns));
        const Mxfp4Matrix matrix{
            layer.weight.blocks.as<std::uint8_t>(),
            layer.weight.scales.as<std::uint8_t>(),
            layer.bias.as<BFloat16>(),
            columns};
        expect_equal(
            {rows, columns, tokens},
            [&](RowRange range, const Rows& part) {
              panel_matmul_mxfp4(matrix, range, part, Store::kAssign, scratch_.data());
            },
            [&](RowRange range, const Rows& part) {
              matmul_mxfp4(matrix, range, part, Store::kAssign, scratch_.data());
            }
        );
      }
    }
  }
}

TEST_P(PanelMatmulTest, EveryCodeAndScaleEqualsRowsAlone) {
  std::vector<std::uint8_t> blocks(16);
  for (std::size_t k = 0; k < 16; ++k) blocks[k] = static_cast<std::uint8_t>(k | ((15 - k) << 4));
  for (int scale = 0; scale < 240; ++scale) {
    const auto byte = static_cast<std::uint8_t>(scale);
    const Mxfp4Matrix matrix{blocks.data(), &byte, nullptr, 32};
    expect_equal(
        {1, 32, 6},
        [&](RowRange range, const Rows& part) {
          panel_matmul_mxfp4(matrix, range, part, Store::kAssign, scratch_.data());
        },
        [&](RowRange range, const Rows& part) {
          matmul_mxfp4(matrix, range, part, Store::kAssign, scratch_.data());
        }
    );
  }
}

INSTANTIATE_TEST_SUITE_P(
    InstructionSets,
    PanelMatmulTest,
    testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
    [](const auto& test) { return std::string(hwy::TargetName(test.param)); }
);

}  // namespace
}  // namespace gossamer::kernels::cpu
