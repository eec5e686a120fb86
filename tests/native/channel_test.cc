// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <thread>

#include "channel_tools.h"
#include "core/channels/connect.h"
#include "core/channels/listener.h"

namespace godwit::test {
namespace {

using namespace std::chrono_literals;

/// 16 bytes that tell who appended them, and as which in turn.
struct Message {
  std::uint64_t thread;
  std::uint64_t number;
};

std::span<const std::uint8_t> bytes_of(const Message& message) {
  return {reinterpret_cast<const std::uint8_t*>(&message), sizeof message};
}

/// A batch of messages, each in a part of its own.
struct Messages {
  std::vector<Message> messages;
  std::vector<iovec> parts;
};

OutputBatch batch_of(std::vector<Message> messages) {
  auto owner = std::make_shared<Messages>();
  owner->messages = std::move(messages);
  for (Message& message : owner->messages) owner->parts.push_back({&message, sizeof message});
  return OutputBatch{owner->parts, owner->messages.size() * sizeof(Message), owner};
}

/// A batch that fills the socket several times over.
OutputBatch large_batch(std::size_t bytes) {
  struct Large {
    Bytes bytes;
    iovec part;
  };
  auto owner = std::make_shared<Large>();
  owner->bytes.resize(bytes, 0x55);
  owner->part = {owner->bytes.data(), bytes};
  return OutputBatch{{&owner->part, 1}, bytes, owner};
}

TEST_CASE("small buffers and batches of several threads arrive in each thread's order") {
  constexpr std::uint64_t kThreads = 3;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    auto [out, captured] = capturing_channel(1 + seed * 700, seed);
    std::vector<std::thread> threads;
    std::array<std::uint64_t, kThreads> sent{};
    for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        std::mt19937_64 random(seed * 100 + thread);
        std::uint64_t next = 0;
        for (int round = 0; round < 100; ++round) {
          if (random() % 2 == 0) {
            const Message message{thread, next++};
            out->output().append(bytes_of(message));
          } else {
            std::vector<Message> messages(1 + random() % 256);
            for (Message& message : messages) message = {thread, next++};
            if (!out->output().append(batch_of(std::move(messages)))) return;
          }
        }
        sent[thread] = next;
      });
    }
    for (std::thread& thread : threads) thread.join();
    REQUIRE(flush(*out).get().ok());

    const Bytes bytes = captured->take();
    CHECK(out->output().written() == bytes.size());
    CHECK(out->output().queued() == 0);
    REQUIRE(bytes.size() % sizeof(Message) == 0);
    std::array<std::uint64_t, kThreads> received{};
    bool in_order = true;
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(Message)) {
      Message message;
      std::memcpy(&message, bytes.data() + at, sizeof message);
      in_order = in_order && message.thread < kThreads && message.number == received[message.thread]++;
    }
    CHECK(in_order);
    CHECK(received == sent);
  }
}

TEST_CASE("a flush completes when all before it is written, and flushes complete in order") {
  auto [out, captured] = capturing_channel(1000, 5);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> completed;  // number, bytes written by then
  std::promise<void> last;
  constexpr std::uint64_t kFlushes = 50;
  const Bytes piece(3000, 7);
  for (std::uint64_t number = 1; number <= kFlushes; ++number) {
    out->output().append(piece);
    out->output().flush([&, number](Status status) {
      if (status.ok()) completed.emplace_back(number, out->output().written());
      if (number == kFlushes) last.set_value();
    });
  }
  last.get_future().wait();
  REQUIRE(completed.size() == kFlushes);
  for (std::uint64_t number = 1; number <= kFlushes; ++number) {
    CHECK(completed[number - 1] == std::make_pair(number, number * piece.size()));
  }
}

TEST_CASE("a write error is sticky: output is dropped, and every flush tells it") {
  auto [out, peer] = channel_pair();
  peer->close();
  std::mt19937_64 random(1);
  out->output().append(random_bytes(random, 100));
  const Status first = flush(*out).get();
  REQUIRE_FALSE(first.ok());
  CHECK((first.failure().code == EPIPE || first.failure().code == ECONNRESET));
  CHECK(first.failure().syscall == "sendmsg");
  out->output().append(random_bytes(random, 100));
  CHECK_FALSE(out->output().append(large_batch(100)));
  CHECK(out->output().wait_for_room(Clock::now() + 1s, [] { return false; }) == Output::Room::kBroken);
  CHECK(out->output().failure().code == first.failure().code);
  const Status second = flush(*out).get();
  REQUIRE_FALSE(second.ok());
  CHECK(second.failure().code == first.failure().code);
  CHECK(out->output().queued() == 0);
  CHECK(out->output().written() == 0);
}

TEST_CASE("batches in flight are bounded, and a wait for room ends at its deadline") {
  auto [out, peer] = channel_pair();
  constexpr std::size_t kBatch = 512 << 10;
  std::size_t batches = 0;
  Output::Room room = Output::Room::kReady;
  while (batches < 100) {
    room = out->output().wait_for_room(Clock::now() + 50ms, [] { return false; });
    if (room != Output::Room::kReady) break;
    REQUIRE(out->output().append(large_batch(kBatch)));
    ++batches;
  }
  CHECK(room == Output::Room::kTimedOut);
  CHECK(out->output().queued() <= Output::kMaxBatchBytesInFlight + kBatch);
  CHECK(out->output().queued() + out->output().written() == batches * kBatch);
  // A reader makes room again, and everything arrives.
  auto all = read(*peer, batches * kBatch);
  CHECK(out->output().wait_for_room(Clock::now() + 10s, [] { return false; }) == Output::Room::kReady);
  REQUIRE(all.get().ok());
  CHECK(flush(*out).get().ok());
  CHECK(out->output().queued() == 0);
}

TEST_CASE("reads of any size over any chunking return the peer's bytes, and peek consumes nothing") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const Bytes sent = random_bytes(random, 300'000 + random() % 300'000);
    const std::size_t max_chunk = seed % 4 == 0 ? 1 : 1 + random() % 200'000;
    auto channel = *Channel::create(std::make_unique<ScriptedLayer>(sent, max_chunk, seed));
    Bytes received;
    while (received.size() < sent.size()) {
      const std::size_t left = sent.size() - received.size();
      const std::size_t size = std::min(left, random() % (random() % 2 == 0 ? 20 : 100'000));
      const Bytes ahead = *peek(*channel, std::min(size, Channel::kMaxPeek)).get();
      CHECK(channel->bytes_read() == received.size());
      const Bytes piece = *read(*channel, size).get();
      REQUIRE(piece.size() == size);
      CHECK(std::equal(ahead.begin(), ahead.end(), piece.begin()));
      received.insert(received.end(), piece.begin(), piece.end());
      CHECK(channel->bytes_read() == received.size());
    }
    CHECK(received == sent);
    CHECK(*at_end(*channel).get());
  }
}

TEST_CASE("a stream that ends early fails with end of stream, and says where") {
  auto [a, b] = channel_pair();
  const Bytes five(5, 1);
  a->output().append(five);
  REQUIRE(flush(*a).get().ok());
  a->close();
  CHECK_FALSE(*at_end(*b).get());
  for (int again = 0; again < 2; ++again) {
    const Result<Bytes> short_peek = peek(*b, 8).get();
    REQUIRE_FALSE(short_peek.ok());
    CHECK(short_peek.failure().code == Failure::kEndOfStream);
    CHECK(short_peek.failure().message ==
          "The peer closed the connection after 5 bytes, where 3 more had to follow");
  }
  CHECK(*peek(*b, 5).get() == five);  // what did arrive is still there
  CHECK(*read(*b, 5).get() == five);
  CHECK(*at_end(*b).get());
}

TEST_CASE("a second operation on the input is refused while one is under way") {
  auto [a, b] = channel_pair();
  auto waiting = read(*a, 4);
  const Result<bool> second = at_end(*a).get();
  REQUIRE_FALSE(second.ok());
  CHECK(second.failure().code == EBUSY);
  CHECK(second.failure().message ==
        "atEnd() was refused: read() is still under way on this channel's input");
  const Bytes four(4, 9);
  b->output().append(four);
  CHECK(*waiting.get() == four);
  b->output().append(four);
  CHECK(*peek(*a, 4).get() == four);  // the lease is free again
}

TEST_CASE("lengths beyond the caps are refused before any memory is taken") {
  auto [a, b] = channel_pair();
  CHECK(peek(*a, Channel::kMaxPeek + 1).get().failure().code == EINVAL);
  CHECK(read(*a, Channel::kMaxRead + 1).get().failure().code == EINVAL);
  CHECK(read(*a, ~std::size_t{0}).get().failure().code == EINVAL);
  CHECK(read(*a, 0).get()->empty());
}

TEST_CASE("shutdown ends a pending read, flush and wait for room with ECANCELED within 100 ms") {
  auto [a, b] = channel_pair();
  auto reading = read(*a, 1);
  REQUIRE(a->output().append(large_batch(Output::kMaxBatchBytesInFlight + (1 << 20))));
  auto flushing = flush(*a);
  auto waiting = std::async(std::launch::async, [&a = a] {
    return a->output().wait_for_room(Clock::time_point::max(), [] { return false; });
  });
  CHECK(reading.wait_for(20ms) == std::future_status::timeout);
  CHECK(flushing.wait_for(0ms) == std::future_status::timeout);
  const Clock::time_point start = Clock::now();
  a->shutdown();
  CHECK(reading.get().failure().code == ECANCELED);
  CHECK(flushing.get().failure().code == ECANCELED);
  CHECK(waiting.get() == Output::Room::kBroken);
  CHECK(since(start) < kCancelLimit);
  // Later operations too, and after close() as well.
  CHECK(read(*a, 1).get().failure().code == ECANCELED);
  CHECK(flush(*a).get().failure().code == ECANCELED);
  a->close();
  CHECK(since(start) < 2 * kCancelLimit);
  CHECK(peek(*a, 1).get().failure().code == ECANCELED);
  CHECK(at_end(*a).get().failure().code == ECANCELED);
  CHECK(flush(*a).get().failure().code == ECANCELED);
  CHECK_FALSE(a->output().append(large_batch(10)));
  a->shutdown();
  a->close();
  CHECK(read(*b, 64 << 20).get().failure().code == Failure::kEndOfStream);
}

TEST_CASE("close ends a pending read, and destroying a channel that is busy in both directions does too") {
  auto [a, b] = channel_pair();
  auto reading = read(*a, 1);
  Clock::time_point start = Clock::now();
  a->close();
  CHECK(reading.get().failure().code == ECANCELED);
  CHECK(since(start) < kCancelLimit);

  auto [c, d] = channel_pair();
  auto busy = read(*c, 1);
  REQUIRE(c->output().append(large_batch(8 << 20)));
  auto flushing = flush(*c);
  start = Clock::now();
  c.reset();
  CHECK(busy.get().failure().code == ECANCELED);
  CHECK(flushing.get().failure().code == ECANCELED);
  CHECK(since(start) < kCancelLimit);
}

TEST_CASE("a connection that the peer resets fails with ECONNRESET, again and again") {
  const auto cancel = *Interrupt::create();
  const auto listener = *Listener::open(TcpTarget{"127.0.0.1", 0});
  auto near = adopt(*connect_socket(listener->address(), *cancel));
  UniqueFd far = *listener->accept(*cancel);
  auto reading = read(*near, 1);
  const linger reset_on_close{1, 0};
  REQUIRE(::setsockopt(far.get(), SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close) == 0);
  far.reset();
  CHECK(reading.get().failure().code == ECONNRESET);
  CHECK(read(*near, 1).get().failure().code == ECONNRESET);
  CHECK(at_end(*near).get().failure().code == ECONNRESET);
}

TEST_CASE("a channel refuses what is not a stream socket") {
  CHECK(Channel::adopt(UniqueFd(::eventfd(0, EFD_CLOEXEC))).failure().code == ENOTSOCK);
  CHECK(Channel::adopt(UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))).failure().code == EINVAL);
}

}  // namespace
}  // namespace godwit::test
