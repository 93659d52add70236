// Ragged steps on the CUDA backend: their index arrays, attention and what leads to it, and
// recordings.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tests/kernels/cuda/cuda_backend_fixture.cuh"

namespace gossamer::kernels::cuda {
namespace {

using testing::ElementsAreArray;

constexpr int kHeadDim = 64;

/// Sequences of a step: (new tokens, context length).
using Ragged = std::vector<std::pair<int, int>>;

const Ragged kPrefill = {{5, 5}, {1, 17}, {16, 33}, {3, 300}, {1, 512}, {20, 20}, {1, 1}};
const Ragged kDecode = {{1, 1}, {1, 17}, {1, 300}, {1, 128}, {1, 129}, {1, 600}};

/// A group's blocks, in any order.
struct Group {
  std::vector<std::int32_t> slot_mapping;  // of the new tokens
  std::vector<std::int32_t> all_slots;     // of every position, sequence by sequence
  std::vector<BlockId> block_table;
  std::vector<std::int32_t> block_table_starts{0};

  Group(const Ragged& sequences, RandomTensors& random) {
    for (const auto& [count, context] : sequences) {
      const int blocks = (context + kBlockSize - 1) / kBlockSize;
      block_table_starts.push_back(block_table_starts.back() + blocks);
    }
    block_table.resize(static_cast<std::size_t>(block_table_starts.back()));
    std::iota(block_table.begin(), block_table.end(), 0);
    std::shuffle(block_table.begin(), block_table.end(), random.random());
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const auto [count, context] = sequences[s];
      for (int position = 0; position < context; ++position) {
        const int index = block_table_starts[s] + position / kBlockSize;
        const BlockId block = block_table[static_cast<std::size_t>(index)];
        all_slots.push_back(block * kBlockSize + position % kBlockSize);
        if (position >= context - count) slot_mapping.push_back(all_slots.back());
      }
    }
  }

  GroupInputs inputs() const { return {slot_mapping, block_table, block_table_starts}; }
};

/// The index arrays of a step.
struct RaggedStep {
  std::vector<TokenId> tokens;
  std::vector<std::int32_t> positions;
  std::vector<std::int32_t> logit_rows;
  std::vector<std::int32_t> cu_seqlens_q{0};
  std::vector<std::int32_t> context_lens;
  Group full;
  Group sliding;

  RaggedStep(const Ragged& sequences, RandomTensors& random)
      : full(sequences, random), sliding(sequences, random) {
    for (const auto& [count, context] : sequences) {
      for (int position = context - count; position < context; ++position) {
        tokens.push_back(static_cast<TokenId>(random.random()() % 1000));
        positions.push_back(position);
      }
      cu_seqlens_q.push_back(cu_seqlens_q.back() + count);
      context_lens.push_back(context);
      logit_rows.push_back(cu_seqlens_q.back() - 1);
    }
  }

  StepInputs inputs() const {
    return {
        .tokens = tokens,
        .positions = positions,
        .logit_rows = logit_rows,
        .cu_seqlens_q = cu_seqlens_q,
        .context_lens = context_lens,
        .full = full.inputs(),
        .sliding = sliding.inputs(),
    };
  }
  std::int64_t num_tokens() const { return cu_seqlens_q.back(); }
};

class CudaStepTest : public CudaBackendFixture {
 protected:
  std::vector<std::int32_t> read(View view) {
    const View host = backend_->read(view);
    const auto* begin = host.as<std::int32_t>();
    return {begin, begin + host.shape().num_elements()};
  }

  void expect_group(const AttentionBatch& batch, const Group& group) {
    EXPECT_THAT(read(batch.slot_mapping), ElementsAreArray(group.slot_mapping));
    const auto table = read(batch.block_table);
    const auto starts = read(batch.block_table_starts);
    ASSERT_EQ(starts.size(), group.block_table_starts.size());
    for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
      EXPECT_TRUE(std::equal(
          table.begin() + starts[s],
          table.begin() + starts[s + 1],
          group.block_table.begin() + group.block_table_starts[s],
          group.block_table.begin() + group.block_table_starts[s + 1]
      ));
    }
  }

  /// Keys and values of a layer, not numbers where nothing was stored.
  std::pair<KvLayer, KvLayer> caches(std::int64_t blocks, std::int64_t kv_heads) {
    const tensor::Shape shape{blocks, kv_heads, kBlockSize, kHeadDim};
    const Twin keys = output(DType::kBF16, shape);
    const Twin values = output(DType::kBF16, shape);
    return {{keys.device, values.device}, {keys.host, values.host}};
  }
};

TEST_F(CudaStepTest, IndexArraysArriveForStepAfterStep) {
  // More steps than there are buffers, decode and other steps by turns.
  for (int i = 0; i < 7; ++i) {
    const RaggedStep ragged(i % 2 == 0 ? kPrefill : kDecode, random());
    const Step step = backend_->begin_step(ragged.inputs());
    EXPECT_THAT(read(step.tokens), ElementsAreArray(ragged.tokens));
    EXPECT_THAT(read(step.positions), ElementsAreArray(ragged.positions));
    EXPECT_THAT(read(step.logit_rows), ElementsAreArray(ragged.logit_rows));
    EXPECT_THAT(read(step.full.cu_seqlens_q), ElementsAreArray(ragged.cu_seqlens_q));
    EXPECT_THAT(read(step.sliding.context_lens), ElementsAreArray(ragged.context_lens));
    expect_group(step.full, ragged.full);
    expect_group(step.sliding, ragged.sliding);
    EXPECT_EQ(step.num_tokens(), ragged.num_tokens());
    EXPECT_EQ(step.full.num_sequences, static_cast<int>(ragged.context_lens.size()));
    EXPECT_EQ(step.full.max_query_len, i % 2 == 0 ? 20 : 1);
    EXPECT_GE(step.full.max_context_len, i % 2 == 0 ? 512 : 600);
  }
}

TEST_F(CudaStepTest, AttentionMatchesOverRaggedStepsAndWindows) {
  for (const Ragged& sequences : {kPrefill, kDecode}) {
    for (const auto& [heads, kv_heads] : {std::pair{16, 2}, {8, 2}, {64, 8}}) {
      for (const int window : {0, 32, 128}) {
        const RaggedStep ragged(sequences, random());
        const Group& group = window > 0 ? ragged.sliding : ragged.full;
        const auto [device_kv, host_kv] =
            caches(static_cast<std::int64_t>(group.block_table.size()), kv_heads);
        const tensor::Shape kv_shape{
            static_cast<std::int64_t>(group.all_slots.size()), kv_heads, kHeadDim};
        const Twin k = normal(DType::kBF16, kv_shape);
        const Twin v = normal(DType::kBF16, kv_shape);
        const tensor::Shape q_shape{ragged.num_tokens(), heads, kHeadDim};
        const Twin q = normal(DType::kBF16, q_shape, 2);
        const Twin out = output(DType::kBF16, q_shape);
        const View sinks = random().bf16({heads}, 2);
        const auto attend =
            [&, window = window](
                Backend& backend, const KvLayer& kv, View q, View sinks, MutableView out
            ) {
              const Step step = backend.begin_step(ragged.inputs());
              backend.attention(
                  {.q = q,
                   .sinks = sinks,
                   .kv = kv,
                   .batch = window > 0 ? &step.sliding : &step.full,
                   .sliding_window = window,
                   .out = out}
              );
            };
        backend_->store_kv(k.device, v.device, tensors_->indices(group.all_slots), device_kv);
        reference_.store_kv(k.host, v.host, random().indices(group.all_slots), host_kv);
        attend(*backend_, device_kv, q.device, tensors_->upload(sinks), out.device);
        attend(reference_, host_kv, q.host, sinks, out.host);
        EXPECT_LE(error(out), kSomeRoundings)
            << heads << " heads, window " << window << ", " << ragged.num_tokens() << " tokens";
      }
    }
  }
}

/// Runs project_qkv for all tokens of a step that begins every sequence, and attention over what it
/// stored.
struct QkvRun {
  const LayerWeights& layer;
  View table;
  KvLayer kv;
  MutableView normed, q, k, v, out;

  void operator()(Backend& backend, const RaggedStep& ragged, View x) const {
    const Step step = backend.begin_step(ragged.inputs());
    backend.project_qkv(
        {.x = x,
         .norm = layer.attn_norm,
         .rms_norm_eps = 1e-5,
         .q_proj = layer.q,
         .k_proj = layer.k,
         .v_proj = layer.v,
         .rope_table = table,
         .kv = kv,
         .slot_mapping = step.full.slot_mapping,
         .normed = normed,
         .q = q,
         .k = k,
         .v = v}
    );
    backend.attention({.q = q, .sinks = layer.sinks, .kv = kv, .batch = &step.full, .out = out});
  }
};

TEST_F(CudaStepTest, ProjectQkvAndAttentionMatchTheReferenceComposition) {
  constexpr std::int64_t kHidden = 192;
  for (const auto& [heads, kv_heads] : {std::pair{16, 2}, {8, 2}}) {
    Weights host;
    LayerWeights& layer = host.layers.emplace_back();
    layer.attn_norm = random().bf16({kHidden}, 1);
    layer.q = random().linear(heads * kHeadDim, kHidden);
    layer.k = random().linear(kv_heads * kHeadDim, kHidden);
    layer.v = random().linear(kv_heads * kHeadDim, kHidden);
    layer.sinks = random().bf16({heads}, 1);
    const Weights device = tensors_->load(host);
    for (const Ragged& sequences : {Ragged{{1, 1}}, {{7, 7}, {1, 1}, {40, 40}}, {{130, 130}}}) {
      const RaggedStep ragged(sequences, random());
      const std::int64_t tokens = ragged.num_tokens();
      const auto [device_kv, host_kv] =
          caches(static_cast<std::int64_t>(ragged.full.block_table.size()), kv_heads);
      const Twin x = normal(DType::kF32, {tokens, kHidden});
      const Twin table = normal(DType::kF32, {tokens, kHeadDim}, 0.5F);
      const Twin normed = output(DType::kBF16, {tokens, kHidden});
      const Twin q = output(DType::kBF16, {tokens, heads, kHeadDim});
      const Twin k = output(DType::kBF16, {tokens, kv_heads, kHeadDim});
      const Twin v = output(DType::kBF16, {tokens, kv_heads, kHeadDim});
      const Twin out = output(DType::kBF16, {tokens, heads, kHeadDim});
      QkvRun{
          device.layers[0],
          table.device,
          device_kv,
          normed.device,
          q.device,
          k.device,
          v.device,
          out.device}(*backend_, ragged, x.device);
      QkvRun{layer, table.host, host_kv, normed.host, q.host, k.host, v.host, out.host}(
          reference_, ragged, x.host
      );
      EXPECT_LE(error(q), kSomeRoundings) << heads << " heads, " << tokens << " tokens";
      // The error of a score is that of its query and its key, and the score an exponent.
      EXPECT_LE(error(out), 3 * kSomeRoundings) << heads << " heads, " << tokens << " tokens";
    }
  }
}

TEST_F(CudaStepTest, DecodeStepsOfAShapeAreReplayedWithTheirOwnIndices) {
  const View embedding = random().bf16({1000, 96}, 1);
  const View device_embedding = tensors_->upload(embedding);
  const Twin x = output(DType::kF32, {6, 96});
  const Twin rows = output(DType::kF32, {6, 96});
  int calls = 0;
  for (int i = 0; i < 5; ++i) {
    const RaggedStep ragged(kDecode, random());
    const Step step = backend_->begin_step(ragged.inputs());
    backend_->run(step, [&] {
      ++calls;
      backend_->embed(step.tokens, device_embedding, x.device);
      backend_->gather_rows(x.device, step.logit_rows, rows.device);
    });
    reference_.embed(reference_.begin_step(ragged.inputs()).tokens, embedding, rows.host);
    EXPECT_EQ(error(rows), 0) << i;
  }
  EXPECT_EQ(calls, 2);  // once as they are, once to record
  // New memory may be where recorded addresses point to.
  ASSERT_TRUE(backend_->allocate(100).ok());
  const RaggedStep ragged(kDecode, random());
  backend_->run(backend_->begin_step(ragged.inputs()), [&] { ++calls; });
  EXPECT_EQ(calls, 3);
}

TEST_F(CudaStepTest, OtherStepsRunEveryTime) {
  int calls = 0;
  for (int i = 0; i < 3; ++i) {
    const RaggedStep ragged(kPrefill, random());
    backend_->run(backend_->begin_step(ragged.inputs()), [&] { ++calls; });
  }
  EXPECT_EQ(calls, 3);
}

TEST_F(CudaStepTest, SampleTakesTheLargestAtTemperatureZero) {
  const Twin logits = normal(DType::kF32, {5, kLimits.vocab_size});
  SampleRow greedy;
  greedy.temperature = 0;
  const std::vector<SampleRow> rows(5, greedy);
  ASSERT_TRUE(backend_->can_sample(rows[0]));
  std::vector<SampleResult> results(5);
  backend_->sample(logits.device, rows, results);
  for (std::int64_t row = 0; row < 5; ++row) {
    const double* values = logits.host.as<double>() + row * kLimits.vocab_size;
    const double* largest = std::max_element(values, values + kLimits.vocab_size);
    EXPECT_EQ(results[static_cast<std::size_t>(row)].token, largest - values);
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
