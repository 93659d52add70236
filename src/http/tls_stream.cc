#include "http/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string_view>
#include <utility>

namespace gossamer::http {

namespace asio = boost::asio;

class TlsContext {
 public:
  TlsContext() : context(asio::ssl::context::tls_server) {}
  asio::ssl::context context;
};

namespace {

// Clients that also speak HTTP/2 learn that we do not.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_length, const unsigned char* offered, unsigned offered_length, void*) {
  constexpr std::string_view kHttp11 = "\x08http/1.1";
  const std::string_view offers(reinterpret_cast<const char*>(offered), offered_length);
  for (std::size_t i = 0; i < offers.size(); i += static_cast<unsigned char>(offers[i]) + 1u) {
    if (!offers.substr(i).starts_with(kHttp11)) continue;
    *chosen = offered + i + 1;
    *chosen_length = static_cast<unsigned char>(kHttp11.size() - 1);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

class TlsStream final : public Stream {
 public:
  TlsStream(asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context)
      : context_(std::move(context)), stream_(std::move(socket), context_->context) {}

  asio::awaitable<Handshake> handshake() override {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await stream_.async_handshake(asio::ssl::stream_base::server, token);
    if (!error) co_return Handshake::kDone;
    const bool is_plain =
        error.category() == asio::error::get_ssl_category() &&
        ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
    co_return is_plain ? Handshake::kPlainText : Handshake::kFailed;
  }

  asio::awaitable<Transfer> read_some(asio::mutable_buffer buffer) override {
    Transfer transfer;
    auto token = asio::redirect_error(asio::use_awaitable, transfer.error);
    transfer.num_bytes = co_await stream_.async_read_some(buffer, token);
    co_return transfer;
  }

  asio::awaitable<Transfer> write_some(asio::const_buffer buffer) override {
    Transfer transfer;
    auto token = asio::redirect_error(asio::use_awaitable, transfer.error);
    transfer.num_bytes = co_await stream_.async_write_some(buffer, token);
    co_return transfer;
  }

  Transfer write_now(asio::const_buffer) override {
    // The encryption may have to read first, which only the waiting kind can do.
    return {.error = asio::error::would_block};
  }

  asio::awaitable<void> shut_down() override {
    boost::system::error_code ignored;
    auto token = asio::redirect_error(asio::use_awaitable, ignored);
    co_await stream_.async_shutdown(token);
  }

  void close() override {
    boost::system::error_code ignored;
    stream_.next_layer().close(ignored);
  }

  bool is_encrypted() const override { return true; }

  std::unique_ptr<Stream> take_plain() override {
    return make_tcp_stream(std::move(stream_.next_layer()));
  }

 private:
  const std::shared_ptr<TlsContext> context_;
  asio::ssl::stream<asio::ip::tcp::socket> stream_;
};

Error tls_error(const std::filesystem::path& file, const char* what, const std::string& reason) {
  return make_error(
      ErrorCode::kInvalidArgument,
      "{}: cannot use it as the TLS {}: {}",
      file.string(),
      what,
      reason
  );
}

}  // namespace

Result<std::shared_ptr<TlsContext>> load_tls(const TlsFiles& files) {
  auto loaded = std::make_shared<TlsContext>();
  asio::ssl::context& context = loaded->context;
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  boost::system::error_code error;
  context.use_certificate_chain_file(files.certificate.string(), error);
  if (error) return tls_error(files.certificate, "certificate chain (PEM)", error.message());
  context.use_private_key_file(files.key.string(), asio::ssl::context::pem, error);
  if (error) return tls_error(files.key, "private key (PEM)", error.message());
  if (SSL_CTX_check_private_key(native) != 1) {
    return tls_error(files.key, "private key (PEM)", "it does not belong to the certificate");
  }
  return loaded;
}

std::unique_ptr<Stream> make_tls_stream(
    asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context
) {
  return std::make_unique<TlsStream>(std::move(socket), std::move(context));
}

}  // namespace gossamer::http
