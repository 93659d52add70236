#include "checkpoint/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/terminal.h"
#include "checkpoint/strict_json.h"

namespace gossamer::checkpoint {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
// The format's own bound: a longer header is damage or an attack, not a model.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct StoredType {
  std::string_view name;
  std::uint64_t bits;
};
constexpr std::array kStoredTypes = {
    StoredType{"BOOL", 8},    StoredType{"U8", 8},      StoredType{"I8", 8},
    StoredType{"F8_E5M2", 8}, StoredType{"F8_E4M3", 8}, StoredType{"F8_E8M0", 8},
    StoredType{"F4", 4},      StoredType{"F6_E2M3", 6}, StoredType{"F6_E3M2", 6},
    StoredType{"I16", 16},    StoredType{"U16", 16},    StoredType{"F16", 16},
    StoredType{"BF16", 16},   StoredType{"I32", 32},    StoredType{"U32", 32},
    StoredType{"F32", 32},    StoredType{"I64", 64},    StoredType{"U64", 64},
    StoredType{"F64", 64},    StoredType{"C64", 64},
};

const StoredType* find_type(std::string_view name) {
  const auto* found = std::find_if(
      kStoredTypes.begin(), kStoredTypes.end(), [&](const StoredType& t) { return t.name == name; }
  );
  return found == kStoredTypes.end() ? nullptr : found;
}

/// Where an error happened: a file, and a tensor in it.
struct Place {
  std::string_view file;
  std::string_view tensor;

  template <class... Args>
  Error error(fmt::format_string<Args...> format, Args&&... args) const {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: tensor '{}': {}",
        file,
        printable(tensor),
        fmt::format(format, std::forward<Args>(args)...)
    );
  }
};

Result<std::string_view> read_header_text(std::span<const std::byte> file, std::string_view name) {
  constexpr std::string_view kLfsPointer = "version https://git-lfs";
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());  // NOLINT
  if (text.substr(0, kLfsPointer.size()) == kLfsPointer) {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: this is a Git LFS pointer, not the weights; fetch them with `git lfs pull`",
        name
    );
  }
  if (file.size() < kLengthBytes) {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: {} long, too short for a safetensors file (a header length of 8 bytes comes first)",
        name,
        format_bytes(file.size())
    );
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > kMaxHeaderBytes) {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: states a header of {} bytes, more than the format allows ({}); this is not a "
        "safetensors file, or a damaged one",
        name,
        length,
        kMaxHeaderBytes
    );
  }
  if (length > file.size() - kLengthBytes) {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: states a header of {} bytes, but only {} bytes follow; the file is cut short",
        name,
        length,
        file.size() - kLengthBytes
    );
  }
  return text.substr(kLengthBytes, length);
}

Result<std::string_view> read_dtype(const json& entry, const Place& place) {
  const auto found = entry.find("dtype");
  if (found == entry.end() || !found->is_string()) {
    return place.error("'dtype' is missing or not a string");
  }
  const auto& name = found->get_ref<const std::string&>();
  const StoredType* type = find_type(name);
  if (type == nullptr) return place.error("unknown dtype '{}'", printable(name));
  return type->name;
}

/// An array of integers from 0 to 2^63 - 1.
Result<std::vector<std::int64_t>> read_extents(
    const json& entry, const char* key, const Place& place
) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) {
    return place.error("'{}' is missing or not an array", key);
  }
  std::vector<std::int64_t> extents;
  for (const json& extent : *found) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > INT64_MAX) {
      return place.error(
          "'{}' holds {}, expected integers from 0 on", key, printable(extent.dump())
      );
    }
    extents.push_back(extent.get<std::int64_t>());
  }
  return extents;
}

Result<StoredTensor> read_tensor(
    const std::string& name,
    const json& entry,
    std::span<const std::byte> payload,
    const Place& place
) {
  if (!entry.is_object()) {
    return place.error("expected an object, found {}", printable(entry.dump()));
  }
  GOSSAMER_ASSIGN_OR_RETURN(const std::string_view dtype, read_dtype(entry, place));
  GOSSAMER_ASSIGN_OR_RETURN(auto shape, read_extents(entry, "shape", place));
  GOSSAMER_ASSIGN_OR_RETURN(const auto offsets, read_extents(entry, "data_offsets", place));
  if (offsets.size() != 2) {
    return place.error("'data_offsets' holds {} numbers, expected 2", offsets.size());
  }
  const auto begin = static_cast<std::uint64_t>(offsets[0]);
  const auto end = static_cast<std::uint64_t>(offsets[1]);
  if (begin > end) return place.error("data_offsets [{}, {}] run backwards", begin, end);
  StoredTensor tensor{name, dtype, std::move(shape), {}};
  const auto size = stored_size_bytes(dtype, tensor.shape);
  if (!size) {
    return place.error("{} is not a possible size of a tensor", tensor.type_to_string());
  }
  if (end - begin != *size) {
    return place.error(
        "data_offsets [{}, {}] span {} bytes, but {} takes {}",
        begin,
        end,
        end - begin,
        tensor.type_to_string(),
        *size
    );
  }
  if (end > payload.size()) {
    return place.error(
        "data_offsets [{}, {}] end outside the file, which holds {} bytes of tensors; the file is "
        "cut short by at least {} bytes",
        begin,
        end,
        payload.size(),
        end - payload.size()
    );
  }
  tensor.data = payload.subspan(begin, end - begin);
  return tensor;
}

/// Sorts by place, and checks that the tensors tile the payload.
Status check_tiling(
    std::vector<StoredTensor>& tensors, std::span<const std::byte> payload, std::string_view file
) {
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair(a.data.data(), a.data.size()) < std::pair(b.data.data(), b.data.size());
  });
  const std::byte* expected = payload.data();
  std::string_view previous = "the header";
  for (const StoredTensor& tensor : tensors) {
    const Place place{file, tensor.name};
    const std::ptrdiff_t gap = tensor.data.data() - expected;
    if (gap < 0) {
      return place.error("overlaps '{}' by {} bytes", printable(previous), -gap);
    }
    if (gap > 0) {
      return place.error("{} bytes before it belong to no tensor", gap);
    }
    expected += tensor.data.size();
    previous = tensor.name;
  }
  const std::ptrdiff_t rest = payload.data() + payload.size() - expected;
  if (rest > 0) {
    return make_error(
        ErrorCode::kCorruptData, "{}: {} bytes at the end belong to no tensor", file, rest
    );
  }
  return {};
}

}  // namespace

std::string StoredTensor::type_to_string() const {
  return fmt::format("{} [{}]", dtype, fmt::join(shape, ", "));
}

std::optional<std::uint64_t> stored_size_bytes(
    std::string_view dtype, std::span<const std::int64_t> shape
) {
  const StoredType* type = find_type(dtype);
  if (type == nullptr) return std::nullopt;
  std::uint64_t bits = type->bits;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(extent), &bits)) {
      return std::nullopt;
    }
  }
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

Result<std::vector<StoredTensor>> parse_safetensors(
    std::span<const std::byte> file, std::string_view name
) {
  GOSSAMER_ASSIGN_OR_RETURN(const std::string_view text, read_header_text(file, name));
  GOSSAMER_ASSIGN_OR_RETURN(
      const json header, parse_json_object(text, fmt::format("{}: header", name))
  );
  const auto payload = file.subspan(kLengthBytes + text.size());
  std::vector<StoredTensor> tensors;
  for (const auto& [tensor_name, entry] : header.items()) {
    if (tensor_name == "__metadata__") continue;
    GOSSAMER_ASSIGN_OR_RETURN(
        StoredTensor tensor, read_tensor(tensor_name, entry, payload, Place{name, tensor_name})
    );
    tensors.push_back(std::move(tensor));
  }
  GOSSAMER_RETURN_IF_ERROR(check_tiling(tensors, payload, name));
  return tensors;
}

std::string safetensors_header(const std::vector<TensorHeading>& tensors) {
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t begin = 0;
  for (const TensorHeading& tensor : tensors) {
    const auto size = stored_size_bytes(tensor.dtype, tensor.shape);
    GOSSAMER_CHECK(size.has_value());
    header[tensor.name] = {
        {"dtype", tensor.dtype},
        {"shape", tensor.shape},
        {"data_offsets", {begin, begin + *size}},
    };
    begin += *size;
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + text;
}

}  // namespace gossamer::checkpoint
