#include "server/served_model.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

api::ApiError not_loaded(const Error& reason) {
  return {
      .status = 503,
      .type = "server_error",
      .code = "model_not_loaded",
      .message = "the model could not be loaded: " + reason.message};
}

}  // namespace

void ModelSlot::set(Result<ServedModel> model) {
  const std::lock_guard lock(mutex_);
  model_.emplace(std::move(model));
  progress_ = 1;
}

const ServedModel* ModelSlot::get() const {
  const std::lock_guard lock(mutex_);
  return model_ && model_->ok() ? &model_->value() : nullptr;
}

std::optional<Error> ModelSlot::failure() const {
  const std::lock_guard lock(mutex_);
  if (!model_ || model_->ok()) return std::nullopt;
  return model_->error();
}

asio::awaitable<api::ApiResult<const ServedModel*>> ModelSlot::wait() const {
  // Loading happens once and takes long: looking now and then is all it needs.
  constexpr std::chrono::milliseconds kPause{20};
  while (true) {
    if (const ServedModel* model = get()) co_return model;
    if (const auto error = failure()) {
      co_return not_loaded(*error);
    }
    asio::steady_timer pause(co_await asio::this_coro::executor, kPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

}  // namespace gossamer::server
