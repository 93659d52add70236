#include "api/ids.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace gossamer::api {
namespace {

constexpr std::size_t kDigits = 32;
constexpr std::size_t kCountDigits = 5;
constexpr std::uint32_t kFirstOutput = 0x80000;

std::string_view after_prefix(std::string_view id) {
  const std::size_t line = id.find('_');
  return line == std::string_view::npos ? id : id.substr(line + 1);
}

}  // namespace

std::string new_id(std::string_view prefix) {
  std::array<std::uint64_t, 2> words{};
  GOSSAMER_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(words.data()), sizeof(words)) == 1);
  return fmt::format("{}_{:016x}{:016x}", prefix, words[0], words[1]);
}

ItemIds::ItemIds(std::string_view response_id, Half half)
    : digits_(after_prefix(response_id)), count_(half == Half::kInput ? 0 : kFirstOutput) {}

std::string ItemIds::next(std::string_view prefix) {
  return fmt::format("{}_{}{:05x}", prefix, digits_, count_++);
}

std::optional<std::string> response_of_item(std::string_view item_id) {
  const std::string_view digits = after_prefix(item_id);
  const bool is_hex = std::all_of(digits.begin(), digits.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (!is_hex || digits.size() < kDigits + kCountDigits) return std::nullopt;
  return fmt::format("resp_{}", digits.substr(0, kDigits));
}

}  // namespace gossamer::api
