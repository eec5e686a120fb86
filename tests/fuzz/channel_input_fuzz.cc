// SPDX-License-Identifier: Apache-2.0
// A channel's peek, read and atEnd in any order, with any lengths, over any bytes in any chunks. A model that has all
// the bytes says what each must answer.
//
//   input := chunking (3 bytes), ending (1 byte), count of operations (1 byte), operations (4 bytes each), the stream
#include <future>
#include <memory>
#include <utility>

#include "core/channels/channel.h"
#include "fuzz_tools.h"

namespace godwit::fuzz {
namespace {

template <typename T, typename Operation>
Result<T> wait_for(Operation operation) {
  std::promise<Result<T>> promise;
  operation([&promise](Result<T> result) { promise.set_value(std::move(result)); });
  return promise.get_future().get();
}

class Model {
 public:
  Model(Channel& channel, ByteSpan bytes, int ending) : channel_(channel), rest_(bytes), ending_(ending) {}

  void peek(std::size_t length) {
    const Result<Bytes> got = wait_for<Bytes>([&](auto done) { channel_.peek(length, std::move(done)); });
    if (length > Channel::kMaxPeek) return check_refused(got);
    if (length > rest_.size()) return check_ended(got);
    check_bytes(got, length);
  }

  void read(std::size_t length) {
    const Result<Bytes> got = wait_for<Bytes>([&](auto done) { channel_.read(length, std::move(done)); });
    if (length > Channel::kMaxRead) return check_refused(got);
    if (length > rest_.size()) {
      check_ended(got);
      rest_ = {};  // what was there has been consumed by the attempt
      return;
    }
    check_bytes(got, length);
    rest_ = rest_.subspan(length);
  }

  void at_end() {
    const Result<bool> end = wait_for<bool>([&](auto done) { channel_.at_end(std::move(done)); });
    if (rest_.empty() && ending_ != 0) {
      FUZZ_CHECK(!end && end.failure().code == ending_);
    } else {
      FUZZ_CHECK(end && *end == rest_.empty());
    }
  }

 private:
  void check_bytes(const Result<Bytes>& got, std::size_t length) const {
    FUZZ_CHECK(got && got->size() == length && std::equal(got->begin(), got->end(), rest_.begin()));
  }
  void check_ended(const Result<Bytes>& got) const {
    FUZZ_CHECK(!got && got.failure().code == (ending_ == 0 ? Failure::kEndOfStream : ending_));
  }
  static void check_refused(const Result<Bytes>& got) { FUZZ_CHECK(!got && got.failure().code == EINVAL); }

  Channel& channel_;
  ByteSpan rest_;
  const int ending_;
};

/// Small lengths mostly; now and then around a limit, or far beyond it.
std::size_t length_of(std::uint8_t scale, std::uint32_t value) {
  switch (scale % 8) {
    case 0:
      return Channel::kMaxPeek - 2 + value % 5;
    case 1:
      return Channel::kMaxRead - 2 + value % 5;
    case 2:
      return std::size_t{value} << 24;
    default:
      return value % 512;
  }
}

void run(ByteSpan bytes) {
  Script script(bytes);
  Chunking chunking;
  chunking.max_bytes = 1 + script.word(2);
  chunking.seed = script.byte();
  const std::uint8_t bits = script.byte();
  chunking.hesitates = (bits & 1) != 0;
  chunking.ending = (bits & 2) != 0 ? ECONNRESET : 0;
  Script operations(script.take(std::size_t{4} * script.byte()));
  const ByteSpan stream = script.rest();

  const std::shared_ptr<Channel> channel = *Channel::create(std::make_unique<BytePeer>(stream, chunking));
  Model model(*channel, stream, chunking.ending);
  while (!operations.empty()) {
    const std::uint8_t kind = operations.byte();
    const std::size_t length = length_of(kind >> 2, operations.word(3));
    if (kind % 4 == 0) {
      model.at_end();
    } else if (kind % 4 == 1) {
      model.peek(length);
    } else {
      model.read(length);
    }
    FUZZ_CHECK(channel->bytes_read() <= stream.size());
  }
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  godwit::fuzz::run({data, size});
  return 0;
}
