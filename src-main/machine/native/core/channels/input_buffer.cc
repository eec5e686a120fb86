// SPDX-License-Identifier: Apache-2.0
#include "core/channels/input_buffer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace godwit {

InputBuffer::InputBuffer(Layer& layer, const Interrupt& stop)
    : layer_(layer), stop_(stop), storage_(std::make_unique_for_overwrite<std::uint8_t[]>(kCapacity)) {}

Status InputBuffer::require(std::size_t bytes) {
  if (bytes > kMaxRequire) return Failure::invalid("More bytes were asked for at once than the input buffer holds");
  if (stop_.raised()) return stopped();
  if (size() >= bytes) return success();
  if (size() == 0) start_ = end_ = 0;
  if (kCapacity - start_ < kMaxRequire) {
    std::memmove(storage_.get(), data(), size());
    end_ = size();
    start_ = 0;
  }
  while (size() < bytes) {
    iovec rest{storage_.get() + end_, kCapacity - end_};
    const Result<std::size_t> received = receive({&rest, 1}, bytes - size());
    if (!received) return received.failure();
    end_ += *received;
  }
  return success();
}

void InputBuffer::consume(std::size_t bytes) {
  start_ += bytes;
  position_.store(position_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

Status InputBuffer::read(std::span<std::uint8_t> into) {
  if (stop_.raised()) return stopped();
  const std::size_t buffered = std::min(into.size(), size());
  if (buffered > 0) std::memcpy(into.data(), data(), buffered);
  consume(buffered);
  into = into.subspan(buffered);
  while (!into.empty()) {
    // The buffer is empty here: what is asked for first, then whatever follows it.
    start_ = end_ = 0;
    std::array<iovec, 2> parts{iovec{into.data(), into.size()}, iovec{storage_.get(), kCapacity}};
    const Result<std::size_t> received = receive(parts, into.size());
    if (!received) return received.failure();
    const std::size_t wanted = std::min(*received, into.size());
    end_ = *received - wanted;
    position_.store(position_.load(std::memory_order_relaxed) + wanted, std::memory_order_relaxed);
    into = into.subspan(wanted);
  }
  return success();
}

Result<Received> InputBuffer::receive() {
  const Result<bool> end = at_end();
  if (!end) return end.failure();
  Received received{{data(), data() + size()}, layer_.take_descriptors()};
  consume(size());
  return received;
}

Result<bool> InputBuffer::at_end() {
  if (stop_.raised()) return stopped();
  if (size() > 0) return false;
  const Status one = require(1);
  if (one.ok()) return false;
  if (one.failure().code == Failure::kEndOfStream) return true;
  return one.failure();
}

void InputBuffer::release() {
  storage_.reset();
  start_ = end_ = 0;
}

/// Receives at least one byte. `missing` is only for the message.
Result<std::size_t> InputBuffer::receive(std::span<iovec> parts, std::size_t missing) {
  for (;;) {
    if (stop_.raised()) return stopped();
    if (broken_) return *broken_;
    if (ended_) {
      return Failure{Failure::kEndOfStream, "",
                     "The peer closed the connection after " + std::to_string(position() + size()) + " bytes, where " +
                         std::to_string(missing) + " more had to follow"};
    }
    const IoOutcome outcome = layer_.read(parts);
    if (outcome.bytes > 0) return outcome.bytes;
    if (stop_.raised()) return stopped();
    if (outcome.error == EAGAIN) {
      const Readiness seen = wait_ready(layer_.descriptor(), outcome.wait_for, {&stop_}, layer_.look_again());
      const int lost = seen == Readiness::kTimedOut ? layer_.lost() : 0;
      if (lost != 0) broken_ = Failure::from_code(lost, "", "The peer's host no longer answers");
    } else if (outcome.error == 0) {
      ended_ = true;
    } else {
      broken_ = Failure::from_code(outcome.error, outcome.syscall, "Unable to read from the channel");
    }
  }
}

}  // namespace godwit
