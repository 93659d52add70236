#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// x[t] = embedding[tokens[t]]. Tokens must be below the number of rows.
struct EmbedArgs {
  const std::int32_t* tokens;      // [num_tokens]
  const __nv_bfloat16* embedding;  // [vocab_size, hidden_size]
  float* x;                        // [num_tokens, hidden_size]
  int num_tokens;
  int hidden_size;
};

void launch_embed(const EmbedArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
