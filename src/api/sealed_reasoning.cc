#include "api/sealed_reasoning.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include "base/check.h"

namespace gossamer::api {
namespace {

// The layout is: version, nonce, ciphertext, tag.
constexpr char kVersion = 1;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kNonceBytes;

// Authenticated with the text: a blob that the key made for something else does not open.
constexpr std::string_view kPurpose = "gossamer reasoning 1";

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(std::string& text, std::size_t offset = 0) {
  return reinterpret_cast<unsigned char*>(text.data()) + offset;
}

std::string to_base64url(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (num_bits += 8; num_bits >= 6; num_bits -= 6) {
      text += kAlphabet[bits >> (num_bits - 6) & 63];
    }
  }
  if (num_bits > 0) text += kAlphabet[bits << (6 - num_bits) & 63];
  return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    num_bits += 6;
    if (num_bits >= 8) {
      num_bits -= 8;
      bytes += static_cast<char>(bits >> num_bits & 255);
    }
  }
  const bool has_slack = num_bits < 6 && (bits & ((1U << num_bits) - 1)) == 0;
  return has_slack ? std::optional(bytes) : std::nullopt;
}

}  // namespace

std::string SealedReasoning::seal(std::string_view text) const {
  std::string blob(kHeadBytes + text.size() + kTagBytes, '\0');
  blob[0] = kVersion;
  const Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  const auto length = static_cast<int>(text.size());
  int written = 0;
  const bool sealed =
      RAND_bytes(bytes_of(blob, 1), kNonceBytes) == 1 &&
      EVP_EncryptInit_ex(
          context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes_of(blob, 1)
      ) == 1 &&
      EVP_EncryptUpdate(
          context.get(), nullptr, &written, bytes_of(kPurpose), static_cast<int>(kPurpose.size())
      ) == 1 &&
      EVP_EncryptUpdate(
          context.get(), bytes_of(blob, kHeadBytes), &written, bytes_of(text), length
      ) == 1 &&
      EVP_EncryptFinal_ex(context.get(), bytes_of(blob, kHeadBytes + text.size()), &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(
          context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, bytes_of(blob, kHeadBytes + text.size())
      ) == 1;
  GOSSAMER_CHECK(sealed);
  return to_base64url(blob);
}

std::optional<std::string> SealedReasoning::open(std::string_view blob) const {
  auto bytes = from_base64url(blob);
  if (!bytes || bytes->size() < kHeadBytes + kTagBytes || bytes->front() != kVersion) {
    return std::nullopt;
  }
  std::string text(bytes->size() - kHeadBytes - kTagBytes, '\0');
  const Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int written = 0;
  const bool opened =
      EVP_DecryptInit_ex(
          context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes_of(*bytes, 1)
      ) == 1 &&
      EVP_DecryptUpdate(
          context.get(), nullptr, &written, bytes_of(kPurpose), static_cast<int>(kPurpose.size())
      ) == 1 &&
      EVP_DecryptUpdate(
          context.get(),
          bytes_of(text),
          &written,
          bytes_of(*bytes, kHeadBytes),
          static_cast<int>(text.size())
      ) == 1 &&
      EVP_CIPHER_CTX_ctrl(
          context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, bytes_of(*bytes, kHeadBytes + text.size())
      ) == 1 &&
      EVP_DecryptFinal_ex(context.get(), bytes_of(text, text.size()), &written) == 1;
  return opened ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace gossamer::api
