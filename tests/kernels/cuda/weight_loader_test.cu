#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/cuda/pack_weights.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/weight_loader.cuh"
#include "tests/kernels/cuda/device_array.cuh"
#include "tests/kernels/cuda/small_weights.h"

namespace gossamer::kernels::cuda {
namespace {

using tensor::View;

std::vector<std::byte> download(const std::byte* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  check(cudaMemcpy(bytes.data(), data, size, cudaMemcpyDeviceToHost), "cudaMemcpy");
  return bytes;
}

std::vector<std::byte> host_bytes(View view) {
  return {view.data(), view.data() + view.size_bytes()};
}

void expect_as_released(View loaded, View host) {
  EXPECT_EQ(loaded.shape(), host.shape());
  EXPECT_TRUE(download(loaded.data(), host.size_bytes()) == host_bytes(host));
}

void expect_packed(View loaded, View host) {
  EXPECT_EQ(loaded.shape(), host.shape());
  const auto size = static_cast<std::size_t>(packed_bf16_bytes(host.shape()[0], host.shape()[1]));
  const DeviceArray<std::byte> rows(host_bytes(host));
  const DeviceArray<std::byte> packed(size);
  launch_pack_bf16(
      {reinterpret_cast<const std::uint16_t*>(rows.data()),
       packed.data(),
       host.shape()[0],
       host.shape()[1]},
      nullptr
  );
  EXPECT_TRUE(download(loaded.data(), size) == packed.download()) << host.shape().to_string();
}

void expect_linear(const Linear& loaded, const Linear& host) {
  expect_packed(loaded.weight, host.weight);
  expect_as_released(loaded.bias, host.bias);
}

void expect_experts(const ExpertLinear& loaded, const ExpertLinear& host) {
  const std::int64_t rows = host.weight.rows();
  const std::int64_t columns = host.weight.columns();
  const auto size = static_cast<std::size_t>(packed_fp4_bytes(rows, columns));
  const DeviceArray<std::byte> blocks(host_bytes(host.weight.blocks));
  const DeviceArray<std::byte> scales(host_bytes(host.weight.scales));
  for (std::int64_t e = 0; e < host.weight.num_matrices(); ++e) {
    const DeviceArray<std::byte> packed(size);
    launch_pack_fp4(
        {reinterpret_cast<const std::uint8_t*>(blocks.data()) + e * rows * columns / 2,
         reinterpret_cast<const std::uint8_t*>(scales.data()) + e * rows * columns / 32,
         packed.data(),
         rows,
         columns},
        nullptr
    );
    const std::byte* records = loaded.weight.blocks.data() + static_cast<std::size_t>(e) * size;
    EXPECT_TRUE(download(records, size) == packed.download()) << "expert " << e;
  }
  EXPECT_EQ(loaded.weight.scales.data(), loaded.weight.blocks.data());
  expect_as_released(loaded.bias, host.bias);
}

void expect_layer(const LayerWeights& loaded, const LayerWeights& host) {
  expect_as_released(loaded.attn_norm, host.attn_norm);
  expect_linear(loaded.q, host.q);
  expect_linear(loaded.k, host.k);
  expect_linear(loaded.v, host.v);
  expect_as_released(loaded.sinks, host.sinks);
  expect_linear(loaded.attn_out, host.attn_out);
  expect_as_released(loaded.mlp_norm, host.mlp_norm);
  expect_linear(loaded.router, host.router);
  expect_experts(loaded.gate_up, host.gate_up);
  expect_experts(loaded.down, host.down);
}

TEST(WeightLoaderTest, PiecesAndThreadsDoNotChangeWhatArrives) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  RandomTensors random(1);
  const Weights host = small_weights(random);
  for (const int num_threads : {1, 5}) {
    for (const std::size_t piece_bytes : {std::size_t{3000}, std::size_t{1} << 20U}) {
      const auto loaded = load_weights(host, {}, {num_threads, piece_bytes});
      ASSERT_TRUE(loaded.ok());
      expect_as_released(loaded->weights.embedding, host.embedding);
      for (std::size_t layer = 0; layer < host.layers.size(); ++layer) {
        expect_layer(loaded->weights.layers[layer], host.layers[layer]);
      }
      expect_as_released(loaded->weights.norm, host.norm);
      expect_packed(loaded->weights.unembedding, host.unembedding);
    }
  }
}

TEST(WeightLoaderTest, ProgressEndsWithEverything) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  RandomTensors random(1);
  const Weights host = small_weights(random);
  std::uint64_t last = 0;
  const auto loaded = load_weights(host, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, released_bytes(host));
    EXPECT_GE(done, last);
    last = done;
  });
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(last, released_bytes(host));
}

TEST(WeightLoaderTest, WeightsTooLargeForTheDeviceSayHowMuchIsFree) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  RandomTensors random(1);
  Weights host = small_weights(random);
  // Address space only: the loader must refuse before it reads.
  host.unembedding = random.make(tensor::DType::kBF16, {std::int64_t{1} << 26U, 96 << 6U});
  const auto loaded = load_weights(host, {});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(loaded.error().message.find("are free"), std::string::npos) << loaded.error().message;
}

}  // namespace
}  // namespace gossamer::kernels::cuda
