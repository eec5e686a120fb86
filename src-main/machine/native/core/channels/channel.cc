// SPDX-License-Identifier: Apache-2.0
#include "core/channels/channel.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/channels/descriptor_layer.h"
#include "core/channels/file_layer.h"
#include "core/channels/rights_layer.h"
#include "core/channels/socket_layer.h"

namespace godwit {
namespace {

/// A read grows its memory as bytes arrive: a length that a peer merely announced costs nothing.
constexpr std::size_t kReadStepBytes = 1 << 20;

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Result<Bytes> peek_bytes(InputBuffer& input, std::size_t bytes) {
  if (Status there = input.require(bytes); !there.ok()) return std::move(there).failure();
  return Bytes(input.data(), input.data() + bytes);
}

Result<Bytes> read_bytes(InputBuffer& input, std::size_t bytes) {
  Bytes read;
  while (read.size() < bytes) {
    const std::size_t before = read.size();
    const std::size_t step = std::min(bytes - before, std::max(before, kReadStepBytes));
    read.resize(before + step);
    const Status filled = input.read(std::span(read).subspan(before));
    if (!filled.ok()) return filled.failure();
  }
  return read;
}

}  // namespace

Result<std::shared_ptr<Channel>> Channel::adopt(UniqueFd socket) {
  Result<std::unique_ptr<Layer>> layer = SocketLayer::create(std::move(socket));
  if (!layer) return std::move(layer).failure();
  return create(*std::move(layer));
}

Result<std::shared_ptr<Channel>> Channel::adopt_with_rights(UniqueFd socket) {
  Result<std::unique_ptr<Layer>> layer = RightsLayer::create(std::move(socket));
  if (!layer) return std::move(layer).failure();
  return create(*std::move(layer));
}

Result<std::shared_ptr<Channel>> Channel::create(std::unique_ptr<Layer> layer) {
  Result<std::shared_ptr<Interrupt>> stop = Interrupt::create();
  if (!stop) return std::move(stop).failure();
  return std::shared_ptr<Channel>(new Channel(std::move(layer), *std::move(stop)));
}

Result<std::shared_ptr<Channel>> Channel::on_descriptor(int fd, std::uint64_t offset) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Failure::from_errno("fstat", "Unable to use the descriptor as a channel");
  UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own) return Failure::from_errno("fcntl", "Unable to duplicate the descriptor of a channel");
  if (S_ISSOCK(status.st_mode)) return adopt(std::move(own));
  Result<std::unique_ptr<Layer>> layer = S_ISREG(status.st_mode) ? FileLayer::create(std::move(own), offset)
                                                                 : DescriptorLayer::create(std::move(own));
  if (!layer) return std::move(layer).failure();
  return create(*std::move(layer));
}

Channel::Channel(std::unique_ptr<Layer> layer, std::shared_ptr<Interrupt> stop)
    : id_(next_id()),
      stop_(std::move(stop)),
      layer_(std::move(layer)),
      input_(*layer_, *stop_),
      output_(*layer_, *stop_),
      reader_(std::make_unique<Worker>("channel-in")) {}

void Channel::peek(std::size_t bytes, Completion<Bytes> done) {
  if (bytes > kMaxPeek) {
    return done(Failure::invalid("peek() takes at most " + std::to_string(kMaxPeek) + " bytes"));
  }
  use_input<Bytes>("peek", [bytes](InputBuffer& input) { return peek_bytes(input, bytes); }, std::move(done));
}

void Channel::read(std::size_t bytes, Completion<Bytes> done) {
  if (bytes > kMaxRead) {
    return done(Failure::invalid("read() takes at most " + std::to_string(kMaxRead) + " bytes"));
  }
  use_input<Bytes>("read", [bytes](InputBuffer& input) { return read_bytes(input, bytes); }, std::move(done));
}

void Channel::at_end(Completion<bool> done) {
  use_input<bool>("atEnd", [](InputBuffer& input) { return input.at_end(); }, std::move(done));
}

void Channel::receive(Completion<Received> done) {
  use_input<Received>("receive", [](InputBuffer& input) { return input.receive(); }, std::move(done));
}

std::optional<Failure> Channel::take_lease(const char* name) {
  const char* holder = nullptr;
  if (lease_.compare_exchange_strong(holder, name, std::memory_order_acq_rel)) return std::nullopt;
  return Failure{EBUSY, "",
                 std::string(name) + "() was refused: " + holder + "() is still under way on this channel's input"};
}

bool Channel::post_to_reader(Worker::Job job) {
  std::lock_guard lock(mutex_);
  if (!reader_) return false;
  reader_->post(std::move(job));
  return true;
}

void Channel::shutdown() {
  stop_->raise();
  {
    std::lock_guard lock(mutex_);
    if (layer_) layer_->shutdown();  // does not block
  }
  output_.wake();
}

void Channel::close() {
  shutdown();
  std::unique_ptr<Worker> reader;
  {
    std::lock_guard lock(mutex_);
    reader = std::move(reader_);
  }
  reader.reset();
  output_.join();
  std::lock_guard lock(mutex_);
  // Nobody uses any of it any more. The object itself may live on for long: until JavaScript's collector comes by.
  layer_.reset();
  stop_->retire();
  input_.release();
}

}  // namespace godwit
