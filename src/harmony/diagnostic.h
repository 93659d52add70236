#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gossamer::harmony {

/// What the lenient parser repaired, or noticed, in a stream.
enum class Repair {
  kMissingStart,            ///< a message began without `<|start|>`
  kRepeatedStart,           ///< `<|start|>` again, before anything followed the first
  kMissingRole,             ///< a header without a role; read as the assistant's
  kRepeatedRole,            ///< the role again, after the prompt already gave it
  kUnknownRole,             ///< an author that is neither a role nor looks like a tool; kept
  kChannelInRolePosition,   ///< a channel word without `<|channel|>`
  kMissingChannelName,      ///< `<|channel|>` without a word after it
  kUnknownChannel,          ///< a word after `<|channel|>` that is no channel
  kRepeatedChannel,         ///< more than one channel; the last known one counts
  kRecipientWithoutTo,      ///< a tool's name without "to=" before it
  kRepeatedRecipient,       ///< more than one recipient; the last counts
  kSpaceAfterConstrain,     ///< `<|constrain|> json`
  kUnexpectedHeaderText,    ///< header words with no meaning; the detail keeps them
  kTextBeforeHeader,        ///< prose where a header belongs; kept as a message of its own
  kMissingMessage,          ///< no `<|message|>`; the text after the header is kept as content
  kMissingEnd,              ///< the next message began before the last one ended
  kMisplacedMarker,         ///< a structural token inside content or header text; left out
  kStrayStop,               ///< a token that ends a message, where there is none
  kUnexpectedSpecial,       ///< a special token that is not part of the format; left out
  kUnknownToken,            ///< an id outside the vocabulary; left out
  kInvalidUtf8,             ///< bytes that are not UTF-8; U+FFFD in the text
  kFunctionCallOnAnalysis,  ///< a function called outside the commentary channel
  kStreamCut,               ///< the stream ended inside a message
};

inline constexpr std::size_t kNumRepairs = static_cast<std::size_t>(Repair::kStreamCut) + 1;

/// e.g. "missing_start": for JSON, metrics and logs.
std::string_view repair_name(Repair repair);

/// What a person should know about it, e.g. "a message began without <|start|>".
std::string_view repair_description(Repair repair);

/// True when the message is well-formed all the same, so that its sampled tokens are worth
/// repeating in the next prompt.
bool keeps_sampled_form(Repair repair);

/// One repair in one place.
struct Diagnostic {
  Repair repair;
  std::size_t position = 0;  ///< index of the token at which it was noticed
  std::string detail;        ///< the text or token concerned; may be empty

  bool operator==(const Diagnostic&) const = default;
};

/// How often each repair was made, indexed by Repair.
using RepairCounts = std::array<std::uint64_t, kNumRepairs>;

}  // namespace gossamer::harmony
