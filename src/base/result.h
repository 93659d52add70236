#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace gossamer {

/// What kind of trouble an Error reports; callers branch on it, people read the message.
enum class ErrorCode {
  kInvalidArgument,  ///< the caller asked for something that makes no sense
  kNotFound,         ///< a file, tensor or name that does not exist
  kIo,               ///< the operating system refused or failed
  kCorruptData,      ///< a file or stream that breaks its own format
  kUnsupported,      ///< well-formed, but not something gossamer does
  kContextFull,      ///< more tokens than the context holds
  kOutOfMemory,      ///< more memory than there is
  kBusy,             ///< too much to do already; the same request may succeed later
};

/// An expected failure. The message says what went wrong, where, and what to do about it, without a
/// trailing full stop or newline.
struct Error {
  ErrorCode code;
  std::string message;
};

/// Formats an Error: `return make_error(ErrorCode::kIo, "{}: cannot read: {}", path, reason);`
template <class... Args>
Error make_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

/// A value, or the error that explains why there is none. For failures a caller can act on;
/// our own bugs use GOSSAMER_CHECK. E differs from T.
template <class T, class E = Error>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return make_error(…);` both read well.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    GOSSAMER_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    GOSSAMER_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    GOSSAMER_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const E& error() const {
    GOSSAMER_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, E> state_;
};

/// Success, or an error.
template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(E error) : error_(std::move(error)) {}  // NOLINT

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  const E& error() const {
    GOSSAMER_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<E> error_;
};

using Status = Result<void>;

}  // namespace gossamer

#define GOSSAMER_CONCAT_INNER(a, b) a##b
#define GOSSAMER_CONCAT(a, b) GOSSAMER_CONCAT_INNER(a, b)

/// Returns the Error of a failed expression from the enclosing function.
#define GOSSAMER_RETURN_IF_ERROR(expression)                          \
  do {                                                                \
    if (auto gossamer_status = (expression); !gossamer_status.ok()) { \
      return gossamer_status.error();                                 \
    }                                                                 \
  } while (false)

// Parentheses would break a declaration.
// NOLINTBEGIN(bugprone-macro-parentheses)

/// `GOSSAMER_ASSIGN_OR_RETURN(auto file, open(path));` declares file, or returns the Error.
#define GOSSAMER_ASSIGN_OR_RETURN(declaration, expression)                 \
  GOSSAMER_ASSIGN_OR_RETURN_INNER(                                         \
      GOSSAMER_CONCAT(gossamer_result_, __LINE__), declaration, expression \
  )
#define GOSSAMER_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                            \
  if (!result.ok()) return result.error();                               \
  declaration = std::move(result).value()

// NOLINTEND(bugprone-macro-parentheses)
