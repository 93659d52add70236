#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/exchange.h"

namespace gossamer::http {

/// Why a request is answered by the server and not by the handler.
struct Refusal {
  int status = 400;
  std::string message;
  Headers headers = {};
};

/// Parses one request while its bytes arrive. The bytes may come in any portions, but those of the
/// head are offered again, with what follows them, until it is complete.
class RequestReader {
 public:
  RequestReader(std::size_t max_header_bytes, std::size_t max_body_bytes);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Takes what it can from the beginning of `bytes`: up to the end of the head, or if that is
  /// there already, up to the end of the body. Returns how many bytes it took.
  std::size_t parse(std::string_view bytes);

  bool has_head() const;
  bool is_done() const;
  /// 400, 413, 431, 501 or 505, once the bytes are not a request that can be served.
  const std::optional<Refusal>& refusal() const { return refusal_; }

  int version() const;  ///< 10 or 11
  bool keep_alive() const;
  bool expects_continue() const;

  /// Method, path, query and headers, as far as they were read.
  void move_head_to(Request& request);
  std::string take_body();

 private:
  struct Parser;
  void check_head();
  void refuse(int status, std::string message);

  std::unique_ptr<Parser> parser_;
  std::optional<Refusal> refusal_;
  const std::size_t max_header_bytes_;
  const std::size_t max_body_bytes_;
};

}  // namespace gossamer::http
