// SPDX-License-Identifier: Apache-2.0
// A tcp peer whose host is gone, as opposed to one that is slow.
#include <doctest/doctest.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "channel_tools.h"
#include "core/channels/socket_layer.h"

namespace godwit::test {
namespace {

using namespace std::chrono_literals;

constexpr LinkLimits kSoon{.unanswered = 900ms, .look_again = 50ms};

struct TcpPair {
  UniqueFd ours;
  UniqueFd theirs;
};

TcpPair tcp_pair() {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  sockaddr* const any = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(listener.get(), any, sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), any, &length) == 0);
  UniqueFd ours(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(ours.get(), any, sizeof address) == 0);
  UniqueFd theirs(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(theirs);
  return {std::move(ours), std::move(theirs)};
}

/// From now on nothing reaches the socket, and nobody is told: as if the cable were cut.
void cut(const UniqueFd& socket) {
  sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &drop};
  REQUIRE(::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}

std::shared_ptr<Channel> channel_on(UniqueFd socket) {
  Result<std::unique_ptr<Layer>> layer = SocketLayer::create(std::move(socket), kSoon);
  REQUIRE(layer.ok());
  Result<std::shared_ptr<Channel>> channel = Channel::create(*std::move(layer));
  REQUIRE(channel.ok());
  return *channel;
}

int option(int socket, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  REQUIRE(::getsockopt(socket, IPPROTO_TCP, name, &value, &length) == 0);
  return value;
}

TEST_CASE("a host that is gone is noticed by who waits for its answer") {
  TcpPair pair = tcp_pair();
  const std::shared_ptr<Channel> channel = channel_on(std::move(pair.ours));
  cut(pair.theirs);
  channel->output().append(Bytes(100, 7));
  REQUIRE(flush(*channel).get().ok());  // the kernel has taken it; it never arrives
  const Result<Bytes> answer = read(*channel, 1).get();
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.failure().code == ETIMEDOUT);
  CHECK(answer.failure().message == "The peer's host no longer answers: Connection timed out");
}

TEST_CASE("a host that is gone is noticed by who waits for room") {
  TcpPair pair = tcp_pair();
  const std::shared_ptr<Channel> channel = channel_on(std::move(pair.ours));
  cut(pair.theirs);
  channel->output().append(Bytes(32 << 20, 7));
  const Status sent = flush(*channel).get();
  REQUIRE_FALSE(sent.ok());
  CHECK(sent.failure().code == ETIMEDOUT);
}

TEST_CASE("a peer that takes nothing for long is not given up while its host answers") {
  TcpPair pair = tcp_pair();
  const std::shared_ptr<Channel> channel = channel_on(std::move(pair.ours));
  channel->output().append(Bytes(32 << 20, 7));
  std::future<Status> sent = flush(*channel);
  CHECK(sent.wait_for(3 * kSoon.unanswered) == std::future_status::timeout);
  channel->close();
  CHECK(sent.get().failure().code == ECANCELED);
}

TEST_CASE("a connection on which nothing is on its way is probed until the limit") {
  TcpPair pair = tcp_pair();
  const auto layer = SocketLayer::create(std::move(pair.ours));
  REQUIRE(layer.ok());
  const int socket = (*layer)->descriptor();
  const int seconds = option(socket, TCP_KEEPIDLE) + option(socket, TCP_KEEPINTVL) * option(socket, TCP_KEEPCNT);
  CHECK(seconds == 30);
}

}  // namespace
}  // namespace godwit::test
