#pragma once

#include <string>
#include <string_view>

namespace gossamer::http {

/// Whether only this machine can reach a server on `host`: "localhost" or a name below it,
/// 127.0.0.0/8,
/// ::1 (with or without brackets). Other names are not looked up: they are not loopback.
bool is_loopback(const std::string& host);

/// The address or name in "host:port", "[::1]:port" or "host", in lower case, without brackets.
std::string host_name(std::string_view host_and_port);

/// Whether no stranger can own this name in the public DNS: an address, a name without a dot, or
/// one below localhost, local, internal or home.arpa.
bool is_private_name(const std::string& name);

}  // namespace gossamer::http
