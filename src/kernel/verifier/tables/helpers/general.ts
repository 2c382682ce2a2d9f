// Helpers of all trades: time, the current CPU and task, strings, signals, return values of hooks, system calls.

import { ProgType } from '../../../../bpf/types.js';
import type { HelperSignature, ProgramSelector } from '../types.js';
import {
  anything,
  constStr,
  ctx,
  ctxOrNull,
  fixedOut,
  func,
  integer,
  memIn,
  memInOrNull,
  memInOutOrNull,
  memOut,
  row,
  size,
  sizeOrZero,
  stackOrNull,
  tracingTypes,
} from './terms.js';

/** For these the call keeps registers. */
const inlinesCpu: readonly ProgramSelector[] = [
  ProgType.SchedCls,
  ProgType.SchedAct,
  ProgType.Xdp,
  ProgType.LwtIn,
  ProgType.LwtOut,
  ProgType.LwtXmit,
  ProgType.LwtSeg6local,
  ProgType.Syscall,
  ...tracingTypes,
].map((type) => ({ type }));

/** Here it is the class of the packet's socket, otherwise that of the current task. */
const ofPackets: readonly ProgramSelector[] = [
  ProgType.SchedCls,
  ProgType.SchedAct,
  ProgType.LwtIn,
  ProgType.LwtOut,
  ProgType.LwtXmit,
  ProgType.LwtSeg6local,
].map((type) => ({ type }));

export const generalSignatures: readonly HelperSignature[] = [
  row(5, 'ktime_get_ns', '4.1', [], integer),
  row(125, 'ktime_get_boot_ns', '5.8', [], integer),
  row(160, 'ktime_get_coarse_ns', '5.11', [], integer),
  row(208, 'ktime_get_tai_ns', '6.1', [], integer),
  row(118, 'jiffies64', '5.6', [], integer),
  row(7, 'get_prandom_u32', '4.1', [], integer),
  row(8, 'get_smp_processor_id', '4.1', [], integer, {
    variants: [{ programs: inlinesCpu, args: [], returns: integer, fastcall: true }],
  }),
  row(42, 'get_numa_node_id', '4.10', [], integer),
  row(14, 'get_current_pid_tgid', '4.2', [], integer),
  row(15, 'get_current_uid_gid', '4.2', [], integer),
  row(16, 'get_current_comm', '4.2', [memOut, size], integer),
  row(120, 'get_ns_current_pid_tgid', '5.7', [anything, anything, memOut, size], integer),
  row(80, 'get_current_cgroup_id', '4.18', [], integer),
  row(123, 'get_current_ancestor_cgroup_id', '5.7', [anything], integer),
  row(181, 'loop', '5.17', [anything, func, stackOrNull, anything], integer, { callback: 'now' }),
  row(182, 'strncmp', '5.17', [memIn, size, constStr], integer),
  row(105, 'strtol', '5.2', [memIn, size, anything, fixedOut(8)], integer),
  row(106, 'strtoul', '5.2', [memIn, size, anything, fixedOut(8)], integer),
  row(165, 'snprintf', '5.13', [memInOutOrNull, sizeOrZero, constStr, memInOrNull, sizeOrZero], integer, {
    gplOnly: true,
  }),
  row(109, 'send_signal', '5.3', [anything], integer),
  row(117, 'send_signal_thread', '5.6', [anything], integer),
  row(166, 'sys_bpf', '5.14', [anything, memIn, size], integer, { mightSleep: true }),
  row(167, 'btf_find_by_name_kind', '5.14', [memIn, size, anything, anything], integer, { mightSleep: true }),
  row(168, 'sys_close', '5.14', [anything], integer, { mightSleep: true }),
  row(179, 'kallsyms_lookup_name', '5.16', [memIn, sizeOrZero, anything, fixedOut(8)], integer),
  row(186, 'get_retval', '5.18', [], integer),
  row(187, 'set_retval', '5.18', [anything], integer),
  row(17, 'get_cgroup_classid', '4.3', [], integer, {
    variants: [{ programs: ofPackets, args: [ctx], returns: integer }],
  }),
  row(122, 'get_netns_cookie', '5.7', [ctxOrNull], integer),
];
