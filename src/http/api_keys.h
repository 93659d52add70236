#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/exchange.h"

namespace gossamer::http {

/// The keys that a server knows, kept as digests. Immutable: any thread.
class ApiKeys {
 public:
  /// Name by key.
  explicit ApiKeys(const std::map<std::string, std::string>& keys);

  /// Whether a key is asked for at all.
  bool required() const { return !keys_.empty(); }

  /// The name of the key in `Authorization: Bearer KEY` or `x-api-key: KEY`; nothing where there is
  /// none or it is unknown. Takes as long for every wrong key.
  std::optional<std::string> name_of(const Request& request) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest(std::string_view key);

  std::vector<std::pair<Digest, std::string>> keys_;
};

}  // namespace gossamer::http
