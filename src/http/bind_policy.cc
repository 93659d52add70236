#include "http/bind_policy.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/address_v6.hpp>

namespace gossamer::http {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool is_below(const std::string& name, std::string_view domain) {
  return name.size() > domain.size() && name.ends_with(domain) &&
         name[name.size() - domain.size() - 1] == '.';
}

}  // namespace

std::string host_name(std::string_view host_and_port) {
  if (host_and_port.starts_with('[')) {
    return lower(host_and_port.substr(1, host_and_port.find(']') - 1));
  }
  // More than one colon: an IPv6 address without brackets.
  if (std::count(host_and_port.begin(), host_and_port.end(), ':') > 1) return lower(host_and_port);
  std::string name = lower(host_and_port.substr(0, host_and_port.find(':')));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool is_loopback(const std::string& host) {
  const std::string name = host_name(host);
  if (name == "localhost" || is_below(name, "localhost")) return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(name, error);
  if (error) return false;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6())
        .is_loopback();
  }
  return address.is_loopback();
}

bool is_private_name(const std::string& name) {
  if (name.empty()) return false;
  boost::system::error_code error;
  boost::asio::ip::make_address(name, error);
  if (!error || name.find('.') == std::string::npos) return true;
  for (const char* domain : {"localhost", "local", "internal", "home.arpa"}) {
    if (is_below(name, domain)) return true;
  }
  return false;
}

}  // namespace gossamer::http
