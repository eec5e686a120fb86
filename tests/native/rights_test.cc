// SPDX-License-Identifier: Apache-2.0
// Descriptors that come along with bytes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "channel_tools.h"
#include "core/channels/rights_layer.h"

namespace godwit::test {
namespace {

std::future<Result<Received>> receive(Channel& channel) {
  return begin<Received>([&](Completion<Received> done) { channel.receive(std::move(done)); });
}

std::string text_of(const Received& received) { return {received.bytes.begin(), received.bytes.end()}; }

/// One message with descriptors, as a client of a monitor sends it.
void send_with(int socket, const std::string& text, const std::vector<int>& fds) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(64 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  }
  REQUIRE(::sendmsg(socket, &message, 0) == static_cast<ssize_t>(text.size()));
}

/// A pipe whose write end was passed on: its reader sees the end when nobody holds it any more.
struct PassedPipe {
  UniqueFd read_end;
  UniqueFd write_end;

  PassedPipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  void pass(int socket, const std::string& text) {
    send_with(socket, text, {write_end.get()});
    write_end.reset();
  }
  bool abandoned() const {
    char byte = 0;
    return ::read(read_end.get(), &byte, 1) == 0;
  }
};

struct Monitor {
  UniqueFd client;
  std::shared_ptr<Channel> server;

  Monitor() {
    auto [a, b] = socket_pair();
    client = std::move(a);
    Result<std::shared_ptr<Channel>> channel = Channel::adopt_with_rights(std::move(b));
    REQUIRE(channel.ok());
    server = *channel;
  }
};

TEST_CASE("descriptors arrive with the bytes that they were sent with, and are closed on exec") {
  Monitor monitor;
  PassedPipe pipe;
  send_with(monitor.client.get(), "plain", {});
  pipe.pass(monitor.client.get(), "getfd");
  std::string text;
  std::vector<UniqueFd> got;
  while (text.size() < 10) {
    Received received = *receive(*monitor.server).get();
    text += text_of(received);
    for (UniqueFd& fd : received.descriptors) got.push_back(std::move(fd));
  }
  CHECK(text == "plaingetfd");
  REQUIRE(got.size() == 1);
  CHECK((::fcntl(got[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  REQUIRE(::write(got[0].get(), "x", 1) == 1);
  char byte = 0;
  CHECK(::read(pipe.read_end.get(), &byte, 1) == 1);
  got.clear();
  CHECK(pipe.abandoned());
}

TEST_CASE("the end of the client's output is a receipt of nothing, and what is queued for it still goes out") {
  Monitor monitor;
  REQUIRE(::shutdown(monitor.client.get(), SHUT_WR) == 0);
  const Received received = *receive(*monitor.server).get();
  CHECK(received.bytes.empty());
  CHECK(received.descriptors.empty());
  const Bytes reply{'o', 'k'};
  monitor.server->output().append(reply);
  CHECK(flush(*monitor.server).get().ok());
}

TEST_CASE("descriptors that nobody takes are closed: with the channel, and beyond what one message may carry") {
  PassedPipe left;
  {
    Monitor monitor;
    left.pass(monitor.client.get(), "x");
    CHECK(*begin<bool>([&](Completion<bool> done) { monitor.server->at_end(std::move(done)); }).get() == false);
  }
  CHECK(left.abandoned());

  Monitor monitor;
  PassedPipe many;
  std::vector<int> fds(RightsLayer::kMaxDescriptors + 8, many.write_end.get());
  send_with(monitor.client.get(), "x", fds);
  many.write_end.reset();
  {
    const Received received = *receive(*monitor.server).get();
    CHECK(received.descriptors.size() == RightsLayer::kMaxDescriptors);
    CHECK_FALSE(many.abandoned());
  }
  CHECK(many.abandoned());
}

TEST_CASE("a channel that takes no descriptors drops those that are sent to it") {
  auto [client, server] = socket_pair();
  const auto channel = adopt(std::move(server));
  PassedPipe pipe;
  pipe.pass(client.get(), "x");
  const Received received = *receive(*channel).get();
  CHECK(text_of(received) == "x");
  CHECK(received.descriptors.empty());
  CHECK(pipe.abandoned());
}

}  // namespace
}  // namespace godwit::test
