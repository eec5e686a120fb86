// SPDX-License-Identifier: Apache-2.0
// What the tests of channels and pages share: layers without a socket, pairs of sockets, and waiting for completions.
#pragma once

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/channels/channel.h"
#include "core/memory/guest_memory.h"

namespace godwit::test {

using Clock = std::chrono::steady_clock;

/// How long a cancelled operation may take, by the design; sanitizers slow everything down several times.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr std::chrono::milliseconds kCancelLimit{500};
#else
inline constexpr std::chrono::milliseconds kCancelLimit{100};
#endif

inline std::chrono::milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
}

/// Runs an operation that tells its outcome by a completion.
template <typename T, typename Operation>
std::future<Result<T>> begin(Operation operation) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> outcome = promise->get_future();
  operation([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return outcome;
}

inline std::future<Status> flush(Channel& channel) {
  return begin<Unit>([&](Completion<> done) { channel.output().flush(std::move(done)); });
}
inline std::future<Result<Bytes>> read(Channel& channel, std::size_t bytes) {
  return begin<Bytes>([&](Completion<Bytes> done) { channel.read(bytes, std::move(done)); });
}
inline std::future<Result<Bytes>> peek(Channel& channel, std::size_t bytes) {
  return begin<Bytes>([&](Completion<Bytes> done) { channel.peek(bytes, std::move(done)); });
}
inline std::future<Result<bool>> at_end(Channel& channel) {
  return begin<bool>([&](Completion<bool> done) { channel.at_end(std::move(done)); });
}

inline std::pair<UniqueFd, UniqueFd> socket_pair() {
  std::array<int, 2> fds{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline std::shared_ptr<Channel> adopt(UniqueFd socket) {
  Result<std::shared_ptr<Channel>> channel = Channel::adopt(std::move(socket));
  REQUIRE(channel.ok());
  return *channel;
}

inline std::pair<std::shared_ptr<Channel>, std::shared_ptr<Channel>> channel_pair() {
  auto [a, b] = socket_pair();
  return {adopt(std::move(a)), adopt(std::move(b))};
}

inline Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

inline std::shared_ptr<GuestMemory> make_memory(const std::string& name, std::uint64_t pages) {
  GuestMemoryOptions options;
  options.name = name;
  options.size = pages * kPageSize;
  Result<std::shared_ptr<GuestMemory>> memory = GuestMemory::create(options);
  REQUIRE(memory.ok());
  return *memory;
}

/// A mix of zero pages, random pages, and pages with one byte set near an end.
inline void fill_pages(GuestMemory& memory, std::mt19937_64& random) {
  for (std::uint64_t page = 0; page < memory.pages(); ++page) {
    std::uint8_t* const at = memory.data() + page * kPageSize;
    switch (random() % 4) {
      case 0:
        std::memset(at, 0, kPageSize);
        break;
      case 1:
        std::memset(at, 0, kPageSize);
        at[random() % 2 == 0 ? 0 : kPageSize - 1] = 1;
        break;
      default:
        for (std::uint64_t byte = 0; byte < kPageSize; ++byte) at[byte] = static_cast<std::uint8_t>(random());
    }
  }
}

inline bool equal(const GuestMemory& a, const GuestMemory& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

/// A peer that sends given bytes in chunks of random sizes up to a limit, then closes.
class ScriptedLayer final : public Layer {
 public:
  ScriptedLayer(Bytes bytes, std::size_t max_chunk, std::uint64_t seed)
      : bytes_(std::move(bytes)), max_chunk_(max_chunk), random_(seed) {}

  IoOutcome read(std::span<iovec> parts) override {
    std::size_t chunk = std::min(bytes_.size() - at_, 1 + random_() % max_chunk_);
    std::size_t moved = 0;
    for (const iovec& part : parts) {
      const std::size_t step = std::min(chunk - moved, part.iov_len);
      if (step > 0) std::memcpy(part.iov_base, bytes_.data() + at_, step);
      at_ += step;
      moved += step;
    }
    return {moved, 0, 0, ""};
  }
  IoOutcome write(std::span<iovec>) override { return {0, EPIPE, 0, "write"}; }
  void shutdown() override {}
  int descriptor() const override { return -1; }

 private:
  const Bytes bytes_;
  std::size_t at_ = 0;
  const std::size_t max_chunk_;
  std::mt19937_64 random_;
};

/// What a CapturingLayer got.
struct Captured {
  std::mutex mutex;
  Bytes bytes;

  Bytes take() {
    std::lock_guard lock(mutex);
    return std::exchange(bytes, {});
  }
};

/// Keeps what is written, a random part at a time, with a full buffer now and then.
class CapturingLayer final : public Layer {
 public:
  CapturingLayer(std::shared_ptr<Captured> captured, std::size_t max_chunk, std::uint64_t seed)
      : captured_(std::move(captured)), max_chunk_(max_chunk), random_(seed), writable_(::eventfd(0, EFD_CLOEXEC)) {}

  IoOutcome read(std::span<iovec>) override { return {0, 0, 0, ""}; }
  IoOutcome write(std::span<iovec> parts) override {
    if (random_() % 8 == 0) return {0, EAGAIN, POLLOUT, "write"};
    const std::size_t chunk = 1 + random_() % max_chunk_;
    std::size_t moved = 0;
    std::lock_guard lock(captured_->mutex);
    for (const iovec& part : parts) {
      const std::size_t step = std::min(chunk - moved, part.iov_len);
      const std::uint8_t* const from = static_cast<const std::uint8_t*>(part.iov_base);
      captured_->bytes.insert(captured_->bytes.end(), from, from + step);
      moved += step;
    }
    return {moved, 0, 0, ""};
  }
  void shutdown() override {}
  int descriptor() const override { return writable_.get(); }

 private:
  const std::shared_ptr<Captured> captured_;
  const std::size_t max_chunk_;
  std::mt19937_64 random_;
  const UniqueFd writable_;
};

inline std::pair<std::shared_ptr<Channel>, std::shared_ptr<Captured>> capturing_channel(std::size_t max_chunk,
                                                                                        std::uint64_t seed) {
  auto captured = std::make_shared<Captured>();
  auto channel = Channel::create(std::make_unique<CapturingLayer>(captured, max_chunk, seed));
  REQUIRE(channel.ok());
  return {*channel, captured};
}

}  // namespace godwit::test
