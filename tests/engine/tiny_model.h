#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "kernels/cpu/cpu_backend.h"

namespace gossamer::engine {

/// The tiny golden checkpoint (a window of 32 positions) and a backend for it.
class TinyModel {
 public:
  TinyModel() : checkpoint_(open()) {}

  Result<std::unique_ptr<Engine>> try_make(const EngineOptions& options) {
    return Engine::create(checkpoint_.config(), checkpoint_.weights(), backend_, options);
  }
  /// An engine whose options must be good.
  std::unique_ptr<Engine> make(const EngineOptions& options) {
    return std::move(try_make(options)).value();
  }

  const checkpoint::Checkpoint& checkpoint() const { return checkpoint_; }
  kernels::Backend& backend() { return backend_; }

 private:
  static checkpoint::Checkpoint open() {
    return checkpoint::Checkpoint::open(std::string(GOSSAMER_GOLDEN_DIR) + "/tiny/hf").value();
  }

  checkpoint::Checkpoint checkpoint_;
  kernels::cpu::CpuBackend backend_{2};
};

inline Request greedy(std::vector<TokenId> prompt, int max_tokens) {
  SamplingParams sampling;
  sampling.temperature = 0;
  return {.prompt = std::move(prompt), .sampling = sampling, .max_tokens = max_tokens};
}

/// All the tokens of one request, which must be the only one.
inline std::vector<TokenId> run_alone(Engine& engine, Request request) {
  GOSSAMER_CHECK(engine.idle() && engine.submit(std::move(request)).ok());
  std::vector<TokenId> tokens;
  while (!engine.idle()) {
    for (const Output& output : engine.step()) tokens.push_back(output.sampled.token);
  }
  return tokens;
}

}  // namespace gossamer::engine
