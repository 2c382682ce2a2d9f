// Helpers of sockets: lookup, options, redirection, TCP, sysctl, infrared.

import { ProgType } from '../../../../bpf/types.js';
import type { HelperSignature, ProgramSelector } from '../types.js';
import {
  anything,
  btf,
  btfResultOrNull,
  btfSock,
  btfSockOrNull,
  btfSockRelease,
  ctx,
  fixedIn,
  integer,
  map,
  mapKey,
  memIn,
  memInOut,
  memOut,
  row,
  size,
  sizeOrZero,
  sockCommon,
  sockCommonResult,
  socketOrNull,
  socketResult,
  tcpSockResult,
} from './terms.js';

/** These name sockets by BTF pointers. */
const btfTracing: readonly ProgramSelector[] = [
  { type: ProgType.Tracing },
  { type: ProgType.Lsm },
  { type: ProgType.Syscall },
];
const ofSockAddr: readonly ProgramSelector[] = [{ type: ProgType.CgroupSockAddr }];
const ofSocketContext: readonly ProgramSelector[] = [...ofSockAddr, { type: ProgType.SockOps }];

export const socketSignatures: readonly HelperSignature[] = [
  row(46, 'get_socket_cookie', '4.12', [ctx], integer, {
    variants: [
      { programs: [...btfTracing, { type: ProgType.SkReuseport }], args: [btfSockOrNull], returns: integer },
    ],
  }),
  row(49, 'setsockopt', '4.13', [btfSock, anything, anything, memIn, size], integer, {
    variants: [{ programs: ofSocketContext, args: [ctx, anything, anything, memIn, size], returns: integer }],
  }),
  row(57, 'getsockopt', '4.15', [btfSock, anything, anything, memOut, size], integer, {
    variants: [
      { programs: ofSocketContext, args: [ctx, anything, anything, memOut, size], returns: integer },
    ],
  }),
  row(59, 'sock_ops_cb_flags_set', '4.16', [ctx, anything], integer),
  row(64, 'bind', '4.17', [ctx, memIn, size], integer),
  row(52, 'sk_redirect_map', '4.14', [ctx, map, anything, anything], integer),
  row(53, 'sock_map_update', '4.14', [ctx, map, mapKey, anything], integer, { packetAccess: true }),
  row(60, 'msg_redirect_map', '4.17', [ctx, map, anything, anything], integer),
  row(61, 'msg_apply_bytes', '4.17', [ctx, anything], integer),
  row(62, 'msg_cork_bytes', '4.17', [ctx, anything], integer),
  row(63, 'msg_pull_data', '4.17', [ctx, anything, anything, anything], integer, { changesPacket: true }),
  row(70, 'sock_hash_update', '4.18', [ctx, map, mapKey, anything], integer, { packetAccess: true }),
  row(71, 'msg_redirect_hash', '4.18', [ctx, map, mapKey, anything], integer),
  row(72, 'sk_redirect_hash', '4.18', [ctx, map, mapKey, anything], integer),
  row(82, 'sk_select_reuseport', '4.19', [ctx, map, mapKey, anything], integer),
  row(84, 'sk_lookup_tcp', '4.20', [ctx, memIn, sizeOrZero, anything, anything], socketResult, {
    packetAccess: true,
    acquires: true,
    variants: [
      { programs: ofSockAddr, args: [ctx, memIn, sizeOrZero, anything, anything], returns: socketResult },
    ],
  }),
  row(85, 'sk_lookup_udp', '4.20', [ctx, memIn, sizeOrZero, anything, anything], socketResult, {
    packetAccess: true,
    acquires: true,
    variants: [
      { programs: ofSockAddr, args: [ctx, memIn, sizeOrZero, anything, anything], returns: socketResult },
    ],
  }),
  row(86, 'sk_release', '4.20', [btfSockRelease], integer),
  row(90, 'msg_push_data', '4.20', [ctx, anything, anything, anything], integer, { changesPacket: true }),
  row(91, 'msg_pop_data', '5.0', [ctx, anything, anything, anything], integer, { changesPacket: true }),
  row(95, 'sk_fullsock', '5.1', [sockCommon], socketResult, { castsSocket: true }),
  row(96, 'tcp_sock', '5.1', [sockCommon], tcpSockResult, { castsSocket: true }),
  row(98, 'get_listener_sock', '5.1', [sockCommon], socketResult),
  row(99, 'skc_lookup_tcp', '5.2', [ctx, memIn, sizeOrZero, anything, anything], sockCommonResult, {
    packetAccess: true,
    acquires: true,
    variants: [
      { programs: ofSockAddr, args: [ctx, memIn, sizeOrZero, anything, anything], returns: sockCommonResult },
    ],
  }),
  row(124, 'sk_assign', '5.7', [ctx, btfSock, anything], integer, {
    variants: [
      { programs: [{ type: ProgType.SkLookup }], args: [ctx, socketOrNull, anything], returns: integer },
    ],
  }),
  row(100, 'tcp_check_syncookie', '5.2', [btfSock, memIn, size, memIn, size], integer, {
    gplOnly: true,
    packetAccess: true,
  }),
  row(110, 'tcp_gen_syncookie', '5.4', [btfSock, memIn, size, memIn, size], integer, {
    gplOnly: true,
    packetAccess: true,
  }),
  row(116, 'tcp_send_ack', '5.6', [btf('tcp_sock'), anything], integer),
  row(128, 'sk_cgroup_id', '5.8', [btfSock], integer),
  row(129, 'sk_ancestor_cgroup_id', '5.8', [btfSock, anything], integer),
  row(136, 'skc_to_tcp6_sock', '5.9', [btfSock], btfResultOrNull('tcp6_sock'), { castsSocket: true }),
  row(137, 'skc_to_tcp_sock', '5.9', [btfSock], btfResultOrNull('tcp_sock'), { castsSocket: true }),
  row(138, 'skc_to_tcp_timewait_sock', '5.9', [btfSock], btfResultOrNull('tcp_timewait_sock'), {
    castsSocket: true,
  }),
  row(139, 'skc_to_tcp_request_sock', '5.9', [btfSock], btfResultOrNull('tcp_request_sock'), {
    castsSocket: true,
  }),
  row(140, 'skc_to_udp6_sock', '5.9', [btfSock], btfResultOrNull('udp6_sock'), { castsSocket: true }),
  row(178, 'skc_to_unix_sock', '5.16', [btfSock], btfResultOrNull('unix_sock')),
  row(196, 'skc_to_mptcp_sock', '5.19', [sockCommon], btfResultOrNull('mptcp_sock'), { castsSocket: true }),
  row(142, 'load_hdr_opt', '5.10', [ctx, memInOut, size, anything], integer),
  row(143, 'store_hdr_opt', '5.10', [ctx, memIn, size, anything], integer, { changesPacket: true }),
  row(144, 'reserve_hdr_opt', '5.10', [ctx, anything, anything], integer),
  row(204, 'tcp_raw_gen_syncookie_ipv4', '6.0', [fixedIn(20), memIn, sizeOrZero], integer, {
    gplOnly: true,
    packetAccess: true,
  }),
  row(205, 'tcp_raw_gen_syncookie_ipv6', '6.0', [fixedIn(40), memIn, sizeOrZero], integer, {
    gplOnly: true,
    packetAccess: true,
  }),
  row(206, 'tcp_raw_check_syncookie_ipv4', '6.0', [fixedIn(20), fixedIn(20)], integer, {
    gplOnly: true,
    packetAccess: true,
  }),
  row(207, 'tcp_raw_check_syncookie_ipv6', '6.0', [fixedIn(40), fixedIn(20)], integer, {
    gplOnly: true,
    packetAccess: true,
  }),
  row(101, 'sysctl_get_name', '5.2', [ctx, memInOut, size, anything], integer),
  row(102, 'sysctl_get_current_value', '5.2', [ctx, memOut, size], integer),
  row(103, 'sysctl_get_new_value', '5.2', [ctx, memOut, size], integer),
  row(104, 'sysctl_set_new_value', '5.2', [ctx, memIn, size], integer),
  row(77, 'rc_repeat', '4.18', [ctx], integer),
  row(78, 'rc_keydown', '4.18', [ctx, anything, anything, anything], integer),
  row(92, 'rc_pointer_rel', '5.0', [ctx, anything, anything], integer, { gplOnly: true }),
];
