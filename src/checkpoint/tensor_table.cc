#include "checkpoint/tensor_table.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "checkpoint/edit_distance.h"
#include "checkpoint/strict_json.h"

namespace gossamer::checkpoint {

Status TensorTable::add_file(std::span<const std::byte> file, const std::string& name) {
  GOSSAMER_ASSIGN_OR_RETURN(auto tensors, parse_safetensors(file, name));
  for (StoredTensor& tensor : tensors) {
    std::string key = tensor.name;
    const auto [place, added] =
        entries_.try_emplace(std::move(key), Entry{std::move(tensor), name});
    if (!added) {
      return make_error(
          ErrorCode::kCorruptData,
          "{}: tensor '{}' is in {} too; keep the files of one checkpoint in a directory",
          name,
          printable(place->first),
          place->second.file
      );
    }
  }
  return {};
}

const TensorTable::Entry* TensorTable::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

Result<tensor::View> TensorTable::use(
    std::string_view name, tensor::DType dtype, const tensor::Shape& shape
) {
  const auto found = entries_.find(name);
  GOSSAMER_CHECK(found != entries_.end());
  Entry& entry = found->second;
  const StoredTensor& tensor = entry.tensor;
  entry.used = true;
  const bool same_rank = tensor.shape.size() == static_cast<std::size_t>(shape.rank());
  if (tensor.dtype != tensor::name_of(dtype) || !same_rank ||
      !(tensor::Shape(tensor.shape) == shape)) {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: tensor '{}' is {}, expected {} {} from the config",
        entry.file,
        name,
        tensor.type_to_string(),
        tensor::name_of(dtype),
        shape.to_string()
    );
  }
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data.data());  // NOLINT
  if (address % tensor::size_of(dtype) == 0) {
    return tensor::View(tensor.data.data(), dtype, shape);
  }
  GOSSAMER_ASSIGN_OR_RETURN(auto copy, tensor::HostBuffer::allocate(tensor.data.size()));
  std::memcpy(copy->data(), tensor.data.data(), tensor.data.size());
  const tensor::View view = copy->view(0, dtype, shape);
  copies_.push_back(std::move(copy));
  return view;
}

std::optional<std::string> TensorTable::nearest_name(std::string_view name) const {
  // Further away than this, a name is another name and not a mistaken one.
  std::size_t nearest = std::max<std::size_t>(2, name.size() / 4) + 1;
  std::optional<std::string> found;
  constexpr std::size_t kLongestName = 256;
  for (const auto& [candidate, entry] : entries_) {
    if (entry.used || candidate.size() > kLongestName) continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < nearest) {
      nearest = distance;
      found = candidate;
    }
  }
  return found;
}

std::vector<std::string> TensorTable::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (!entry.used) names.push_back(name);
  }
  return names;
}

}  // namespace gossamer::checkpoint
