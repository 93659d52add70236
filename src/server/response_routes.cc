// The Responses API.

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "api/json_reader.h"
#include "api/responses_object.h"
#include "http/sse.h"
#include "server/endpoints.h"
#include "server/response_history.h"
#include "server/response_jobs.h"
#include "server/response_run.h"
#include "server/sse_answer.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

using Run = std::shared_ptr<ResponseRun>;

api::RequestDefaults request_defaults(const Service& service, const ServedModel& model) {
  api::RequestDefaults defaults{.model = model.names.front()};
  for (const auto& tool : service.options().tools) {
    defaults.server_namespaces.push_back(tool->declaration().name);
  }
  return defaults;
}

api::ApiResult<api::ResponsesRequest> read_request(
    Service& service, const ServedModel& model, const http::Request& http_request
) {
  const auto body = api::parse_body(http_request.body);
  if (!body.ok()) return body.error();
  auto request = api::read_responses_request(*body, request_defaults(service, model));
  if (!request.ok()) return request.error();
  if (service.store() == nullptr && request->background) {
    return api::invalid_request(
        "background", "this server keeps no responses, so none can be made in the background"
    );
  }
  if (request->background && !request->store) {
    return api::invalid_request("background", "a background response must be stored");
  }
  if (service.store() == nullptr) request->echo["store"] = false;
  return request;
}

/// Everything about a request that can be wrong before the model is asked.
asio::awaitable<api::ApiResult<Run>> prepare(Service& service, const http::Request& http_request) {
  const auto model = co_await service.model().wait();
  if (!model.ok()) co_return model.error();
  auto request = read_request(service, **model, http_request);
  if (!request.ok()) co_return request.error();
  Asker asker = service.asker_of(http_request);
  auto history = co_await find_history(service, *request, asker.owner);
  if (!history.ok()) co_return history.error();
  service.log_warnings(http_request, request->warnings);
  co_return std::make_shared<ResponseRun>(
      service, **model, std::move(*request), std::move(*history), std::move(asker)
  );
}

asio::awaitable<void> answer_whole(Service& service, http::Exchange& exchange, Run run) {
  const EventOutput nowhere{[](auto) {}, flush_nothing};
  const auto done = co_await run->run(nowhere);
  if (!done.ok()) {
    co_await reply_error(service, exchange, done.error());
    co_return;
  }
  const api::Json response = run->response();
  co_await reply_json(exchange, 200, response);
}

void append_event(const api::StreamEvent& event, std::string& bytes) {
  http::append_sse_event(bytes, event.type, event.data);
}

asio::awaitable<void> answer_stream(Service& service, http::Exchange& exchange, Run run) {
  SseAnswer sse(exchange);
  const auto take = [&sse](const std::vector<api::StreamEvent>& events) {
    for (const api::StreamEvent& event : events) append_event(event, sse.bytes());
  };
  const auto flush = [&sse] { return sse.flush(); };
  const EventOutput output{take, flush};
  auto answer = run->run(output);
  const auto done = co_await unless_stopped(service, std::move(answer));
  if (!done) {
    const api::ApiError stopping = server_stopping();
    co_await run->fail(stopping, output);
  } else if (!done->ok()) {
    co_await reply_error(service, exchange, done->error());
    co_return;
  }
  co_await exchange.end_stream();
}

/// Makes a response that no connection waits for.
asio::awaitable<void> run_job(Service& service, std::shared_ptr<ResponseJob> job, Run run) {
  const auto take = [&](const std::vector<api::StreamEvent>& events) {
    // A copy at each token would make long responses slow: whole items are enough for who asks.
    const bool is_delta = events.size() == 1 && events.front().type.ends_with(".delta");
    if (!is_delta) job->set_object(run->response());
    for (const api::StreamEvent& event : events) {
      std::string bytes;
      append_event(event, bytes);
      job->publish(bytes);
    }
  };
  const EventOutput publish{take, flush_nothing};
  std::optional<api::ApiError> failure;
  bool is_called_off = false;
  try {
    const auto done = co_await run->run(publish);
    if (!done.ok()) failure = done.error();
  } catch (const boost::system::system_error&) {
    is_called_off = true;
  } catch (const std::exception& exception) {
    service.log().error("failed", {{"id", run->id()}, {"reason", exception.what()}});
    failure = server_failed();
  }
  if (failure) co_await run->fail(*failure, publish);
  if (is_called_off) {
    co_await asio::this_coro::reset_cancellation_state();
    const api::ApiError stopping = server_stopping();
    if (service.is_stopping()) {
      co_await run->fail(stopping, publish);
    } else {
      co_await run->call_off(publish);
    }
  }
  job->publish("");
  service.jobs().remove(run->id());
}

std::shared_ptr<ResponseJob> start_job(Service& service, const Asker& asker, const Run& run) {
  const asio::any_io_executor strand = asio::make_strand(service.context());
  auto job = std::make_shared<ResponseJob>(asker.owner, strand);
  api::Json object = run->response();
  object["status"] = "queued";
  job->set_object(std::move(object));
  service.jobs().add(run->id(), job);
  asio::co_spawn(
      strand, run_job(service, job, run), asio::bind_cancellation_slot(job->slot(), asio::detached)
  );
  return job;
}

/// The events of a job from one of them on, until its end.
asio::awaitable<void> follow_job(
    http::Exchange& exchange, std::shared_ptr<ResponseJob> job, std::size_t num_skipped
) {
  constexpr std::chrono::hours kPatience{24};
  const auto mailbox = job->follow(exchange.executor());
  co_await exchange.begin_stream(http::kEventStream);
  while (true) {
    const auto events = co_await mailbox->next(kPatience);
    for (const std::string& event : events) {
      if (event.empty()) {
        co_await exchange.end_stream();
        co_return;
      }
      if (num_skipped > 0) {
        --num_skipped;
        continue;
      }
      co_await exchange.send(event);
    }
  }
}

asio::awaitable<void> create_response(Service& service, http::Exchange& exchange) {
  const auto run = co_await prepare(service, exchange.request());
  if (!run.ok()) {
    co_await reply_error(service, exchange, run.error());
  } else if ((*run)->request().background) {
    const auto job = start_job(service, service.asker_of(exchange.request()), *run);
    if ((*run)->request().stream) {
      co_await follow_job(exchange, job, 0);
    } else {
      const api::Json object = job->object();
      co_await reply_json(exchange, 200, object);
    }
  } else if ((*run)->request().stream) {
    co_await answer_stream(service, exchange, *run);
  } else {
    co_await answer_whole(service, exchange, *run);
  }
}

std::size_t events_to_skip(const http::Request& request) {
  const auto after = request.query.find("starting_after");
  if (after == request.query.end()) return 0;
  return static_cast<std::size_t>(std::strtoull(after->second.c_str(), nullptr, 10)) + 1;
}

asio::awaitable<void> get_response(Service& service, http::Exchange& exchange, std::string id) {
  const http::Request& request = exchange.request();
  const std::string owner = service.asker_of(request).owner;
  const auto stream = request.query.find("stream");
  if (const auto job = service.jobs().find(id, owner)) {
    if (stream != request.query.end() && stream->second == "true") {
      co_await follow_job(exchange, job, events_to_skip(request));
    } else {
      const api::Json object = job->object();
      co_await reply_json(exchange, 200, object);
    }
    co_return;
  }
  auto stored = co_await find_response(service, id, owner);
  if (!stored.ok()) {
    co_await reply_error(service, exchange, stored.error());
    co_return;
  }
  co_await exchange.reply(200, "application/json", std::move(stored->response));
}

asio::awaitable<void> delete_response(Service& service, http::Exchange& exchange, std::string id) {
  constexpr std::chrono::seconds kPatience{30};
  const std::string owner = service.asker_of(exchange.request()).owner;
  if (const auto job = service.jobs().find(id, owner)) job->cancel();
  const auto stored = co_await find_response(service, id, owner);
  if (!stored.ok()) {
    co_await reply_error(service, exchange, stored.error());
    co_return;
  }
  auto work = [store = service.store(), id, owner](const std::stop_token&) {
    return store->remove(id, owner);
  };
  const auto removed = co_await service.pool().run(std::move(work), kPatience);
  if (!removed || !removed->ok()) {
    const api::ApiError error{
        .status = 500, .type = "server_error", .message = "the response could not be deleted"};
    co_await reply_error(service, exchange, error);
    co_return;
  }
  const api::Json body = api::deleted_response(id);
  co_await reply_json(exchange, 200, body);
}

asio::awaitable<void> cancel_response(Service& service, http::Exchange& exchange, std::string id) {
  const std::string owner = service.asker_of(exchange.request()).owner;
  if (const auto job = service.jobs().find(id, owner)) {
    job->cancel();
    constexpr std::chrono::minutes kPatience{1};
    const auto mailbox = job->follow(exchange.executor());
    bool is_over = false;
    while (!is_over) {
      const auto events = co_await mailbox->next(kPatience);
      is_over = events.empty() || events.back().empty();
    }
    const api::Json object = job->object();
    co_await reply_json(exchange, 200, object);
    co_return;
  }
  auto stored = co_await find_response(service, id, owner);
  if (!stored.ok()) {
    co_await reply_error(service, exchange, stored.error());
    co_return;
  }
  const api::Json object = api::Json::parse(stored->response, nullptr, false);
  if (object.contains("background") && object["background"] == true) {
    co_await reply_json(exchange, 200, object);
  } else {
    co_await reply_error(service, exchange, api::not_cancellable(id));
  }
}

asio::awaitable<void> list_items(Service& service, http::Exchange& exchange, std::string id) {
  const http::Request& request = exchange.request();
  const auto stored = co_await find_response(service, id, service.asker_of(request).owner);
  if (!stored.ok()) {
    co_await reply_error(service, exchange, stored.error());
    co_return;
  }
  const api::Json items = api::Json::parse(stored->input, nullptr, false);
  const auto page = api::list_input_items(items, request.query);
  if (page.ok()) {
    co_await reply_json(exchange, 200, *page);
  } else {
    co_await reply_error(service, exchange, page.error());
  }
}

}  // namespace

void add_response_routes(Router& router, Service& service) {
  using http::Exchange;
  router.add("POST", "/v1/responses", [&service](Exchange& exchange, const std::string&) {
    return create_response(service, exchange);
  });
  router.add("GET", "/v1/responses/{id}", [&service](Exchange& exchange, std::string id) {
    return get_response(service, exchange, std::move(id));
  });
  router.add("DELETE", "/v1/responses/{id}", [&service](Exchange& exchange, std::string id) {
    return delete_response(service, exchange, std::move(id));
  });
  router.add("POST", "/v1/responses/{id}/cancel", [&service](Exchange& exchange, std::string id) {
    return cancel_response(service, exchange, std::move(id));
  });
  router
      .add("GET", "/v1/responses/{id}/input_items", [&service](Exchange& exchange, std::string id) {
        return list_items(service, exchange, std::move(id));
      });
}

}  // namespace gossamer::server
