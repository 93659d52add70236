#include "http/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace gossamer::http {

namespace {

bool starts_with_bearer(std::string_view value) {
  constexpr std::string_view kScheme = "bearer ";
  if (value.size() < kScheme.size()) return false;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char c = value[i];
    if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != kScheme[i]) return false;
  }
  return true;
}

std::string_view key_in(const Request& request) {
  const auto authorization = request.headers.find("authorization");
  if (authorization != request.headers.end() && starts_with_bearer(authorization->second)) {
    std::string_view key = std::string_view(authorization->second).substr(7);
    while (key.starts_with(' ')) key.remove_prefix(1);
    return key;
  }
  const auto api_key = request.headers.find("x-api-key");
  return api_key == request.headers.end() ? std::string_view() : api_key->second;
}

}  // namespace

ApiKeys::Digest ApiKeys::digest(std::string_view key) {
  Digest result;
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), result.data());
  return result;
}

ApiKeys::ApiKeys(const std::map<std::string, std::string>& keys) {
  for (const auto& [key, name] : keys) keys_.emplace_back(digest(key), name);
}

std::optional<std::string> ApiKeys::name_of(const Request& request) const {
  // Digests are of one length, and all of them are compared to the end: the time says nothing.
  const Digest given = digest(key_in(request));
  const std::string* found = nullptr;
  for (const auto& [key, name] : keys_) {
    if (CRYPTO_memcmp(key.data(), given.data(), key.size()) == 0) found = &name;
  }
  if (found == nullptr) return std::nullopt;
  return *found;
}

}  // namespace gossamer::http
