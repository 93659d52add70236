#pragma once

#include <boost/asio/awaitable.hpp>
#include <span>

#include "api/error.h"
#include "chat/turn.h"
#include "engine/generator.h"
#include "server/blocking_pool.h"
#include "server/metrics.h"
#include "server/output.h"

namespace gossamer::server {

/// Told what a turn brings, as it comes. It takes no events when a generation was accepted, and
/// when nothing came for a while, so that a waiting client can be told that all is well.
using TurnOutput = Output<std::span<const chat::Event>>;

/// What running a turn takes.
struct TurnContext {
  engine::Generator* generator;
  BlockingPool& pool;
  Metrics& metrics;
};

/// Runs a turn to its end: generations, and between them the calls of our own tools. Cancelling the
/// coroutine cancels the generation or the tool. Errors: what the generator refused or failed at.
boost::asio::awaitable<api::ApiResult<chat::TurnEnd>> run_turn(
    TurnContext context, chat::Turn& turn, const TurnOutput& output
);

}  // namespace gossamer::server
