#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "harmony/content_text.h"
#include "harmony/encoding.h"
#include "harmony/message.h"

namespace gossamer::harmony {

/// A piece of a rendered prompt: text, a marker, or a message as it was sampled. Text is encoded a
/// piece at a time and never becomes a special token, whatever it looks like.
using Fragment = std::variant<std::string, Marker, std::vector<TokenId>>;

/// Which reasoning of earlier turns is shown to the model again.
enum class EarlierAnalysis {
  kDrop,  ///< as the models were trained: once there is an answer, the reasoning before it is gone
  kKeep,
};

/// Messages -> tokens. Immutable; any thread may use it.
class Renderer {
 public:
  explicit Renderer(Encoding encoding) : encoding_(std::move(encoding)) {}

  const Encoding& encoding() const { return encoding_; }

  /// Errors, all of kInvalidArgument: a tool message without a name, system or developer content in
  /// a message of another role, a tool schema that is not JSON.
  Result<std::vector<Fragment>> message(const Message& message, FunctionTools functions) const;

  /// The messages in order, with nothing between them.
  Result<std::vector<Fragment>> conversation(
      const Conversation& conversation, EarlierAnalysis analysis
  ) const;

  /// The conversation, and the beginning of the next message: `<|start|>` and its role.
  Result<std::vector<Fragment>> for_completion(
      const Conversation& conversation, Role next_role, EarlierAnalysis analysis
  ) const;

  /// The conversation, where a final answer at its end ends in `<|return|>`.
  Result<std::vector<Fragment>> for_training(
      const Conversation& conversation, EarlierAnalysis analysis
  ) const;

  /// The tokens of fragments.
  std::vector<TokenId> tokens(std::span<const Fragment> fragments) const;

  /// Fragments as a person reads them; special tokens are written out.
  std::string text(std::span<const Fragment> fragments) const;

 private:
  Status add_message(
      const Message& message, FunctionTools functions, std::vector<Fragment>& fragments
  ) const;
  Status add_header(const Message& message, std::vector<Fragment>& fragments) const;
  void add_sampled(const Message& message, std::vector<Fragment>& fragments) const;

  Encoding encoding_;
};

/// Whether any developer message declares functions.
FunctionTools declared_functions(const Conversation& conversation);

/// The index of the first final answer when the conversation's last assistant message is one: the
/// analysis before it is what kDrop leaves out. 0 when nothing is to be left out.
std::size_t first_kept_analysis(const Conversation& conversation);

}  // namespace gossamer::harmony
