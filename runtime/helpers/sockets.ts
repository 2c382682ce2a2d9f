// Helpers about sockets. Nothing in the emulated machine opens one, so that every lookup finds nothing; the only socket is
// that of a packet under test, which is not connected.

import { SkbFrame, Socket } from '../layout';

const TCP_TIME_WAIT: u32 = 6;
const TCP_LISTEN: u32 = 10;
const TCP_NEW_SYN_RECV: u32 = 12;
const IPPROTO_TCP: u32 = 6;

/** The cookie that was given last. */
let cookies: u64 = 0;

@inline function isFull(socket: Socket): bool {
  return socket.state != TCP_TIME_WAIT && socket.state != TCP_NEW_SYN_RECV;
}

export function bpf_sk_lookup_tcp(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  return 0;
}

export function bpf_sk_lookup_udp(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  return 0;
}

export function bpf_skc_lookup_tcp(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  return 0;
}

export function bpf_sk_release(cpu: usize, r1: u64): u64 {
  return 0;
}

export function bpf_sk_fullsock(cpu: usize, r1: u64): u64 {
  return isFull(changetype<Socket>(r1 as usize)) ? r1 : 0;
}

export function bpf_tcp_sock(cpu: usize, r1: u64): u64 {
  const socket = changetype<Socket>(r1 as usize);
  return isFull(socket) && socket.protocol == IPPROTO_TCP ? r1 : 0;
}

export function bpf_get_listener_sock(cpu: usize, r1: u64): u64 {
  return changetype<Socket>(r1 as usize).state == TCP_LISTEN ? r1 : 0;
}

/** Casts to sockets of protocols that the emulated machine does not have. */
export function bpf_skc_to_tcp_sock(cpu: usize, r1: u64): u64 {
  return 0;
}
export function bpf_skc_to_tcp6_sock(cpu: usize, r1: u64): u64 {
  return 0;
}
export function bpf_skc_to_tcp_timewait_sock(cpu: usize, r1: u64): u64 {
  return 0;
}
export function bpf_skc_to_tcp_request_sock(cpu: usize, r1: u64): u64 {
  return 0;
}
export function bpf_skc_to_udp6_sock(cpu: usize, r1: u64): u64 {
  return 0;
}
export function bpf_skc_to_unix_sock(cpu: usize, r1: u64): u64 {
  return 0;
}
export function bpf_skc_to_mptcp_sock(cpu: usize, r1: u64): u64 {
  return 0;
}

/** bpf_get_socket_cookie(skb): a number that the socket keeps. */
export function bpf_get_socket_cookie(cpu: usize, r1: u64): u64 {
  const socket = changetype<Socket>(changetype<SkbFrame>(r1 as usize).sk as usize);
  if (!socket.cookie) socket.cookie = ++cookies;
  return socket.cookie;
}

/** The socket of a packet under test belongs to root. */
export function bpf_get_socket_uid(cpu: usize, r1: u64): u64 {
  return 0;
}
