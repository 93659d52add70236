#include "tests/http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>

namespace gossamer::http {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

Client::Client(std::uint16_t port, int receive_buffer_bytes) {
  std::signal(SIGPIPE, SIG_IGN);
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (receive_buffer_bytes > 0) {
    ::setsockopt(
        socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes
    );
  }
  const sockaddr_in address = loopback(port);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

Client::~Client() {
  if (tls_ != nullptr) SSL_free(tls_);
  if (context_ != nullptr) SSL_CTX_free(context_);
  close();
}

bool Client::begin_tls(int max_version) {
  context_ = SSL_CTX_new(TLS_client_method());
  if (max_version != 0) SSL_CTX_set_max_proto_version(context_, max_version);
  SSL_CTX_set_security_level(context_, 0);
  tls_ = SSL_new(context_);
  SSL_set_fd(tls_, socket_);
  return SSL_connect(tls_) == 1;
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = tls_ != nullptr
                          ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                          : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Client::request(
    const std::string& method,
    const std::string& target,
    const std::string& headers,
    const std::string& body
) {
  std::string bytes = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
  if (!body.empty()) bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return send(bytes + "\r\n" + body);
}

bool Client::receive() {
  std::array<char, 65536> chunk;
  const auto size = tls_ != nullptr ? SSL_read(tls_, chunk.data(), static_cast<int>(chunk.size()))
                                    : ::recv(socket_, chunk.data(), chunk.size(), 0);
  if (size <= 0) return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(size));
  return true;
}

std::optional<std::string> Client::line() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!receive()) return std::nullopt;
  }
  std::string text = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return text;
}

bool Client::take(std::size_t size, std::string& to) {
  while (buffer_.size() < size) {
    if (!receive()) return false;
  }
  to.append(buffer_, 0, size);
  buffer_.erase(0, size);
  return true;
}

Answer Client::head() {
  Answer answer;
  const auto status = line();
  if (!status || status->size() < 12) return answer;
  std::from_chars(status->data() + 9, status->data() + 12, answer.status);
  for (auto field = line(); field && !field->empty(); field = line()) {
    const auto colon = field->find(": ");
    std::string name = field->substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    answer.headers[name] = field->substr(colon + 2);
  }
  return answer;
}

Answer Client::answer_to_head() {
  Answer answer = head();
  answer.is_complete = answer.status != 0;
  return answer;
}

Answer Client::answer() {
  Answer answer = head();
  if (answer.status == 0) return answer;
  if (answer.headers.contains("content-length")) {
    answer.is_complete = take(std::stoull(answer.headers["content-length"]), answer.body);
  } else if (answer.headers.contains("transfer-encoding")) {
    for (auto size = line(); size; size = line()) {
      const auto length = std::stoull(*size, nullptr, 16);
      std::string end;
      if (!take(length, answer.body) || !take(2, end)) break;
      if (length == 0) {
        answer.is_complete = true;
        break;
      }
    }
  } else if (answer.status >= 200 && answer.status != 204) {
    while (receive()) {
    }
    answer.body = std::move(buffer_);
    answer.is_complete = true;
  } else {
    answer.is_complete = true;
  }
  return answer;
}

std::string Client::read_at_least(std::size_t size) {
  while (buffer_.size() < size && receive()) {
  }
  return std::move(buffer_);
}

std::optional<std::string> Client::read_to_end() {
  while (receive()) {
  }
  if (tls_ == nullptr && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  return std::move(buffer_);
}

void Client::stop_sending() {
  ::shutdown(socket_, SHUT_WR);
}

void Client::reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void Client::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace gossamer::http
