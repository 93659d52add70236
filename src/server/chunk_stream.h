#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <span>

#include "api/error.h"
#include "http/exchange.h"
#include "http/sse.h"
#include "server/output.h"
#include "server/service.h"
#include "server/sse_answer.h"

namespace gossamer::server {

/// Where the chunks of Chat Completions and Completions go, as they come; none of them is a sign of
/// life.
template <class Chunk>
using ChunkOutput = Output<std::span<const Chunk>>;

/// Chunks to events without names; `to_text` makes a chunk's JSON. The answer outlives the output.
template <class Chunk, class ToText>
ChunkOutput<Chunk> chunks_to(SseAnswer& answer, ToText to_text) {
  const auto take = [&answer, to_text](std::span<const Chunk> chunks) {
    for (const Chunk& chunk : chunks) http::append_sse_event(answer.bytes(), "", to_text(chunk));
    if (chunks.empty()) http::append_sse_comment(answer.bytes(), "working");
  };
  return {take, [&answer] { return answer.flush(); }};
}

/// Chunks to where they are put together.
template <class Chunk, class Whole>
ChunkOutput<Chunk> chunks_into(Whole& whole) {
  const auto take = [&whole](std::span<const Chunk> chunks) {
    for (const Chunk& chunk : chunks) whole.add(chunk);
  };
  return {take, flush_nothing};
}

/// Answers with the events that `chunks` gives to `answer`, and `[DONE]` after them. An error
/// before the first of them means that nothing was begun.
boost::asio::awaitable<void> answer_stream(
    Service& service,
    http::Exchange& exchange,
    SseAnswer& answer,
    boost::asio::awaitable<api::ApiResult<void>> chunks
);

/// Answers with one object, which is asked for once `chunks` has given everything.
boost::asio::awaitable<void> answer_whole(
    Service& service,
    http::Exchange& exchange,
    boost::asio::awaitable<api::ApiResult<void>> chunks,
    const std::function<api::Json()>& object
);

}  // namespace gossamer::server
