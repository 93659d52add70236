#include "http/request_reader.h"

#include <fmt/format.h>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>

#include "http/target.h"

namespace gossamer::http {

namespace beast = boost::beast;

namespace {

std::string lower(beast::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) result += beast::detail::ascii_tolower(c);
  return result;
}

std::size_t count_of(const beast::http::fields& fields, beast::http::field name) {
  const auto range = fields.equal_range(name);
  return static_cast<std::size_t>(std::distance(range.first, range.second));
}

}  // namespace

struct RequestReader::Parser {
  beast::http::request_parser<beast::http::string_body> parser;
};

RequestReader::RequestReader(std::size_t max_header_bytes, std::size_t max_body_bytes)
    : parser_(std::make_unique<Parser>()),
      max_header_bytes_(max_header_bytes),
      max_body_bytes_(max_body_bytes) {
  parser_->parser.header_limit(static_cast<std::uint32_t>(max_header_bytes));
  parser_->parser.body_limit(max_body_bytes);
}

RequestReader::~RequestReader() = default;

std::size_t RequestReader::parse(std::string_view bytes) {
  if (refusal_ || is_done() || bytes.empty()) return 0;
  auto& parser = parser_->parser;
  const bool had_head = parser.is_header_done();
  parser.eager(had_head);
  beast::error_code error;
  const std::size_t taken = parser.put({bytes.data(), bytes.size()}, error);
  if (error == beast::http::error::header_limit) {
    refuse(431, fmt::format("the headers are larger than {} bytes", max_header_bytes_));
  } else if (error == beast::http::error::body_limit) {
    refuse(413, fmt::format("the body is larger than {} bytes", max_body_bytes_));
  } else if (error == beast::http::error::bad_version) {
    refuse(505, "this is an HTTP/1.1 server");
  } else if (error && error != beast::http::error::need_more) {
    refuse(400, fmt::format("not an HTTP request: {}", error.message()));
  } else if (!had_head && parser.is_header_done()) {
    check_head();
  }
  return taken;
}

// What the parser lets pass, and what could mean one thing to a proxy and another to us.
void RequestReader::check_head() {
  const auto& fields = parser_->parser.get();
  const auto encoding = fields.find(beast::http::field::transfer_encoding);
  const std::size_t num_hosts = count_of(fields, beast::http::field::host);
  if (encoding != fields.end() && version() == 10) {
    refuse(400, "Transfer-Encoding does not belong to HTTP/1.0");
  } else if (encoding != fields.end() && !beast::iequals(encoding->value(), "chunked")) {
    refuse(501, "the only Transfer-Encoding is chunked");
  } else if (num_hosts > 1 || (num_hosts == 0 && version() == 11)) {
    refuse(400, "a request has one Host header");
  } else if (!parse_target({fields.target().data(), fields.target().size()})) {
    refuse(400, "the request's target is not a path");
  }
}

void RequestReader::refuse(int status, std::string message) {
  refusal_ = Refusal{.status = status, .message = std::move(message)};
}

bool RequestReader::has_head() const {
  return parser_->parser.is_header_done();
}

bool RequestReader::is_done() const {
  return parser_->parser.is_done();
}

int RequestReader::version() const {
  return static_cast<int>(parser_->parser.get().version());
}

bool RequestReader::keep_alive() const {
  return has_head() && parser_->parser.keep_alive();
}

bool RequestReader::expects_continue() const {
  const auto& fields = parser_->parser.get();
  const auto found = fields.find(beast::http::field::expect);
  return version() == 11 && found != fields.end() && beast::iequals(found->value(), "100-continue");
}

void RequestReader::move_head_to(Request& request) {
  const auto& message = parser_->parser.get();
  request.method = std::string(message.method_string());
  if (auto target = parse_target({message.target().data(), message.target().size()})) {
    request.path = std::move(target->path);
    request.query = std::move(target->query);
  }
  for (const auto& field : message) {
    std::string& value = request.headers[lower(field.name_string())];
    if (!value.empty()) value += ", ";
    value.append(field.value().data(), field.value().size());
  }
}

std::string RequestReader::take_body() {
  return std::move(parser_->parser.get().body());
}

}  // namespace gossamer::http
