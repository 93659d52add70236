#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "base/result.h"
#include "http/server.h"
#include "http/stream.h"

namespace gossamer::http {

/// A certificate and its key, ready for connections. Any thread.
class TlsContext;

/// TLS 1.2 and later. Errors (kIo, kInvalidArgument) name the file.
Result<std::shared_ptr<TlsContext>> load_tls(const TlsFiles& files);

std::unique_ptr<Stream> make_tls_stream(
    boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context
);

}  // namespace gossamer::http
