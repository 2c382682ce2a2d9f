// Helpers that ask the machine around the program: routes, the running task, formatted text. They run in the host.

import { Errno } from '../../bpf/errno.js';
import { layout, POINTER_BASE } from '../memory/memory.js';
import type { HelperBody, HostCall } from './definition.js';
import { printf } from './printf.js';
import { printfMemory } from './trace.js';

const offsetOf = (pointer: bigint): number => Number(BigInt.asUintN(32, pointer));
const error = (errno: number): bigint => BigInt.asUintN(64, BigInt(-errno));

// ---- routes

/** sizeof(struct bpf_fib_lookup); family, ifindex. */
const FIB_PARAMS = 64;
const FIB_FAMILY = 0;
const FIB_IFINDEX = 8;
const FIB_FLAGS = 0x3f;
const AF_INET = 2;
const AF_INET6 = 10;
/** BPF_FIB_LKUP_RET_FWD_DISABLED. */
const FORWARDING_DISABLED = 5n;

/**
 * bpf_fib_lookup(ctx, params, plen, flags): the emulated machine forwards nothing, as Linux does unless it is told to.
 */
function fibLookup({ memory, arg, hasDevice }: HostCall): bigint {
  const params = offsetOf(arg(2));
  if (Number(BigInt.asIntN(32, arg(3))) < FIB_PARAMS || offsetOf(arg(4)) & ~FIB_FLAGS)
    return error(Errno.EINVAL);
  const family = memory.u8[params + FIB_FAMILY];
  if (family !== AF_INET && family !== AF_INET6) return error(Errno.EAFNOSUPPORT);
  return hasDevice(memory.u32(params + FIB_IFINDEX)) ? FORWARDING_DISABLED : error(Errno.ENODEV);
}

// ---- the running task

/** TASK_COMM_LEN. */
const COMM = 16;

function currentComm({ memory, arg, task }: HostCall): bigint {
  const size = offsetOf(arg(2));
  const name = new TextEncoder().encode(task.name).subarray(0, Math.min(size, COMM) - 1);
  const at = offsetOf(arg(1));
  memory.u8.fill(0, at, at + size);
  memory.write(at, name);
  return 0n;
}

/** Threads have no ids of their own here. */
const currentPidTgid = ({ task }: HostCall): bigint => (BigInt(task.pid) << 32n) | BigInt(task.pid);

const currentUidGid = ({ task }: HostCall): bigint => (BigInt(task.uid) << 32n) | BigInt(task.uid);

// ---- text

/** MAX_BPRINTF_VARARGS. */
const MOST_ARGUMENTS = 12;

/** bpf_snprintf(str, str_size, fmt, data, data_len): bytes of the whole text with its end, however many fit. */
function snprintf({ memory, arg }: HostCall): bigint {
  const size = offsetOf(arg(2));
  const dataSize = offsetOf(arg(5));
  if (dataSize % 8 !== 0 || dataSize > MOST_ARGUMENTS * 8 || (dataSize !== 0 && arg(4) === 0n)) {
    return error(Errno.EINVAL);
  }
  const from = offsetOf(arg(3));
  const format = memory.u8.slice(from, memory.u8.indexOf(0, from) + 1);
  const args = new BigUint64Array(memory.read(offsetOf(arg(4)), dataSize).buffer);
  const { result, text } = printf(format, args, printfMemory(memory));
  if (result < 0) return error(-result);
  if (size > 0) {
    const at = offsetOf(arg(1));
    const kept = text.subarray(0, size - 1);
    memory.write(at, kept);
    memory.u8[at + kept.length] = 0;
  }
  return BigInt(text.length + 1);
}

/** Whether all bytes are memory of the emulated kernel. */
function isReadable({ memory }: HostCall, pointer: bigint, size: number): boolean {
  const unsigned = BigInt.asUintN(64, pointer);
  const upper = unsigned - BigInt.asUintN(32, unsigned);
  const at = offsetOf(pointer);
  return (
    (upper === POINTER_BASE || upper === 0n) && at >= layout.FIRST_OFFSET && at + size <= memory.u8.length
  );
}

/** bpf_probe_read_kernel(dst, size, unsafe_ptr). */
function probeReadKernel(call: HostCall): bigint {
  const { memory, arg } = call;
  const size = offsetOf(arg(2));
  const to = offsetOf(arg(1));
  if (!isReadable(call, arg(3), size)) {
    memory.u8.fill(0, to, to + size);
    return error(Errno.EFAULT);
  }
  memory.u8.copyWithin(to, offsetOf(arg(3)), offsetOf(arg(3)) + size);
  return 0n;
}

/** bpf_probe_read_kernel_str(dst, size, unsafe_ptr): bytes with the end. */
function probeReadKernelString(call: HostCall): bigint {
  const { memory, arg } = call;
  const size = offsetOf(arg(2));
  const to = offsetOf(arg(1));
  if (size === 0) return 0n;
  if (!isReadable(call, arg(3), 1)) {
    memory.u8.fill(0, to, to + size);
    return error(Errno.EFAULT);
  }
  const from = offsetOf(arg(3));
  const end = memory.u8.subarray(from, from + size - 1).indexOf(0);
  const length = end < 0 ? size - 1 : end;
  memory.u8.copyWithin(to, from, from + length);
  memory.u8[to + length] = 0;
  return BigInt(length + 1);
}

export const hostHelpers: readonly HelperBody[] = [
  ['fib_lookup', fibLookup],
  ['get_current_comm', currentComm],
  ['get_current_pid_tgid', currentPidTgid],
  ['get_current_uid_gid', currentUidGid],
  ['snprintf', snprintf],
  ['probe_read_kernel', probeReadKernel],
  ['probe_read_kernel_str', probeReadKernelString],
];
