// Every operation of the CUDA backend against the double-precision one, over edge shapes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/devices.h"
#include "tests/kernels/cuda/cuda_backend_fixture.cuh"

namespace gossamer::kernels::cuda {
namespace {

using testing::HasSubstr;

const std::vector<std::int64_t> kTokens = {1, 2, 7, 8, 9, 16, 17, 33, 70, 129, 300};

using CudaBackendTest = CudaBackendFixture;

TEST_F(CudaBackendTest, SaysWhatItRunsOn) {
  EXPECT_EQ(backend_->name(), "cuda");
  EXPECT_THAT(backend_->description(), HasSubstr(" SMs, "));
  EXPECT_THAT(backend_->description(), HasSubstr("CUDA " + cuda_version()));
}

TEST_F(CudaBackendTest, ADeviceThatIsNotThereIsNamed) {
  for (const int device : {-1, 99}) {
    const auto backend = create_cuda_backend({.device = device});
    ASSERT_FALSE(backend.ok());
    EXPECT_EQ(backend.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(backend.error().message, HasSubstr(std::to_string(device)));
  }
}

TEST_F(CudaBackendTest, MemoryIsZeroedAndMissesAreErrors) {
  const auto buffer = backend_->allocate(1000);
  ASSERT_TRUE(buffer.ok());
  const View read = backend_->read((*buffer)->view(0, DType::kU8, {1000}));
  EXPECT_EQ(std::count(read.data(), read.data() + 1000, std::byte{0}), 1000);
  const std::uint64_t free_bytes = backend_->free_memory_bytes().value();
  const auto too_large = backend_->allocate(free_bytes + (std::size_t{1} << 30U));
  ASSERT_FALSE(too_large.ok());
  EXPECT_EQ(too_large.error().code, ErrorCode::kOutOfMemory);
  EXPECT_TRUE(backend_->allocate(free_bytes / 2).ok());  // the miss left nothing behind
}

TEST_F(CudaBackendTest, CopiesInsideItsMemory) {
  const auto buffer = backend_->allocate(256);
  ASSERT_TRUE(buffer.ok());
  std::vector<std::byte> bytes(64, std::byte{7});
  ASSERT_EQ(
      cudaMemcpy((*buffer)->view(0, DType::kU8, {64}).data(), bytes.data(), 64, cudaMemcpyDefault),
      cudaSuccess
  );
  backend_->copy((*buffer)->view(0, DType::kU8, {64}), (*buffer)->view(128, DType::kU8, {64}));
  const View read = backend_->read((*buffer)->view(0, DType::kU8, {256}));
  EXPECT_EQ(std::count(read.data(), read.data() + 256, std::byte{7}), 128);
  EXPECT_EQ(std::count(read.data() + 128, read.data() + 192, std::byte{7}), 64);
}

TEST_F(CudaBackendTest, MeasuresItsMemory) {
  const auto rate = backend_->measure_read_bandwidth();
  ASSERT_TRUE(rate.ok()) << rate.error().message;
  EXPECT_GT(*rate, 50e9);
  backend_->synchronize();
}

TEST_F(CudaBackendTest, EmbedWidensTheRowsAsked) {
  const View embedding = random().bf16({50, 96}, 1);
  const std::vector<std::int32_t> tokens = {0, 49, 7, 7};
  const Twin x = output(DType::kF32, {4, 96});
  backend_->embed(tensors_->indices(tokens), tensors_->upload(embedding), x.device);
  reference_.embed(random().indices(tokens), embedding, x.host);
  EXPECT_EQ(error(x), 0);
}

TEST_F(CudaBackendTest, RmsNormMatchesInBothDtypes) {
  for (const std::int64_t hidden : {192, 288, 2880}) {
    const View scale = random().bf16({hidden}, 1);
    const Twin x = normal(DType::kF32, {9, hidden}, 3);
    for (const auto& [dtype, tolerance] :
         {std::pair{DType::kF32, kFloat}, {DType::kBF16, kOneRounding}}) {
      const Twin y = output(dtype, {9, hidden});
      backend_->rms_norm(x.device, tensors_->upload(scale), 1e-5, y.device);
      reference_.rms_norm(x.host, scale, 1e-5, y.host);
      EXPECT_LE(error(y), tolerance) << hidden;
    }
  }
}

TEST_F(CudaBackendTest, LinearMatchesInBothDtypes) {
  for (const auto& [out, in] : {std::pair{8, 192}, {192, 512}, {32, 2880}, {640, 288}}) {
    const Linear host = random().linear(out, in);
    const Linear device = tensors_->load(host);
    for (const std::int64_t tokens : kTokens) {
      const Twin x = normal(DType::kBF16, {tokens, in});
      for (const auto& [dtype, tolerance] :
           {std::pair{DType::kF32, kFloat}, {DType::kBF16, kOneRounding}}) {
        const Twin y = output(dtype, {tokens, out});
        backend_->linear(x.device, device, y.device);
        reference_.linear(x.host, host, y.host);
        EXPECT_LE(error(y), tolerance) << in << " -> " << out << ", " << tokens << " tokens";
      }
    }
  }
}

TEST_F(CudaBackendTest, LinearAddAddsInFloat) {
  const Linear host = random().linear(288, 512);
  const Linear device = tensors_->load(host);
  for (const std::int64_t tokens : kTokens) {
    const Twin y = normal(DType::kBF16, {tokens, 512});
    const Twin x = normal(DType::kF32, {tokens, 288});
    const Twin scratch = output(DType::kF32, {tokens, 288});
    backend_->linear_add(y.device, device, scratch.device, x.device);
    reference_.linear_add(y.host, host, scratch.host, x.host);
    EXPECT_LE(error(x), kFloat) << tokens;
  }
}

TEST_F(CudaBackendTest, UnembedMatches) {
  for (const std::int64_t vocab : {1024, 4160}) {
    const View host = random().bf16({vocab, 192}, 0.1F);
    Weights weights;
    weights.unembedding = host;
    const View device = tensors_->load(weights).unembedding;
    for (const std::int64_t rows : {1, 5, 64, 300}) {
      const Twin x = normal(DType::kBF16, {rows, 192});
      const Twin logits = output(DType::kF32, {rows, vocab});
      const auto expected = random().make(DType::kF32, {rows, vocab});
      backend_->unembed(x.device, device, logits.device);
      reference_.unembed(x.host, host, expected);
      EXPECT_LE(relative_error(backend_->read(logits.device), expected), kFloat) << rows;
    }
  }
}

TEST_F(CudaBackendTest, AddGatherAndCombineMatch) {
  const Twin y = normal(DType::kF32, {12, 192});
  const Twin weights = normal(DType::kF32, {3, 4});
  const Twin x = normal(DType::kF32, {3, 192});
  backend_->combine_experts(y.device, weights.device, x.device);
  reference_.combine_experts(y.host, weights.host, x.host);
  EXPECT_LE(error(x), kFloat);
  backend_->add(View(y.device).rows(2, 5), x.device);
  reference_.add(View(y.host).rows(2, 5), x.host);
  EXPECT_LE(error(x), kFloat);
  const std::vector<std::int32_t> rows = {2, 0};
  const Twin out = output(DType::kF32, {2, 192});
  backend_->gather_rows(x.device, tensors_->indices(rows), out.device);
  reference_.gather_rows(x.host, random().indices(rows), out.host);
  EXPECT_LE(error(out), kFloat);
}

TEST_F(CudaBackendTest, SwigluClamps) {
  const Twin x = normal(DType::kF32, {5, 320}, 6);
  const Twin y = output(DType::kBF16, {5, 160});
  backend_->swiglu(x.device, 7, y.device);
  reference_.swiglu(x.host, 7, y.host);
  EXPECT_LE(error(y), kOneRounding);
}

TEST_F(CudaBackendTest, RouteMatches) {
  for (const std::int64_t experts : {8, 16, 32}) {
    const Twin logits = normal(DType::kF32, {40, experts});
    const Twin weights = output(DType::kF32, {40, 4});
    const View ids = tensors_->indices(std::vector<std::int32_t>(160, -1));
    const auto expected_ids = random().make(DType::kI32, {160});
    const MutableView writable(const_cast<std::byte*>(ids.data()), DType::kI32, {160});
    backend_->route(logits.device, writable, weights.device);
    reference_.route(logits.host, expected_ids, weights.host);
    EXPECT_LE(error(weights), kFloat);
    const auto* read = backend_->read(ids).as<std::int32_t>();
    EXPECT_TRUE(std::equal(read, read + 160, expected_ids.as<std::int32_t>())) << experts;
  }
}

TEST_F(CudaBackendTest, RopeMatchesAtFarPositions) {
  std::vector<double> frequencies(32);
  for (std::size_t i = 0; i < 32; ++i) {
    frequencies[i] = std::pow(150000.0, -static_cast<double>(i) / 32);
  }
  const Rope rope{frequencies, 1.3465735902799727};
  const std::vector<std::int32_t> positions = {0, 1, 127, 4096, 131071};
  const Twin table = output(DType::kF32, {5, 64});
  backend_->rope_table(tensors_->indices(positions), rope, table.device);
  reference_.rope_table(random().indices(positions), rope, table.host);
  EXPECT_LE(error(table), kFloat);
  const Twin x = normal(DType::kBF16, {5, 8, 64});
  backend_->rotate(table.device, x.device);
  reference_.rotate(table.host, x.host);
  EXPECT_LE(error(x), kOneRounding);
}

TEST_F(CudaBackendTest, ExpertLinearMatchesForSharedAndOwnRows) {
  for (const auto& [out, in] : {std::pair{192, 320}, {320, 192}, {96, 160}}) {
    const ExpertLinear host = random().experts(8, out, in);
    const ExpertLinear device = tensors_->load(host);
    for (const std::int64_t tokens : kTokens) {
      std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens) * 4);
      // Two experts get nothing, and one gets most.
      for (std::int32_t& id : ids) id = std::max(0, static_cast<int>(random().random()() % 12) - 6);
      for (const std::int64_t x_rows : {tokens, tokens * 4}) {
        const Twin x = normal(DType::kBF16, {x_rows, in});
        const Twin y = output(DType::kF32, {tokens * 4, out});
        backend_->expert_linear(x.device, tensors_->indices(ids), device, y.device);
        reference_.expert_linear(x.host, random().indices(ids), host, y.host);
        EXPECT_LE(error(y), kFloat)
            << in << " -> " << out << ", " << tokens << " tokens, " << x_rows << " rows";
      }
    }
  }
}

MoeArgs moe_args(
    const LayerWeights& layer, MutableView x, const std::vector<MutableView>& scratch
) {
  return {
      .x = x,
      .norm = layer.mlp_norm,
      .rms_norm_eps = 1e-5,
      .router = layer.router,
      .gate_up = layer.gate_up,
      .down = layer.down,
      .swiglu_limit = 7,
      .normed = scratch[0],
      .router_logits = scratch[1],
      .expert_ids = scratch[2],
      .expert_weights = scratch[3],
      .gate_up_out = scratch[4],
      .hidden = scratch[5],
      .down_out = scratch[6],
  };
}

/// A step's memory for moe(), of both backends.
struct MoeScratch {
  std::vector<MutableView> device;
  std::vector<MutableView> host;

  MoeScratch(DeviceTensors& tensors, std::int64_t tokens, const LayerWeights& layer) {
    const std::int64_t experts = layer.router.weight.shape()[0];
    const std::int64_t hidden = layer.router.weight.shape()[1];
    const std::int64_t intermediate = layer.down.weight.columns();
    for (const Twin& twin : {
             tensors.output(DType::kBF16, {tokens, hidden}),
             tensors.output(DType::kF32, {tokens, experts}),
             tensors.output(DType::kI32, {tokens * 4}),
             tensors.output(DType::kF32, {tokens, 4}),
             tensors.output(DType::kF32, {tokens * 4, 2 * intermediate}),
             tensors.output(DType::kBF16, {tokens * 4, intermediate}),
             tensors.output(DType::kF32, {tokens * 4, hidden}),
         }) {
      device.push_back(twin.device);
      host.push_back(twin.host);
    }
    host[2] = tensors.random().make(DType::kI32, {tokens * 4});
  }
};

TEST_F(CudaBackendTest, MoeMatchesTheReferenceComposition) {
  constexpr std::int64_t kHidden = 192;
  constexpr std::int64_t kIntermediate = 160;
  Weights host;
  LayerWeights& layer = host.layers.emplace_back();
  layer.mlp_norm = random().bf16({kHidden}, 1);
  layer.router = random().linear(16, kHidden);
  layer.gate_up = random().experts(16, 2 * kIntermediate, kHidden);
  layer.down = random().experts(16, kHidden, kIntermediate);
  const Weights device = tensors_->load(host);
  for (const std::int64_t tokens : kTokens) {
    const Twin x = normal(DType::kF32, {tokens, kHidden});
    const MoeScratch scratch(*tensors_, tokens, layer);
    backend_->moe(moe_args(device.layers[0], x.device, scratch.device));
    reference_.moe(moe_args(layer, x.host, scratch.host));
    // Rounding may swap two experts of nearly the same logit; such tokens have another answer.
    const auto* ids = backend_->read(scratch.device[2]).as<std::int32_t>();
    const auto* expected_ids = scratch.host[2].as<std::int32_t>();
    std::vector<std::int64_t> same;
    for (std::int64_t t = 0; t < tokens; ++t) {
      if (std::equal(ids + 4 * t, ids + 4 * t + 4, expected_ids + 4 * t)) same.push_back(t);
    }
    EXPECT_GE(static_cast<double>(same.size()), 0.95 * static_cast<double>(tokens) - 1);
    EXPECT_LE(tensors_->error_of_rows(x, same), kSomeRoundings) << tokens << " tokens";
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
