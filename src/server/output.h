#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

namespace gossamer::server {

/// Where what a request brings goes. What comes together is taken piece by piece, and sent at once
/// by one flush: a coroutine is for waiting, and costs too much to be one for each token. What
/// either throws ends the request.
template <class T>
struct Output {
  std::function<void(T)> take;
  /// Waits while the client reads slowly.
  std::function<boost::asio::awaitable<void>()> flush;
};

/// The flush of what is not sent as it comes.
inline boost::asio::awaitable<void> flush_nothing() {
  co_return;
}

}  // namespace gossamer::server
