#include "kernels/cuda/step_recordings.cuh"
#include "kernels/cuda/step_upload.cuh"

namespace gossamer::kernels::cuda {
namespace {

// A larger step takes the device longer than it takes the host to launch it.
constexpr int kMaxRecordedSequences = 64;

}  // namespace

void StepRecordings::run(const Step& step, cudaStream_t stream, const std::function<void()>& ops) {
  if (!is_decode_step(step) || step.num_tokens() > kMaxRecordedSequences) return ops();
  const Shape shape{step.num_tokens(), step.num_logit_rows(), step.full.max_context_len};
  const auto [entry, is_new] = recordings_.try_emplace(shape);
  if (is_new) return ops();
  GraphExec& recording = entry->second;
  if (!recording) recording = record(stream, ops);
  check(cudaGraphLaunch(recording.get(), stream), "cudaGraphLaunch");
}

}  // namespace gossamer::kernels::cuda
