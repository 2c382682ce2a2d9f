// Helpers of tracing programs: reading memory, stacks, the attached function, printing.

import { AttachType, ProgType } from '../../../../bpf/types.js';
import type { HelperSignature, ProgramSelector } from '../types.js';
import {
  anything,
  btf,
  btfResult,
  btfResultOrNull,
  ctx,
  fixedOut,
  func,
  integer,
  map,
  memIn,
  memInOrNull,
  memInOut,
  memInOutOrNull,
  memOut,
  percpu,
  percpuResult,
  percpuResultOrNull,
  row,
  size,
  sizeOrZero,
  stackOrNull,
  trustedResult,
} from './terms.js';

const ofMultiProbe: readonly ProgramSelector[] = [
  {
    type: ProgType.Kprobe,
    attach: [
      AttachType.TraceKprobeMulti,
      AttachType.TraceKprobeSession,
      AttachType.TraceUprobeMulti,
      AttachType.TraceUprobeSession,
    ],
  },
];

export const tracingSignatures: readonly HelperSignature[] = [
  row(4, 'probe_read', '4.1', [memOut, sizeOrZero, anything], integer, { gplOnly: true }),
  row(45, 'probe_read_str', '4.11', [memOut, sizeOrZero, anything], integer, { gplOnly: true }),
  row(112, 'probe_read_user', '5.5', [memOut, sizeOrZero, anything], integer, { gplOnly: true }),
  row(113, 'probe_read_kernel', '5.5', [memOut, sizeOrZero, anything], integer, { gplOnly: true }),
  row(114, 'probe_read_user_str', '5.5', [memOut, sizeOrZero, anything], integer, { gplOnly: true }),
  row(115, 'probe_read_kernel_str', '5.5', [memOut, sizeOrZero, anything], integer, { gplOnly: true }),
  row(36, 'probe_write_user', '4.8', [anything, memIn, size], integer, { gplOnly: true }),
  row(148, 'copy_from_user', '5.10', [memOut, sizeOrZero, anything], integer, { mightSleep: true }),
  row(
    191,
    'copy_from_user_task',
    '5.18',
    [memOut, sizeOrZero, anything, btf('task_struct'), anything],
    integer,
    { gplOnly: true, mightSleep: true },
  ),
  row(6, 'trace_printk', '4.1', [memIn, size], integer, { gplOnly: true }),
  row(177, 'trace_vprintk', '5.16', [memIn, size, memInOrNull, sizeOrZero], integer, { gplOnly: true }),
  row(27, 'get_stackid', '4.6', [ctx, map, anything], integer, {
    gplOnly: true,
    variants: [{ programs: [{ type: ProgType.PerfEvent }], args: [ctx, map, anything], returns: integer }],
  }),
  row(67, 'get_stack', '4.18', [ctx, memOut, sizeOrZero, anything], integer, {
    gplOnly: true,
    mightSleep: 'when-sleepable',
  }),
  row(141, 'get_task_stack', '5.9', [btf('task_struct'), memOut, sizeOrZero, anything], integer, {
    mightSleep: 'when-sleepable',
  }),
  row(35, 'get_current_task', '4.8', [], integer, { gplOnly: true }),
  row(158, 'get_current_task_btf', '5.11', [], trustedResult('task_struct'), { gplOnly: true }),
  row(175, 'task_pt_regs', '5.15', [btf('task_struct')], btfResult('pt_regs'), { gplOnly: true }),
  row(58, 'override_return', '4.16', [ctx, anything], integer, { gplOnly: true }),
  row(173, 'get_func_ip', '5.15', [ctx], integer, {
    gplOnly: true,
    variants: [{ programs: ofMultiProbe, args: [ctx], returns: integer }],
  }),
  row(174, 'get_attach_cookie', '5.15', [ctx], integer),
  row(183, 'get_func_arg', '5.17', [ctx, anything, fixedOut(8)], integer),
  row(184, 'get_func_ret', '5.17', [ctx, fixedOut(8)], integer),
  row(185, 'get_func_arg_cnt', '5.17', [ctx], integer),
  row(119, 'read_branch_records', '5.7', [ctx, memInOutOrNull, sizeOrZero, anything], integer, {
    gplOnly: true,
  }),
  row(176, 'get_branch_snapshot', '5.16', [memOut, sizeOrZero], integer, { gplOnly: true }),
  row(126, 'seq_printf', '5.8', [btf('seq_file'), memIn, size, memInOrNull, sizeOrZero], integer, {
    gplOnly: true,
  }),
  row(127, 'seq_write', '5.8', [btf('seq_file'), memIn, sizeOrZero], integer, { gplOnly: true }),
  row(150, 'seq_printf_btf', '5.10', [btf('seq_file'), memIn, sizeOrZero, anything], integer, {
    gplOnly: true,
  }),
  row(149, 'snprintf_btf', '5.10', [memInOut, size, memIn, size, anything], integer),
  row(147, 'd_path', '5.10', [btf('path'), memInOut, sizeOrZero], integer, { allowedHooks: 'd-path' }),
  row(153, 'per_cpu_ptr', '5.10', [percpu, anything], percpuResultOrNull),
  row(154, 'this_cpu_ptr', '5.10', [percpu], percpuResult),
  row(180, 'find_vma', '5.17', [btf('task_struct'), anything, func, stackOrNull, anything], integer, {
    callback: 'now',
  }),
  row(159, 'bprm_opts_set', '5.11', [btf('linux_binprm'), anything], integer),
  row(161, 'ima_inode_hash', '5.11', [btf('inode'), memOut, size], integer, {
    mightSleep: true,
    allowedHooks: 'sleepable-lsm',
  }),
  row(193, 'ima_file_hash', '5.18', [btf('file'), memOut, size], integer, {
    mightSleep: true,
    allowedHooks: 'sleepable-lsm',
  }),
  row(162, 'sock_from_file', '5.11', [btf('file')], btfResultOrNull('socket')),
];
