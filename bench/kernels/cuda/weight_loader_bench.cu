// Loads weights of the released shapes, but fewer layers, from a file in the page cache:
//     weight_loader_bench [LAYERS [FOLDER]]
// Prints the time and rate of each way to cut and share the work. The bytes are random.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>

#include "base/mapped_file.h"
#include "base/stopwatch.h"
#include "kernels/cuda/read_bandwidth.h"
#include "kernels/cuda/weight_loader.cuh"

namespace gossamer::kernels::cuda {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::View;

constexpr std::int64_t kHidden = 2880;
constexpr std::int64_t kExperts = 32;
constexpr std::int64_t kVocabulary = 201088;

/// Views of a file's bytes, one behind another.
class FileWeights {
 public:
  explicit FileWeights(const std::byte* data) : data_(data) {}

  Weights make(int num_layers) {
    Weights weights;
    weights.embedding = bf16({kVocabulary, kHidden});
    for (int layer = 0; layer < num_layers; ++layer) {
      weights.layers.push_back(
          {.attn_norm = bf16({kHidden}),
           .q = linear(4096, kHidden),
           .k = linear(512, kHidden),
           .v = linear(512, kHidden),
           .sinks = bf16({64}),
           .attn_out = linear(kHidden, 4096),
           .mlp_norm = bf16({kHidden}),
           .router = linear(kExperts, kHidden),
           .gate_up = experts(2 * kHidden, kHidden),
           .down = experts(kHidden, kHidden)}
      );
    }
    weights.norm = bf16({kHidden});
    weights.unembedding = bf16({kVocabulary, kHidden});
    return weights;
  }

  std::size_t size_bytes() const { return offset_; }

 private:
  View take(DType dtype, Shape shape) {
    const View view(data_ + offset_, dtype, shape);
    offset_ += static_cast<std::size_t>(shape.num_elements()) * tensor::size_of(dtype);
    return view;
  }
  View bf16(Shape shape) { return take(DType::kBF16, shape); }
  Linear linear(std::int64_t rows, std::int64_t columns) {
    return {bf16({rows, columns}), bf16({rows})};
  }
  ExpertLinear experts(std::int64_t rows, std::int64_t columns) {
    const View blocks = take(DType::kU8, {kExperts, rows, columns / 32, 16});
    const View scales = take(DType::kU8, {kExperts, rows, columns / 32});
    return {{blocks, scales}, bf16({kExperts, rows})};
  }

  const std::byte* data_;
  std::size_t offset_ = 0;
};

void write_random(const std::filesystem::path& path, std::size_t size) {
  std::vector<std::uint64_t> words(std::size_t{8} << 20U);
  std::mt19937_64 random(1);
  for (std::uint64_t& word : words) word = random();
  std::ofstream file(path, std::ios::binary);
  for (std::size_t written = 0; written < size;) {
    const std::size_t count = std::min(size - written, words.size() * sizeof(words[0]));
    file.write(reinterpret_cast<const char*>(words.data()), static_cast<std::streamsize>(count));
    written += count;
  }
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

/// Maps the file anew, so that its pages are faulted in as they are when a program starts.
void measure(const std::filesystem::path& path, int num_layers, const WeightTransfer& transfer) {
  const auto file = MappedFile::open(path);
  if (!file.ok()) throw std::runtime_error(file.error().message);
  FileWeights weights(file->bytes().data());
  const Weights host = weights.make(num_layers);
  const Stopwatch stopwatch;
  const auto loaded = load_weights(host, {}, transfer);
  if (!loaded.ok()) throw std::runtime_error(loaded.error().message);
  const double seconds = stopwatch.seconds();
  fmt::print(
      "{:2} threads, pieces of {:2} MiB: {:5.2f} s, {:5.1f} GB/s\n",
      transfer.num_threads,
      transfer.piece_bytes >> 20U,
      seconds,
      static_cast<double>(weights.size_bytes()) / seconds / 1e9
  );
}

void run(int num_layers, const std::filesystem::path& folder) {
  FileWeights weights(nullptr);
  weights.make(num_layers);
  const auto path = folder / "weight_loader_bench.bytes";
  write_random(path, weights.size_bytes());
  fmt::print("{} layers, {:.2f} GB\n", num_layers, static_cast<double>(weights.size_bytes()) / 1e9);
  const auto rate = measure_read_bandwidth(0, std::size_t{8} << 30U, 11);
  if (rate.ok()) fmt::print("the device reads its own memory at {:.0f} GB/s\n", *rate / 1e9);
  for (const std::size_t mebibytes : {1, 2, 4, 8}) {
    for (const int num_threads : {1, 4, 8, 12})
      measure(path, num_layers, {num_threads, mebibytes << 20U});
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main(int argc, char** argv) {
  gossamer::kernels::cuda::run(
      argc > 1 ? std::atoi(argv[1]) : 4, argc > 2 ? argv[2] : std::filesystem::temp_directory_path()
  );
}
