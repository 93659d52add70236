#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gossamer::api {

/// Reasoning that a client carries from one request to the next without being able to read or
/// change it: "encrypted_content". AES-256-GCM under the server's key, with a version, in
/// base64url. Immutable; any thread.
class SealedReasoning {
 public:
  using Key = std::array<std::uint8_t, 32>;

  explicit SealedReasoning(const Key& key) : key_(key) {}

  /// Seals a text (UTF-8). The result differs from call to call.
  std::string seal(std::string_view text) const;

  /// The text; nothing when the blob is not one of ours, was damaged, or has another key.
  std::optional<std::string> open(std::string_view blob) const;

 private:
  Key key_;
};

}  // namespace gossamer::api
